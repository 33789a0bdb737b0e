//! Publishes price rows. A published row never changes; what is new is checked as a book before it is in force.

use std::collections::HashMap;

use ledger::event::Millis;
use ledger::prices::{ModelRow, PriceBook, Scope};
use schemas::command::PublishPrices;
use schemas::prices;
use schemas::tables::PublishedRow;

use super::{CommandMaker, Effect, Place, Refusal};
use crate::worker::chain;

/// How long after its command a later version of an undated row takes effect: by then every worker knows of it, or
/// waits.
const LATER_VERSION_AFTER_MS: i64 = 60_000;

const PUBLISHED: &str = include_str!("../../../schemas/clickhouse/queries/book_rows.sql");

#[derive(clickhouse::Row, serde::Deserialize)]
struct Published {
    row_id: String,
    body: String,
    effective_from: Option<i64>,
}

impl CommandMaker {
    pub(super) fn publish(&self, place: &Place<'_>, command: &PublishPrices) -> Result<Effect, Refusal> {
        let query = self.store.sequential(PUBLISHED);
        let published: Vec<Published> = self.store.block_on(
            query.param("topic", place.partition.topic.as_ref()).param("through", place.offset).fetch_all(),
        )?;
        let count = u64::try_from(published.len()).unwrap_or(u64::MAX);
        if let Some(based_on) = command.based_on.filter(|based_on| *based_on != count) {
            return Err(Refusal::Refused(format!(
                "the change was prepared when {based_on} rows were published, now there are {count}: prepare it again"
            )));
        }
        let mut rows = Vec::with_capacity(published.len() + command.rows.len());
        for row in &published {
            let mut model_row = read_row(&row.body, &row.row_id)?;
            model_row.effective_from = row.effective_from.map(Millis);
            rows.push(model_row);
        }
        let bodies: HashMap<&str, &str> =
            published.iter().map(|row| (row.row_id.as_str(), row.body.as_str())).collect();
        let mut latest: HashMap<(Scope, Option<String>, String), usize> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            latest.insert((row.scope.clone(), row.provider.clone(), row.model.clone()), index);
        }

        let mut effect = Effect::default();
        let later = Millis(place.log_time.0.saturating_add(LATER_VERSION_AFTER_MS));
        let (mut added, mut unchanged, mut later_versions) = (0_u32, 0_u32, 0_u32);
        for (index, text) in command.rows.iter().enumerate() {
            let mut row = read_row(text, &format!("number {}", index + 1))?;
            let body = prices::to_json(&row).map_err(|error| Refusal::Refused(error.to_string()))?;
            // What is published is checked as it will be read back: a book that cannot be read would stop all usage.
            row = read_row(&body, &row.id)?;
            let name = (row.scope.clone(), row.provider.clone(), row.model.clone());
            let before = latest.get(&name).and_then(|index| rows.get(*index));
            match bodies.get(row.id.as_str()) {
                Some(same) if *same == body => {
                    unchanged += 1;
                    continue;
                }
                Some(_) => {
                    return Err(Refusal::Refused(format!(
                        "row {} is published with other content; a row never changes, publish it under a new id",
                        row.id
                    )));
                }
                None => {}
            }
            if row.effective_from.is_none() && before.is_some_and(|before| prices::same_terms(before, &row)) {
                unchanged += 1;
                continue;
            }
            if row.effective_from.is_none() && before.is_some() {
                row.effective_from = Some(later);
                later_versions += 1;
            }
            if !place.is_held("model_rows", added) {
                effect.model_rows.push(&PublishedRow {
                    origin: place.origin(added),
                    row_id: &row.id,
                    provider: row.provider.as_deref().unwrap_or_default(),
                    model: &row.model,
                    currency: &row.currency,
                    effective_from: row.effective_from,
                    known_from: place.log_time,
                    source: &row.source.name,
                    source_version: row.source.version.as_deref().unwrap_or_default(),
                    body: &body,
                });
            }
            added += 1;
            rows.push(row);
        }
        PriceBook::new(rows).map_err(|error| Refusal::Refused(error.to_string()))?;
        effect.detail = format!("{added} rows published, {unchanged} unchanged");
        effect.result = serde_json::json!({
            "published": added,
            "unchanged": unchanged,
            "later_versions": later_versions,
            "later_versions_effective_from_ms": (later_versions > 0).then_some(later.0),
        })
        .to_string();
        Ok(effect)
    }
}

fn read_row(text: &str, name: &str) -> Result<ModelRow, Refusal> {
    prices::from_json(text).map_err(|error| Refusal::Refused(format!("row {name}: {}", chain(&error))))
}

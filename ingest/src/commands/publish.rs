//! Publishes price rows. A published row never changes; what is new is checked as a book before it is in force.

use schemas::command::PublishPrices;
use schemas::prices;
use schemas::tables::PublishedRow;

use super::{CommandMaker, Effect, Place, Refusal};

const PUBLISHED: &str = include_str!("../../../schemas/clickhouse/queries/book_rows.sql");

impl CommandMaker {
    pub(super) fn publish(&self, place: &Place<'_>, command: &PublishPrices) -> Result<Effect, Refusal> {
        let query = self.store.sequential(PUBLISHED);
        let published: Vec<prices::BookRow> = self.store.block_on(
            query.param("topic", place.partition.topic.as_ref()).param("through", place.offset).fetch_all(),
        )?;
        let count = u64::try_from(published.len()).unwrap_or(u64::MAX);
        if let Some(based_on) = command.based_on.filter(|based_on| *based_on != count) {
            return Err(Refusal::Refused(format!(
                "the change was prepared when {based_on} rows were published, now there are {count}: prepare it again"
            )));
        }
        let mut before = Vec::with_capacity(published.len());
        for stored in published {
            let row = stored.model_row().map_err(Refusal::Refused)?;
            before.push(prices::Published { row, body: stored.body });
        }
        let publication = prices::prepare(&before, &command.rows, place.log_time)
            .map_err(|refused| Refusal::Refused(refused.to_string()))?;
        let mut effect = Effect::default();
        for (ordinal, one) in (0_u32..).zip(&publication.added) {
            if !place.is_held("model_rows", ordinal) {
                effect.model_rows.push(&PublishedRow {
                    origin: place.origin(ordinal),
                    row_id: &one.row.id,
                    provider: one.row.provider.as_deref().unwrap_or_default(),
                    model: &one.row.model,
                    currency: &one.row.currency,
                    effective_from: one.row.effective_from,
                    known_from: place.log_time,
                    source: &one.row.source.name,
                    source_version: one.row.source.version.as_deref().unwrap_or_default(),
                    body: &one.body,
                });
            }
        }
        let (added, unchanged) = (publication.added.len(), publication.unchanged.len());
        let (later, later_versions) = (publication.later, publication.later_versions);
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

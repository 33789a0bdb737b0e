//! What a publication means for what was posted: which entries a row in the past would have priced, and what the last
//! 30 days would have cost. Entries are told by provider and model, and found in the book as the worker finds them,
//! aliases and dated forms included.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use clickhouse::Row;
use ledger::event::Millis;
use ledger::money::{Amount, Decimal};
use ledger::price::price;
use ledger::prices::{Bound, ModelRow, PriceBook, Scope};
use ledger::unit::Unit;
use ledger::usage::{Dimensions, Flags, INTERACTIVE, Quantities, STANDARD};
use schemas::prices::{Added, Publication};
use schemas::queries;
use serde::Deserialize;

use super::changes::{Comparison, Money, RowChange, Touches};
use crate::bounds::{Bounds, Conditions, Value};
use crate::error::Problem;
use crate::period::rfc3339;
use crate::store::Snapshot;

/// How far back the comparison of costs goes.
const COMPARED_MS: i64 = 30 * crate::period::DAY_MS;

/// Groups of entries that one answer is made of at most.
const GROUPS_MAX: u64 = 100_000;

#[derive(Row, Deserialize)]
struct Touched {
    provider_name: String,
    model_name: String,
    currency_code: String,
    #[expect(dead_code, reason = "it keeps entries of one slot together")]
    slot: u32,
    entries: u64,
    first_ms: i64,
    last_ms: i64,
    amount: String,
}

/// Adds to each row in the past the entries that it would have priced.
pub(super) async fn add_touches(
    changes: &mut [RowChange],
    publication: &Publication,
    store: &Snapshot,
    bounds: &Bounds,
    now: Millis,
) -> Result<(), Problem> {
    let past: Vec<&Added> = publication
        .added
        .iter()
        .filter(|one| one.row.scope == Scope::Public && one.row.effective_from.is_none_or(|from| from < now))
        .collect();
    let Some(earliest) = past.iter().map(|one| one.row.effective_from.unwrap_or(Millis(i64::MIN))).min()
    else {
        return Ok(());
    };
    let ends = past.iter().flat_map(|one| [one.row.effective_from, one.until]);
    let boundaries: BTreeSet<i64> = ends.flatten().map(|instant| instant.0).collect();
    let mut conditions = Conditions::of(bounds);
    if earliest.0 != i64::MIN {
        let from = conditions.values.bind("Int64", Value::Int(earliest.0));
        conditions.and(format!("occurred_at >= fromUnixTimestamp64Milli({from}, 'UTC')"));
    }
    let boundaries = Value::Ints(boundaries.into_iter().collect());
    conditions.values = conditions.values.with("boundaries", boundaries).with("limit", one_more());
    let groups: Vec<Touched> =
        whole(store.ledger(queries::PRICE_TOUCHED, conditions, |statement| statement).await?)?;
    let mut by_row: BTreeMap<&str, Vec<Touched>> = BTreeMap::new();
    for group in groups {
        let found = publication.book.find(&group.provider_name, &group.model_name, Millis(group.first_ms));
        if let Some(found) = found {
            by_row.entry(found.row.id.as_str()).or_default().push(group);
        }
    }
    for change in changes {
        if let Some(groups) = by_row.remove(change.id.as_str()) {
            change.touches = Some(touches(&groups)?);
        }
    }
    Ok(())
}

fn touches(groups: &[Touched]) -> Result<Touches, Problem> {
    let mut cost: BTreeMap<&str, Decimal> = BTreeMap::new();
    for group in groups {
        let sum = cost.entry(&group.currency_code).or_insert(Decimal::ZERO);
        let amount = Decimal::parse(&group.amount).map_err(|_| Problem::internal())?;
        *sum = sum.checked_add(amount).map_err(|_| Problem::internal())?;
    }
    Ok(Touches {
        entries: groups.iter().map(|group| group.entries).sum(),
        first: groups.iter().map(|group| group.first_ms).min().map(rfc3339).unwrap_or_default(),
        last: groups.iter().map(|group| group.last_ms).max().map(rfc3339).unwrap_or_default(),
        cost: cost
            .into_iter()
            .map(|(currency, amount)| Money { currency: currency.to_owned(), amount: amount.to_string() })
            .collect(),
        needs_reprice: true,
    })
}

#[derive(Row, Deserialize)]
struct Usage {
    provider_name: String,
    model_name: String,
    tier_name: String,
    processing_name: String,
    speed_name: String,
    region_name: String,
    #[expect(dead_code, reason = "it keeps entries of one context step together")]
    slot: u32,
    is_told: u8,
    geo_name: String,
    entries: u64,
    prompt_max: u64,
    input_uncached: i64,
    input_cache_read: i64,
    input_cache_write: i64,
    input_cache_write_5m: i64,
    input_cache_write_1h: i64,
    output_text: i64,
    output_reasoning: i64,
}

/// Adds to each row that follows another what the last 30 days would have cost at either one's prices.
pub(super) async fn add_comparisons(
    changes: &mut [RowChange],
    publication: &Publication,
    store: &Snapshot,
    bounds: &Bounds,
    now: Millis,
) -> Result<(), Problem> {
    let followers: Vec<(&Added, &ModelRow)> =
        publication.added.iter().filter_map(|one| Some((one, one.before.as_ref()?))).collect();
    if followers.is_empty() {
        return Ok(());
    }
    let usage = usage(&followers, store, bounds, now).await?;
    let mut compared: BTreeMap<&str, Result<Comparison, String>> = BTreeMap::new();
    for (added, before) in followers {
        let at = added.row.effective_from.map_or(publication.later, |from| from.max(publication.later));
        let is_of_row = |group: &&Usage| {
            let found = publication.book.find(&group.provider_name, &group.model_name, at);
            found.is_some_and(|found| found.row.id == added.row.id)
        };
        compared.insert(&added.row.id, compare(before, &added.row, usage.iter().filter(is_of_row)));
    }
    for change in changes {
        change.last_30_days = compared.remove(change.id.as_str()).map(|compared| {
            compared.unwrap_or_else(|why| Comparison {
                entries: 0,
                untold: 0,
                old: "0".to_owned(),
                new: "0".to_owned(),
                currency: String::new(),
                unpriced: Vec::new(),
                why: Some(why),
            })
        });
    }
    Ok(())
}

async fn usage(
    followers: &[(&Added, &ModelRow)],
    store: &Snapshot,
    bounds: &Bounds,
    now: Millis,
) -> Result<Vec<Usage>, Problem> {
    let rows = followers.iter().flat_map(|(added, before)| [&added.row, *before]);
    let steps = rows.flat_map(|row| &row.prices).filter_map(|price| price.conditions.prompt_tokens_total);
    let floors: BTreeSet<u64> = steps.map(Bound::floor).collect();
    let mut conditions = Conditions::of(bounds);
    for (sign, instant) in [(">=", now.0.saturating_sub(COMPARED_MS)), ("<", now.0)] {
        let place = conditions.values.bind("Int64", Value::Int(instant));
        conditions.and(format!("occurred_at {sign} fromUnixTimestamp64Milli({place}, 'UTC')"));
    }
    let floors = floors.into_iter().filter_map(|floor| i64::try_from(floor).ok()).collect();
    conditions.values = conditions.values.with("floors", Value::Ints(floors)).with("limit", one_more());
    whole(store.ledger(queries::PRICE_USAGE, conditions, |statement| statement).await?)
}

/// A limit that tells whether there would be more.
fn one_more() -> Value {
    Value::Unsigned(GROUPS_MAX + 1)
}

/// All groups, or a problem where there are more: a part of them would be a wrong count.
fn whole<T>(groups: Vec<T>) -> Result<Vec<T>, Problem> {
    if u64::try_from(groups.len()).is_ok_and(|count| count <= GROUPS_MAX) {
        return Ok(groups);
    }
    Err(Problem::new(
        StatusCode::BAD_REQUEST,
        "query-too-large",
        "The question needs too many groups",
        "the entries that these rows concern are of too many models and times to count; publish fewer rows at once",
    ))
}

/// Prices the quantities by both rows; an error says why that cannot be told.
fn compare<'u>(
    before: &ModelRow,
    row: &ModelRow,
    groups: impl Iterator<Item = &'u Usage>,
) -> Result<Comparison, String> {
    if row.scope != Scope::Public {
        return Err("the row holds for a scope, whose entries are not told apart here".into());
    }
    if before.currency != row.currency {
        return Err("the currencies differ".into());
    }
    if before.prices.iter().chain(&row.prices).any(|price| !price.conditions.windows.is_empty()) {
        return Err("the prices depend on the hour".into());
    }
    let (old_book, new_book) = (alone(before)?, alone(row)?);
    let (mut old, mut new) = (Amount::ZERO, Amount::ZERO);
    let (mut entries, mut untold) = (0, 0);
    let mut unpriced = BTreeSet::new();
    for group in groups {
        if group.is_told == 0 {
            untold += group.entries;
            continue;
        }
        entries += group.entries;
        for (book, row, sum) in [(&old_book, before, &mut old), (&new_book, row, &mut new)] {
            let (amount, without) = group.cost(book, row)?;
            unpriced.extend(without);
            *sum = sum.checked_add(amount).ok_or("the amounts do not fit")?;
        }
    }
    Ok(Comparison {
        entries,
        untold,
        old: old.to_string(),
        new: new.to_string(),
        currency: row.currency.clone(),
        unpriced: unpriced.into_iter().collect(),
        why: (untold > 0).then(|| "some entries have units or dimensions besides common tokens".to_owned()),
    })
}

/// A book of one row that always holds.
fn alone(row: &ModelRow) -> Result<PriceBook, String> {
    let always = ModelRow { effective_from: None, supersedes: None, ..row.clone() };
    PriceBook::new(vec![always]).map_err(|error| error.to_string())
}

impl Usage {
    /// What the quantities cost by the one row of a book, and the units that it does not price.
    fn cost(&self, book: &PriceBook, row: &ModelRow) -> Result<(Amount, Vec<String>), String> {
        let found = book
            .find(row.provider.as_deref().unwrap_or_default(), &row.model, Millis(0))
            .ok_or("the row is not found by its own name")?;
        let mut quantities = Quantities::default();
        for (unit, quantity) in Unit::FIXED.into_iter().zip([
            self.input_uncached,
            self.input_cache_read,
            self.input_cache_write,
            self.input_cache_write_5m,
            self.input_cache_write_1h,
            self.output_text,
            self.output_reasoning,
        ]) {
            let quantity = u64::try_from(quantity).map_err(|_| "corrections outweigh the usage")?;
            quantities.add(unit, quantity).map_err(|_| "the quantities do not fit")?;
        }
        if row.prices.iter().any(|price| price.unit == Unit::Requests) {
            quantities.add(Unit::Requests, self.entries).map_err(|_| "the quantities do not fit")?;
        }
        let dimensions = Dimensions {
            service_tier: or(&self.tier_name, STANDARD),
            processing: or(&self.processing_name, INTERACTIVE),
            speed: or(&self.speed_name, STANDARD),
            region: Some(self.region_name.as_str()).filter(|region| !region.is_empty()),
            inference_geo: Some(self.geo_name.as_str()).filter(|geo| !geo.is_empty()),
            prompt_tokens_total: self.prompt_max,
            ..Dimensions::default()
        };
        let (mut flags, mut lines) = (Flags::EMPTY, Vec::new());
        let unpriced = price(&quantities, &dimensions, found, Millis(0), &mut flags, &mut lines)
            .map_err(|error| error.to_string())?;
        let sum = lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount));
        Ok((sum.ok_or("the amounts do not fit")?, unpriced.iter().map(|unit| unit.to_string()).collect()))
    }
}

/// A text, or what stands for none.
fn or<'t>(text: &'t str, otherwise: &'t str) -> &'t str {
    if text.is_empty() { otherwise } else { text }
}

//! What a publication changes, as it is answered: each row's prices before and after, and the entries it touches.

use ledger::prices::{ModelRow, Price};
use schemas::prices::{Added, Change, PriceChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::period::rfc3339;

/// One row that is published, where it changes what is published or what was posted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RowChange {
    /// Id of the row.
    pub id: String,
    /// Who serves the model; null for any.
    pub provider: Option<String>,
    /// The model.
    pub model: String,
    /// From when it holds; null from the beginning of time.
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
    /// When it ends, because another version begins; null while there is none.
    #[schema(format = DateTime)]
    pub effective_to: Option<String>,
    /// Id of the version that it follows or supersedes; null where it is the first.
    pub before: Option<String>,
    /// Prices that differ.
    pub prices: Vec<PriceDifference>,
    /// Whatever else differs, by name.
    pub others: Vec<OtherDifference>,
    /// Entries that were posted before and that the row would have priced; null where there are none, and for rows
    /// of a scope. They keep their price until they are repriced.
    pub touches: Option<Touches>,
    /// What the last 30 days would have cost at either price; null where no version is followed, and outside a
    /// dry run.
    pub last_30_days: Option<Comparison>,
}

/// One price before and after.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PriceDifference {
    /// What is priced.
    pub unit: String,
    /// Under which conditions; empty where there are none.
    pub when: String,
    /// What it cost; null where it had no price.
    pub old: Option<UnitPrice>,
    /// What it costs; null where it has no price any more.
    pub new: Option<UnitPrice>,
    /// By how many percent it changes, rounded to one decimal; null where that says nothing.
    pub percent: Option<String>,
}

/// Money for a number of units.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UnitPrice {
    /// Money.
    pub amount: String,
    /// For how many.
    pub per: String,
}

/// A field before and after, in words.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OtherDifference {
    /// The field.
    pub name: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

/// Entries that a row would have priced.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Touches {
    /// How many.
    pub entries: u64,
    /// When the first of them occurred.
    #[schema(format = DateTime)]
    pub first: String,
    /// When the last of them occurred.
    #[schema(format = DateTime)]
    pub last: String,
    /// What they cost now, by currency.
    pub cost: Vec<Money>,
    /// Whether only a reprice would bring them to the row's prices; always so.
    pub needs_reprice: bool,
}

/// An amount.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// ISO 4217 code; empty where nothing is priced.
    pub currency: String,
    /// The amount.
    pub amount: String,
}

/// What entries cost at the old and at the new price.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// Entries that are compared: those that have nothing but common token units.
    pub entries: u64,
    /// Entries of which it cannot be told.
    pub untold: u64,
    /// What they cost at the old price.
    pub old: String,
    /// What they cost at the new price.
    pub new: String,
    /// ISO 4217 code of both amounts.
    pub currency: String,
    /// Units that have no price on one of both sides.
    pub unpriced: Vec<String>,
    /// Why nothing, or not all, can be told; null where all is.
    pub why: Option<String>,
}

impl RowChange {
    /// The change of a row, before anything posted is looked at.
    pub(super) fn of(added: &Added) -> Self {
        let change = added.before.as_ref().map(|before| Change::of(before, &added.row));
        let ModelRow { id, provider, model, .. } = &added.row;
        Self {
            id: id.clone(),
            provider: provider.clone(),
            model: model.clone(),
            effective_from: added.row.effective_from.map(|from| rfc3339(from.0)),
            effective_to: added.until.map(|until| rfc3339(until.0)),
            before: added.before.as_ref().map(|before| before.id.clone()),
            prices: change.iter().flat_map(|change| &change.prices).map(PriceDifference::of).collect(),
            others: change.into_iter().flat_map(|change| change.others).map(OtherDifference::of).collect(),
            touches: None,
            last_30_days: None,
        }
    }

    /// Whether it is more than a first version that nothing was posted for.
    pub(super) fn is_worth_showing(&self) -> bool {
        self.before.is_some() || self.touches.is_some()
    }
}

impl PriceDifference {
    fn of(change: &PriceChange) -> Self {
        let price =
            |price: &Price| UnitPrice { amount: price.amount.to_string(), per: price.per.to_string() };
        Self {
            unit: change.unit.to_string(),
            when: change.conditions.clone(),
            old: change.old.as_ref().map(price),
            new: change.new.as_ref().map(price),
            percent: change.percent(),
        }
    }
}

impl OtherDifference {
    fn of((name, old, new): (&'static str, String, String)) -> Self {
        Self { name: name.to_owned(), old, new }
    }
}

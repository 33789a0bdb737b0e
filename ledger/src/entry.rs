//! From event to ledger entries: normalize, find the row that held, price, and settle what is owed.

use crate::event::{GatewayCache, Outcome, UsageEvent};
use crate::money::{self, Amount, Decimal};
use crate::price::{Basis, Line, Why, price};
use crate::prices::{AmountBasis, Match, PriceBook};
use crate::reject::{Reason, Reject};
use crate::unit::{Unit, UnitSet};
use crate::usage::{self, Dimensions, Flag, Flags, Normalized, ProviderCost, Record};

/// The currency of an entry that has neither a price nor a reported amount.
const CURRENCY_OF_NOTHING: &str = "USD";

/// One entry of the ledger: what one attempt used of one model, and what it costs.
#[derive(Clone, Debug)]
pub struct Entry<'e, 'b> {
    /// The event.
    pub event: &'e UsageEvent<'e>,
    /// 0 for the model that answered; 1, 2 … for other models inside the same response.
    pub ordinal: u16,
    /// The model that is billed.
    pub model: &'e str,
    /// What the provider charges for.
    pub outcome: Outcome,
    /// What was noticed.
    pub flags: Flags,
    /// What the price depended on.
    pub dimensions: Dimensions<'e>,
    /// How many attempts this entry adds: 1 for the first entry of an event, else 0.
    pub attempts: i8,
    /// How many requests this entry adds: 1 for the first entry of a request's first attempt, else 0.
    pub requests: i8,
    /// The row that priced it.
    pub row: Option<Match<'b>>,
    /// What was used, priced.
    pub lines: &'e [Line],
    /// What a gateway cache hit spared, priced.
    pub avoided: &'e [Line],
    /// What `avoided` would have cost.
    pub cost_avoided: Amount,
    /// The sum of the lines at the provider's list prices.
    pub list_cost: Amount,
    /// What we owe.
    pub cost: Amount,
    /// What the customer is billed.
    pub charge: Amount,
    /// ISO 4217 code of all amounts.
    pub currency: &'e str,
    /// The units that are owed and have no price.
    pub unpriced: UnitSet,
    /// What the provider or the gateway reported as the cost; of the first entry only.
    pub reported_cost: Option<ProviderCost<'e>>,
}

impl Entry<'_, '_> {
    /// Whether the amounts are not all that is owed: a unit has no price, or usage is missing.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        !self.unpriced.is_empty() || self.flags.contains(Flag::UsageMissing)
    }
}

/// Memory that is used again for the next event.
#[derive(Debug, Default)]
pub struct Scratch {
    lines: Vec<Line>,
}

/// Hands each entry of an event to `out`: the model that answered first, then other models that worked inside the
/// same response.
///
/// # Errors
/// [`Reject`] where the event belongs into quarantine; then `out` has not been called for it.
pub fn entries_for<'b>(
    event: &UsageEvent<'_>,
    book: &'b PriceBook,
    scratch: &mut Scratch,
    mut out: impl FnMut(&Entry<'_, 'b>),
) -> Result<(), Reject> {
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized)?;
    let outcome = outcome(event, &normalized);
    let main = entry(event, book, &normalized.main, &normalized, outcome, scratch)?;
    if normalized.further.is_empty() {
        out(&main);
        return Ok(());
    }
    let mut scratches: Vec<Scratch> = normalized.further.iter().map(|_| Scratch::default()).collect();
    let mut entries = vec![main];
    for (position, (record, scratch)) in normalized.further.iter().zip(&mut scratches).enumerate() {
        let entry = entry(event, book, record, &normalized, outcome, scratch)?;
        let ordinal = u16::try_from(position + 1).map_err(|_| Reject {
            reason: Reason::Unpostable,
            detail: "more than 65,535 models in one response".into(),
        })?;
        entries.push(Entry { ordinal, attempts: 0, requests: 0, reported_cost: None, ..entry });
    }
    entries.iter().for_each(out);
    Ok(())
}

/// What the provider charges for, where the gateway did not say.
fn outcome(event: &UsageEvent<'_>, normalized: &Normalized<'_>) -> Outcome {
    if normalized.main.flags.contains(Flag::AggregateNoTier) && event.outcome != Some(Outcome::Billed) {
        return Outcome::NotBilled;
    }
    let failed_video = || {
        let status = event.context.and_then(|context| context.node.get("status"));
        event.endpoint_family == "video" && status.and_then(|status| status.text()) == Some("failed")
    };
    match event.outcome {
        Some(outcome) => outcome,
        None if failed_video() => Outcome::NotBilled,
        None if normalized.is_reported => Outcome::Billed,
        None if event.status.is_some_and(|status| status >= 400) => Outcome::NotBilled,
        None => Outcome::Unknown,
    }
}

/// The entry of one record, as if it were the first.
fn entry<'e, 'b>(
    event: &'e UsageEvent<'_>,
    book: &'b PriceBook,
    record: &'e Record<'e>,
    normalized: &'e Normalized<'e>,
    outcome: Outcome,
    scratch: &'e mut Scratch,
) -> Result<Entry<'e, 'b>, Reject>
where
    'b: 'e,
{
    let row = book.find(event.provider, record.model, event.occurred_at);
    let is_hit = event.gateway_cache == Some(GatewayCache::Hit);
    let is_owed = outcome != Outcome::NotBilled && !is_hit;
    let billed_report = row
        .filter(|row| row.row.amount_basis == AmountBasis::ProviderReported && is_owed)
        .and(normalized.reported_cost);
    let mut flags = record.flags;
    let is_missing = is_owed && !normalized.is_reported && billed_report.is_none();
    let lines = &mut scratch.lines;
    lines.clear();
    let unpriced = match (row, billed_report) {
        (_, Some(reported)) => report(record, reported, lines),
        (Some(row), None) if (is_owed && !is_missing) || is_hit => {
            price(&record.quantities, &record.dimensions, row, event.occurred_at, &mut flags, lines)
                .map_err(overflow)?
        }
        _ => list(record, is_owed || is_hit, lines),
    };
    if is_missing {
        flags.insert(Flag::UsageMissing);
    }
    let sum = lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount));
    let sum = sum.ok_or_else(|| overflow(money::Error::Overflow))?;
    lines.iter().try_for_each(fits)?;
    let (lines, avoided): (&[Line], &[Line]) = if is_hit { (&[], lines) } else { (lines, &[]) };
    let (cost, cost_avoided) = if is_hit { (Amount::ZERO, sum) } else { (sum, Amount::ZERO) };
    let currency = billed_report.map(|reported| reported.currency);
    Ok(Entry {
        event,
        ordinal: 0,
        model: record.model,
        outcome,
        flags,
        dimensions: record.dimensions,
        attempts: 1,
        requests: i8::from(event.attempt == 1),
        row,
        lines,
        avoided,
        cost_avoided,
        list_cost: cost,
        cost,
        charge: cost,
        currency: currency.or(row.map(|row| &*row.row.currency)).unwrap_or(CURRENCY_OF_NOTHING),
        unpriced: if is_owed { unpriced } else { UnitSet::EMPTY },
        reported_cost: normalized.reported_cost,
    })
}

/// Lines without prices: nothing is owed, or no row holds.
fn list(record: &Record<'_>, is_priceable: bool, lines: &mut Vec<Line>) -> UnitSet {
    let basis = if is_priceable { Basis::Unpriced(Why::NoRow) } else { Basis::NotOwed };
    let line = |(unit, quantity)| Line::without_price(unit, quantity, basis);
    lines.extend(record.quantities.iter().map(line));
    record.quantities.units()
}

/// The provider's own figure is the price: it stands in a line of its own, the quantities beside it.
fn report(record: &Record<'_>, reported: ProviderCost<'_>, lines: &mut Vec<Line>) -> UnitSet {
    let quantities = record.quantities.iter().filter(|(unit, _)| *unit != Unit::Requests);
    lines.extend(quantities.map(|(unit, quantity)| Line::without_price(unit, quantity, Basis::Reported)));
    let requests = record.quantities.get(Unit::Requests).max(Decimal::ONE);
    let line = Line::without_price(Unit::Requests, requests, Basis::Reported);
    lines.push(Line { amount: reported.amount, ..line });
    UnitSet::EMPTY
}

/// Whether the ledger can hold the quantity: 64 bits for what is counted whole, 38 digits of which 18 are decimals
/// for the rest.
fn fits(line: &Line) -> Result<(), Reject> {
    let whole_fits = !line.unit.is_whole() || line.quantity.to_i64().is_some();
    if whole_fits && line.quantity.to_raw18().is_some() {
        return Ok(());
    }
    let detail = format!("{} {} have more digits than the ledger holds", line.quantity, line.unit);
    Err(Reject { reason: Reason::Unpostable, detail })
}

fn overflow(error: money::Error) -> Reject {
    Reject { reason: Reason::Unpostable, detail: format!("the amount does not fit the ledger: {error}") }
}

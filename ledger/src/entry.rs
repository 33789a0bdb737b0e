//! From event to ledger entries: normalize, find the row that held, price, and settle what is owed.

use crate::event::{GatewayCache, Millis, Outcome, Owners, UsageEvent};
use crate::in_force::InForce;
use crate::money::{self, Amount, Decimal};
use crate::owners::Owned;
use crate::planes::{self, Beside, Charging, Plane, beside};
use crate::price::{Basis, Line, Why, price};
use crate::prices::{AmountBasis, Match};
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
    /// Owners: the event's own, and what it leaves out from those of its key.
    pub owners: Owners<'e>,
    /// The cost center of the key.
    pub cost_center: Option<&'e str>,
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
    /// The row that priced the cost: of a contract, else the public one.
    pub row: Option<Match<'b>>,
    /// What was used, priced at cost.
    pub lines: &'e [Line],
    /// The list, where it differs from the cost: a contract priced that.
    pub list: Option<Plane<'e, 'b>>,
    /// How the charge was come by.
    pub charging: Charging<'e, 'b>,
    /// What a gateway cache hit spared, priced.
    pub avoided: &'e [Line],
    /// What `avoided` would have cost.
    pub cost_avoided: Amount,
    /// The sum of the lines at the provider's list prices; the cost, where there is no list in its currency.
    pub list_cost: Amount,
    /// What we owe.
    pub cost: Amount,
    /// What the customer is billed.
    pub charge: Amount,
    /// ISO 4217 code of all amounts but the charge.
    pub currency: &'e str,
    /// ISO 4217 code of the charge.
    pub charge_currency: &'e str,
    /// The units that are owed and have no price, at cost or in the charge.
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
    beside: planes::Scratch,
}

/// Hands each entry of an event to `out`: the model that answered first, then other models that worked inside the
/// same response. `in_force` is a whole [`Book`](crate::in_force::Book), or prices alone.
///
/// # Errors
/// [`Reject`] where the event belongs into quarantine; then `out` has not been called for it.
pub fn entries_for<'b>(
    event: &UsageEvent<'_>,
    in_force: impl Into<InForce<'b>>,
    scratch: &mut Scratch,
    mut out: impl FnMut(&Entry<'_, 'b>),
) -> Result<(), Reject> {
    let in_force = in_force.into();
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized)?;
    let attempt = Attempt { event, in_force, normalized: &normalized, outcome: outcome(event, &normalized) };
    let main = attempt.entry(&normalized.main, 0, scratch)?;
    if normalized.further.is_empty() {
        out(&main);
        return Ok(());
    }
    let mut scratches: Vec<Scratch> = normalized.further.iter().map(|_| Scratch::default()).collect();
    let mut entries = vec![main];
    for (position, (record, scratch)) in normalized.further.iter().zip(&mut scratches).enumerate() {
        let ordinal = u16::try_from(position + 1).map_err(|_| Reject {
            reason: Reason::Unpostable,
            detail: "more than 65,535 models in one response".into(),
        })?;
        entries.push(attempt.entry(record, ordinal, scratch)?);
    }
    entries.iter().for_each(out);
    Ok(())
}

/// An entry that was posted before, made again by another book: of the quantities, owners and outcome that it has, not of
/// what the provider sent, which expires. `normalized.main` is what was used of its model; `is_first` tells the entry of
/// the model that answered from those of other models inside the same response.
///
/// # Errors
/// [`Reject`] where the entry would not fit the ledger.
pub fn entry_again<'e, 'b: 'e>(
    event: &'e UsageEvent<'e>,
    outcome: Outcome,
    normalized: &'e Normalized<'e>,
    is_first: bool,
    in_force: impl Into<InForce<'b>>,
    scratch: &'e mut Scratch,
) -> Result<Entry<'e, 'b>, Reject> {
    let in_force = in_force.into().with_owners_as_said();
    let attempt = Attempt { event, in_force, normalized, outcome };
    attempt.entry(&normalized.main, u16::from(!is_first), scratch)
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

/// What all entries of one event share.
struct Attempt<'e, 'b> {
    event: &'e UsageEvent<'e>,
    in_force: InForce<'b>,
    normalized: &'e Normalized<'e>,
    outcome: Outcome,
}

/// What is to be priced, and whether it is owed.
pub(crate) struct Owing<'e> {
    record: &'e Record<'e>,
    at: Millis,
    is_hit: bool,
    is_reported: bool,
    reported_cost: Option<ProviderCost<'e>>,
    pub(crate) is_owed: bool,
    /// Whether this is the entry that counts as the request.
    pub(crate) is_request: bool,
}

impl<'e, 'b: 'e> Attempt<'e, 'b> {
    /// The entry of one record; the first is of the model that answered.
    fn entry(
        &self,
        record: &'e Record<'e>,
        ordinal: u16,
        scratch: &'e mut Scratch,
    ) -> Result<Entry<'e, 'b>, Reject> {
        let Self { event, in_force, normalized, outcome } = self;
        let is_first = ordinal == 0;
        let is_hit = event.gateway_cache == Some(GatewayCache::Hit);
        let owing = Owing {
            record,
            at: event.occurred_at,
            is_hit,
            is_reported: normalized.is_reported,
            reported_cost: normalized.reported_cost,
            is_owed: *outcome != Outcome::NotBilled && !is_hit,
            is_request: is_first && event.attempt == 1,
        };
        let usage = planes::Usage {
            provider: event.provider,
            provider_account: event.provider_account,
            model: record.model,
            at: event.occurred_at,
        };
        let Scratch { lines, beside: scratch } = scratch;
        let (row, list) = planes::rows(in_force, usage);
        let mut flags = record.flags;
        let cost = rate(row, &owing, &mut flags, lines)?;
        let Owned { owners, cost_center } = in_force.owned(event);
        let Beside { list, charging, charge_currency } = if in_force.has_planes {
            let payer = in_force.payer(event, &Owned { owners, cost_center });
            beside(in_force, (usage, payer), &cost, list, &owing, (&mut flags, scratch))?
        } else {
            Beside { list: None, charging: Charging::AsCost, charge_currency: cost.currency }
        };
        let (charge, charge_unpriced) = match &charging {
            Charging::AsCost => (cost.amount, UnitSet::EMPTY),
            Charging::Row(plane) => (plane.amount, plane.unpriced),
            Charging::Markup(marked) => (marked.amount, marked.unpriced),
        };
        let Plane { lines, amount, currency, unpriced, .. } = cost;
        let unpriced = if owing.is_owed { unpriced.union(charge_unpriced) } else { UnitSet::EMPTY };
        let list_cost = list.as_ref().map_or(amount, |list| list.amount);
        let entry = Entry {
            event,
            owners,
            cost_center,
            ordinal,
            model: record.model,
            outcome: *outcome,
            flags,
            dimensions: record.dimensions,
            attempts: i8::from(is_first),
            requests: i8::from(owing.is_request),
            row,
            lines,
            list,
            charging,
            avoided: &[],
            cost_avoided: Amount::ZERO,
            list_cost,
            cost: amount,
            charge,
            currency,
            charge_currency,
            unpriced,
            reported_cost: normalized.reported_cost.filter(|_| is_first),
        };
        if !is_hit {
            return Ok(entry);
        }
        let (avoided, cost_avoided, zero) = (lines, amount, Amount::ZERO);
        Ok(Entry { lines: &[], avoided, cost_avoided, list_cost: zero, cost: zero, charge: zero, ..entry })
    }
}

/// Prices a record by a row. Raises the flag where usage is missing that is owed.
pub(crate) fn rate<'e, 'b: 'e>(
    row: Option<Match<'b>>,
    owing: &Owing<'e>,
    flags: &mut Flags,
    lines: &'e mut Vec<Line>,
) -> Result<Plane<'e, 'b>, Reject> {
    let Owing { record, is_owed, is_hit, .. } = *owing;
    let billed_report = row
        .filter(|row| row.row.amount_basis == AmountBasis::ProviderReported && is_owed)
        .and(owing.reported_cost);
    let is_missing = is_owed && !owing.is_reported && billed_report.is_none();
    lines.clear();
    let unpriced = match (row, billed_report) {
        (_, Some(reported)) => report(record, reported, lines),
        (Some(row), None) if (is_owed && !is_missing) || is_hit => {
            price(&record.quantities, &record.dimensions, row, owing.at, flags, lines).map_err(overflow)?
        }
        _ => list(record, is_owed || is_hit, lines),
    };
    flags.insert_if(Flag::UsageMissing, is_missing);
    let sum = lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount));
    let amount = sum.ok_or_else(|| overflow(money::Error::Overflow))?;
    lines.iter().try_for_each(fits)?;
    let currency = billed_report.map(|reported| reported.currency);
    let currency = currency.or(row.map(|row| &*row.row.currency)).unwrap_or(CURRENCY_OF_NOTHING);
    Ok(Plane { row, lines, amount, currency, unpriced })
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

pub(crate) fn overflow(error: money::Error) -> Reject {
    Reject { reason: Reason::Unpostable, detail: format!("the amount does not fit the ledger: {error}") }
}

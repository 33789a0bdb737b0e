//! The planes of money beside the cost: what the provider lists, and what the customer is charged. Each is worked
//! out only where it can differ from the cost.

use crate::entry::{Owing, overflow, rate};
use crate::event::Millis;
use crate::in_force::InForce;
use crate::markup::{Base, InEffect, MarkedLine, Payer};
use crate::money::Amount;
use crate::price::Line;
use crate::prices::{Match, Whose};
use crate::reject::Reject;
use crate::unit::UnitSet;
use crate::usage::Flags;

/// One plane of an entry, priced by a row.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'e, 'b> {
    /// The row.
    pub row: Option<Match<'b>>,
    /// What was used, priced by it.
    pub lines: &'e [Line],
    /// The sum of the lines.
    pub amount: Amount,
    /// ISO 4217 code of the amounts.
    pub currency: &'e str,
    /// The units that are owed and have no price.
    pub unpriced: UnitSet,
}

/// How a charge was come by.
#[derive(Clone, Copy, Debug)]
pub enum Charging<'e, 'b> {
    /// It is the cost.
    AsCost,
    /// By a row for the customer, the team or the plan.
    Row(Plane<'e, 'b>),
    /// By a markup.
    Markup(Marked<'e, 'b>),
}

/// A charge that a markup made.
#[derive(Clone, Copy, Debug)]
pub struct Marked<'e, 'b> {
    /// The markup.
    pub by: InEffect<'b>,
    /// The charge, line by line.
    pub lines: &'e [MarkedLine],
    /// The sum of the lines.
    pub amount: Amount,
    /// ISO 4217 code of the charge.
    pub currency: &'e str,
    /// The units that are owed and have no price.
    pub unpriced: UnitSet,
}

/// Memory for the lines of the planes beside the cost.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    list: Vec<Line>,
    charge: Vec<Line>,
    marked: Vec<MarkedLine>,
}

/// Which usage of one event a plane is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Usage<'e> {
    pub(crate) provider: &'e str,
    pub(crate) provider_account: Option<&'e str>,
    pub(crate) model: &'e str,
    pub(crate) at: Millis,
}

/// The rows of the cost and of the list; the list's only where it is another one.
pub(crate) fn rows<'b>(in_force: &InForce<'b>, usage: Usage<'_>) -> (Option<Match<'b>>, Option<Match<'b>>) {
    let prices = in_force.prices;
    let public = prices.find(usage.provider, usage.model, usage.at);
    let Some(account) = usage.provider_account.filter(|_| prices.has_scoped()) else { return (public, None) };
    match prices.find_for(Whose::ProviderAccount(account), usage.provider, usage.model, usage.at) {
        Some(contract) => (Some(contract), public),
        None => (public, None),
    }
}

/// What is beside the cost.
pub(crate) struct Beside<'e, 'b> {
    pub(crate) list: Option<Plane<'e, 'b>>,
    pub(crate) charging: Charging<'e, 'b>,
    pub(crate) charge_currency: &'e str,
}

/// The planes beside a cost. Nothing that is not owed has lines on any plane, but the currency in which it would have
/// been charged is told all the same.
pub(crate) fn beside<'e, 'b: 'e>(
    in_force: &InForce<'b>,
    (usage, payer): (Usage<'_>, Payer<'_>),
    cost: &Plane<'e, 'b>,
    list: Option<Match<'b>>,
    owing: &Owing<'e>,
    (flags, scratch): (&mut Flags, &'e mut Scratch),
) -> Result<Beside<'e, 'b>, Reject> {
    let Scratch { list: list_lines, charge, marked } = scratch;
    let list = match list.filter(|_| owing.is_owed) {
        Some(row) => Some(rate(Some(row), owing, &mut Flags::default(), list_lines)?),
        None => None,
    };
    // An entry has one currency for what it costs, so a list in another one does not tell its list cost.
    let list = list.filter(|list| list.currency == cost.currency);
    let charging = match (charge_row(in_force, payer, usage), owing.is_owed) {
        (Some(row), true) => {
            let plane = rate(Some(row), owing, flags, charge)?;
            return Ok(Beside { list, charge_currency: plane.currency, charging: Charging::Row(plane) });
        }
        (Some(row), false) => {
            return Ok(Beside { list, charging: Charging::AsCost, charge_currency: &row.row.currency });
        }
        (None, _) => in_force.markups.and_then(|all| all.find(payer, usage.provider, usage.model, usage.at)),
    };
    let Some(by) = charging else {
        return Ok(Beside { list, charging: Charging::AsCost, charge_currency: cost.currency });
    };
    let base = match by.markup.base {
        Base::Cost => cost,
        Base::ListCost => list.as_ref().unwrap_or(cost),
    };
    let charge_currency = by.markup.currency_of(base.currency);
    if !owing.is_owed {
        return Ok(Beside { list, charging: Charging::AsCost, charge_currency });
    }
    marked.clear();
    let (amount, unpriced) =
        by.markup.charge(base.lines, base.currency, owing.is_request, marked).map_err(overflow)?;
    let charging =
        Charging::Markup(Marked { by, lines: marked, amount, currency: charge_currency, unpriced });
    Ok(Beside { list, charging, charge_currency })
}

/// The row that prices the charge: the customer's, else the team's, else the plan's.
fn charge_row<'b>(in_force: &InForce<'b>, payer: Payer<'_>, usage: Usage<'_>) -> Option<Match<'b>> {
    let prices = in_force.prices;
    if !prices.has_scoped() {
        return None;
    }
    let whose =
        [payer.customer.map(Whose::Customer), payer.team.map(Whose::Team), payer.plan.map(Whose::Plan)];
    whose
        .into_iter()
        .flatten()
        .find_map(|whose| prices.find_for(whose, usage.provider, usage.model, usage.at))
}

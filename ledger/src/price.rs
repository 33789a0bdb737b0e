//! Prices quantities by a model row: a line for each unit, exact, and a reason for each unit that has no price.

mod resolve;

use crate::event::Millis;
use crate::money::{self, Amount, Decimal, rate};
use crate::prices::{Match, Price};
use crate::unit::{Unit, UnitSet};
use crate::usage::{Dimensions, Flag, Flags, Quantities, STANDARD};
use resolve::{Resolution, Resolver};

/// One priced quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// What was used.
    pub unit: Unit,
    /// How much.
    pub quantity: Decimal,
    /// At which price; `None` where there is none or nothing is owed.
    pub price: Option<LinePrice>,
    /// Charged quantity × amount × factor / per, rounded half-even at 18 decimals; zero where there is no price.
    pub amount: Amount,
    /// Where the price comes from.
    pub basis: Basis,
}

/// The price of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinePrice {
    /// Money for `per` of the unit.
    pub amount: Decimal,
    /// For how many of the unit.
    pub per: u64,
    /// Product of the multipliers that applied.
    pub factor: Decimal,
    /// Position among the row's prices, whose conditions say why it holds; `None` for zero by rule.
    pub row_price: Option<u16>,
    /// The quantity that was charged instead of a smaller one.
    pub minimum: Option<Decimal>,
    /// The step to a multiple of which the quantity, or its minimum, was rounded up before it was charged; `None`
    /// where it was one already.
    pub increment: Option<Decimal>,
    unit_price: Option<Decimal>,
}

/// Where a line's price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The row's own price of the unit, or zero by rule.
    Own,
    /// The row's price of another unit or tier, with which the unit's own agrees.
    Derived,
    /// The row's price of another unit, because the unit has none.
    Fallback(Unit),
    /// The amount that the provider reported.
    Reported,
    /// Nothing is owed.
    NotOwed,
    /// There is no price.
    Unpriced(Why),
}

crate::event::names! {
    /// Why a unit has no price.
    Why {
        /// No model row holds.
        NoRow = "no_row",
        /// The row prices neither the unit nor one that could stand in for it.
        NoPrice = "no_price",
        /// The row prices the unit, but not in this tier or context step.
        NoPriceInTier = "no_price_in_tier",
        /// The row prices the unit, but not of this size, quality, resolution or the like.
        NoPriceForDimensions = "no_price_for_dimensions",
        /// The row prices the modality apart from text, so that the cached text price does not tell its own.
        ModalityApart = "modality_apart",
        /// One hour cache writes cost more than others, and the row does not say how much.
        NoPriceForLifetime = "no_price_for_lifetime",
    }
}

/// `own`, `derived`, `fallback:<unit>`, `reported`, `not_owed` or `unpriced:<why>`.
impl std::fmt::Display for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Derived => f.write_str("derived"),
            Self::Fallback(unit) => write!(f, "fallback:{unit}"),
            Self::Reported => f.write_str("reported"),
            Self::NotOwed => f.write_str("not_owed"),
            Self::Unpriced(why) => write!(f, "unpriced:{}", why.name()),
        }
    }
}

impl Line {
    /// A line that costs nothing, for the reason that `basis` gives.
    #[must_use]
    pub const fn without_price(unit: Unit, quantity: Decimal, basis: Basis) -> Self {
        Self { unit, quantity, price: None, amount: Amount::ZERO, basis }
    }

    /// Price × factor / per, where that is exact within 18 decimals and quantity × it is the line's amount;
    /// `None` elsewhere.
    #[must_use]
    pub fn unit_price(&self) -> Option<Decimal> {
        self.price.as_ref().filter(|price| price.minimum.is_none() && price.increment.is_none())?.unit_price
    }

    /// The quantity that the price is multiplied by: the line's own, at least the minimum, then up to a multiple of
    /// the increment.
    #[must_use]
    pub fn charged(&self) -> Decimal {
        let Some(price) = &self.price else { return self.quantity };
        let least = price.minimum.unwrap_or(self.quantity);
        // What could not be rounded up was not priced either.
        price.increment.and_then(|step| least.round_up_to(step).ok()).unwrap_or(least)
    }
}

/// Prices quantities by a row, adds their lines to `lines`, and returns the units that have no price.
///
/// # Errors
/// [`money::Error::Overflow`] where an amount has more than 38 digits.
pub fn price(
    quantities: &Quantities,
    dimensions: &Dimensions<'_>,
    row: Match<'_>,
    at: Millis,
    flags: &mut Flags,
    lines: &mut Vec<Line>,
) -> Result<UnitSet, money::Error> {
    let is_aggregate = flags.contains(Flag::AggregateNoTier);
    let mut unpriced = UnitSet::EMPTY;
    let mut resolver = Resolver::new(row, dimensions, at, is_aggregate);
    let implied = resolver.implies_request(quantities).then_some((Unit::Requests, Decimal::ONE));
    for (unit, quantity) in quantities.iter().chain(implied) {
        flags.insert_if(Flag::SearchContextAssumed, resolver.assumes_search_context(unit));
        let line = match resolver.resolve(unit) {
            Resolution::Unpriced(why) => {
                unpriced.insert(unit);
                Line::without_price(unit, quantity, Basis::Unpriced(why))
            }
            Resolution::Zero => zero(unit, quantity),
            Resolution::Priced { position, is_halved, basis } => {
                let price = &row.row.prices[usize::from(position)];
                let factor = factor(price, unit, row, dimensions, flags)?;
                rated(unit, quantity, Rated { price, position, is_halved, factor, basis }, row)?
            }
        };
        lines.push(line);
    }
    Ok(unpriced)
}

/// Free by rule.
fn zero(unit: Unit, quantity: Decimal) -> Line {
    let price = LinePrice {
        amount: Decimal::ZERO,
        per: 1,
        factor: Decimal::ONE,
        row_price: None,
        minimum: None,
        increment: None,
        unit_price: Some(Decimal::ZERO),
    };
    Line { unit, quantity, price: Some(price), amount: Amount::ZERO, basis: Basis::Own }
}

/// How a line is to be rated.
#[derive(Clone, Copy)]
struct Rated<'b> {
    price: &'b Price,
    position: u16,
    is_halved: bool,
    factor: Decimal,
    basis: Basis,
}

fn rated(unit: Unit, quantity: Decimal, rated: Rated<'_>, row: Match<'_>) -> Result<Line, money::Error> {
    let Rated { price, position, is_halved, factor, basis } = rated;
    let per = price.per;
    let half = || Decimal::new(5, 1).and_then(|half| price.amount.checked_mul(half));
    let amount = if is_halved { half()? } else { price.amount };
    let unit_price = if is_halved || factor != Decimal::ONE {
        let exact = amount.checked_mul(factor).ok().and_then(|amount| amount.div_exact(per));
        exact.and_then(|exact| Some((exact, exact.to_raw18()?)))
    } else {
        row.rates.unit_price(position)
    };
    let least = row.row.minimums.iter().find(|minimum| minimum.unit == unit).map(|minimum| minimum.quantity);
    let minimum = least.filter(|least| quantity < *least);
    let least = minimum.unwrap_or(quantity);
    let step = row.row.increments.iter().find(|increment| increment.unit == unit);
    let charged = step.map_or(Ok(least), |step| least.round_up_to(step.quantity))?;
    let increment = step.map(|step| step.quantity).filter(|_| charged != least);
    let quick = unit_price.and_then(|unit_price| quantity_times(charged, unit_price));
    let sum = quick.map_or_else(|| rate(charged, amount, factor, per), Ok)?;
    // A unit price times the quantity is the amount only where nothing was rounded.
    let unit_price = unit_price.filter(|_| quick.is_some()).map(|(exact, _)| exact);
    let line_price =
        LinePrice { amount, per, factor, row_price: Some(position), minimum, increment, unit_price };
    Ok(Line { unit, quantity, price: Some(line_price), amount: sum, basis })
}

/// The exact product, where both factors end early enough that nothing needs rounding.
fn quantity_times(quantity: Decimal, (unit_price, raw): (Decimal, i128)) -> Option<Amount> {
    match quantity.to_i64() {
        Some(whole) => raw.checked_mul(i128::from(whole)).and_then(Amount::from_raw),
        None => Amount::try_from(quantity.checked_mul(unit_price).ok()?).ok(),
    }
}

/// The product of all multipliers that apply to a price of tokens; raises the flag where one is missing.
fn factor(
    price: &Price,
    unit: Unit,
    row: Match<'_>,
    dimensions: &Dimensions<'_>,
    flags: &mut Flags,
) -> Result<Decimal, money::Error> {
    if !unit.is_token() {
        return Ok(Decimal::ONE);
    }
    let mut factor = Decimal::ONE;
    let own = &price.conditions;
    let (mut speed, mut geo) = (own.speed.is_some(), own.inference_geo.is_some());
    for multiplier in &row.row.multipliers {
        let conditions = &multiplier.conditions;
        // A price that is for this speed or place has the factor in it.
        let is_included = (own.speed.is_some() && conditions.speed.is_some())
            || (own.inference_geo.is_some() && conditions.inference_geo.is_some())
            || (own.region.is_some() && conditions.region.is_some());
        if !is_included && conditions.hold_besides_tier(dimensions, None) && conditions.tier_holds(dimensions)
        {
            factor = factor.checked_mul(multiplier.factor)?;
            speed |= conditions.speed.is_some();
            geo |= conditions.inference_geo.is_some();
        }
    }
    let is_fast = dimensions.speed != STANDARD;
    let is_placed = dimensions.inference_geo.is_some_and(|geo| !matches!(geo, "global" | "not_available"));
    flags.insert_if(Flag::MultiplierMissing, (is_fast && !speed) || (is_placed && !geo));
    Ok(factor)
}

//! The prices of one row, arranged so that the one that holds for an event is found without searching the row.

use super::{Conditions, Error, ModelRow, Price};
use crate::event::Millis;
use crate::money::Decimal;
use crate::unit::Unit;
use crate::usage::{BATCH, Dimensions, INTERACTIVE, STANDARD, tier};

/// The position of the standard tier.
pub(crate) const STANDARD_TIER: u8 = 0;

/// The prices of one row by unit, tier and context step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Names of the tiers from position 1 on; batch processing is a tier.
    tiers: Vec<Box<str>>,
    /// Smallest prompts of the context steps from position 1 on, ascending.
    floors: Vec<u64>,
    cells: Vec<Cell>,
    /// Where the cells of each unit begin and end.
    spans: [(u16, u16); Unit::COUNT],
    /// By position in the row: what one of the unit costs, also as 10^-18, where that ends within 18 decimals.
    unit_prices: Vec<Option<(Decimal, i128)>>,
}

/// A price in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    unit: Unit,
    tier: u8,
    step: u8,
    /// How specific the price is: the number of its conditions, then its context step.
    rank: (usize, u64),
    price: u16,
    is_conditional: bool,
}

impl Rates {
    /// Arranges the prices of a row.
    ///
    /// # Errors
    /// [`Error`] where a price breaks a rule or two prices are ambiguous.
    pub(crate) fn of(row: &ModelRow) -> Result<Self, Error> {
        let invalid = |detail: String| Error::InvalidRow { row: row.id.clone(), detail };
        let mut rates = Self {
            tiers: Vec::new(),
            floors: Vec::new(),
            cells: Vec::new(),
            spans: [(0, 0); Unit::COUNT],
            unit_prices: row.prices.iter().map(unit_price).collect(),
        };
        for price in &row.prices {
            check(price).map_err(|detail| invalid(format!("{}: {detail}", price.unit)))?;
            if price.unit.is_token() {
                rates.see(&price.conditions);
            }
        }
        if rates.tiers.len() > usize::from(u8::MAX - 1) || rates.floors.len() > usize::from(u8::MAX - 1) {
            return Err(invalid("more than 254 tiers or context steps".into()));
        }
        for (position, price) in row.prices.iter().enumerate() {
            let position = u16::try_from(position).map_err(|_| invalid("more than 65,536 prices".into()))?;
            rates.cells.push(rates.cell(position, price));
        }
        rates.cells.sort_by_key(|cell| (cell.unit, cell.price));
        rates.set_spans();
        rates.refuse_ambiguity(row)?;
        Ok(rates)
    }

    /// The tier of these dimensions; `None` where no price of the row knows it.
    pub(crate) fn tier(&self, dimensions: &Dimensions<'_>) -> Option<u8> {
        let name = if dimensions.processing == BATCH { BATCH } else { dimensions.service_tier };
        if name == STANDARD {
            return Some(STANDARD_TIER);
        }
        let position = self.tiers.iter().position(|tier| **tier == *name)?;
        u8::try_from(position + 1).ok()
    }

    /// The context step of a prompt.
    pub(crate) fn step(&self, prompt_tokens: u64) -> u8 {
        let crossed = self.floors.iter().filter(|floor| **floor <= prompt_tokens).count();
        u8::try_from(crossed).unwrap_or(u8::MAX)
    }

    /// The most specific price of a unit that holds, as its position in the row. Tier and step count for tokens
    /// only; anything else may name them as further conditions.
    pub(crate) fn select(
        &self,
        row: &ModelRow,
        unit: Unit,
        place: (u8, u8),
        dimensions: &Dimensions<'_>,
        at: Millis,
    ) -> Option<u16> {
        // Off-peak hours are for the standard tier.
        let at = (place.0 == STANDARD_TIER).then_some(at);
        let holds = |cell: &&Cell| {
            let placed = !unit.is_token() || (cell.tier, cell.step) == place;
            placed
                && (!cell.is_conditional || {
                    let conditions = &row.prices[usize::from(cell.price)].conditions;
                    conditions.hold_besides_tier(dimensions, at)
                        && (unit.is_token() || conditions.tier_holds(dimensions))
                })
        };
        self.of_unit(unit).iter().filter(holds).max_by_key(|cell| cell.rank).map(|cell| cell.price)
    }

    /// Whether a unit has a price in the standard tier, in whatever context step.
    pub(crate) fn has_standard(&self, unit: Unit) -> bool {
        self.of_unit(unit).iter().any(|cell| cell.tier == STANDARD_TIER)
    }

    /// Whether a unit has any price.
    pub(crate) fn has_any(&self, unit: Unit) -> bool {
        !self.of_unit(unit).is_empty()
    }

    /// The positions of all prices of a unit.
    pub(crate) fn prices_of(&self, unit: Unit) -> impl Iterator<Item = u16> + '_ {
        self.of_unit(unit).iter().map(|cell| cell.price)
    }

    /// What one of the unit costs at a price of the row, also as 10^-18, where that ends within 18 decimals.
    pub(crate) fn unit_price(&self, price: u16) -> Option<(Decimal, i128)> {
        self.unit_prices.get(usize::from(price)).copied().flatten()
    }

    fn of_unit(&self, unit: Unit) -> &[Cell] {
        let (from, to) = self.spans[unit.index()];
        &self.cells[usize::from(from)..usize::from(to)]
    }

    fn see(&mut self, conditions: &Conditions) {
        if let Some(name) =
            tier_name(conditions).filter(|name| !self.tiers.iter().any(|tier| **tier == **name))
        {
            self.tiers.push(name.into());
        }
        if let Some(floor) = floor(conditions)
            && let Err(position) = self.floors.binary_search(&floor)
        {
            self.floors.insert(position, floor);
        }
    }

    fn cell(&self, position: u16, price: &Price) -> Cell {
        let conditions = &price.conditions;
        let tier = tier_name(conditions).and_then(|name| self.tiers.iter().position(|tier| **tier == *name));
        let step = floor(conditions).and_then(|floor| self.floors.binary_search(&floor).ok());
        let place = |position: Option<usize>| {
            position.and_then(|position| u8::try_from(position + 1).ok()).unwrap_or(0)
        };
        let mut placed = usize::from(tier.is_some()) + usize::from(step.is_some());
        if !price.unit.is_token() {
            placed = 0;
        }
        Cell {
            unit: price.unit,
            tier: place(tier),
            step: place(step),
            rank: (conditions.count(), floor(conditions).unwrap_or(0)),
            price: position,
            is_conditional: conditions.count() > placed,
        }
    }

    fn set_spans(&mut self) {
        for unit in Unit::ALL {
            let from = self.cells.partition_point(|cell| cell.unit < *unit);
            let to = self.cells.partition_point(|cell| cell.unit <= *unit);
            let position = |cells: usize| u16::try_from(cells).unwrap_or(u16::MAX);
            self.spans[unit.index()] = (position(from), position(to));
        }
    }

    fn refuse_ambiguity(&self, row: &ModelRow) -> Result<(), Error> {
        for (position, one) in self.cells.iter().enumerate() {
            let same = |two: &&Cell| {
                two.unit == one.unit && (!one.unit.is_token() || (two.tier, two.step) == (one.tier, one.step))
            };
            for two in self.cells[position + 1..].iter().take_while(|two| two.unit == one.unit).filter(same) {
                let (first, second) =
                    (&row.prices[usize::from(one.price)], &row.prices[usize::from(two.price)]);
                let both_hold = first.conditions.overlap(&second.conditions);
                if one.rank == two.rank && both_hold && !first.equals(second) {
                    return Err(Error::Ambiguous {
                        row: row.id.clone(),
                        unit: one.unit,
                        first: first.conditions.to_string(),
                        second: second.conditions.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn unit_price(price: &Price) -> Option<(Decimal, i128)> {
    let unit_price = price.amount.div_exact(price.per)?;
    Some((unit_price, unit_price.to_raw18()?))
}

/// The tier that a price is for; `None` for the standard one.
fn tier_name(conditions: &Conditions) -> Option<&str> {
    if conditions.processing.as_deref() == Some(BATCH) {
        return Some(BATCH);
    }
    conditions.service_tier.as_deref().filter(|tier| *tier != STANDARD)
}

/// The smallest prompt that a price is for; `None` for any.
fn floor(conditions: &Conditions) -> Option<u64> {
    conditions.prompt_tokens_total.map(super::Bound::floor).filter(|floor| *floor > 0)
}

fn check(price: &Price) -> Result<(), String> {
    let conditions = &price.conditions;
    if price.per == 0 {
        return Err("`per` must be at least 1".into());
    }
    if price.amount.is_negative() {
        return Err(format!("price {} is below zero", price.amount));
    }
    if let Some(name) = conditions.service_tier.as_deref()
        && (tier(name) != name || name == BATCH)
    {
        let remedy = if name == BATCH { "`processing: batch`".into() } else { format!("`{}`", tier(name)) };
        return Err(format!("the tier {name:?} is written {remedy}"));
    }
    match conditions.processing.as_deref() {
        None | Some(INTERACTIVE) => {}
        Some(BATCH) if conditions.service_tier.is_none() => {}
        Some(BATCH) => return Err("batch has no tiers: leave `service_tier` out".into()),
        Some(other) => return Err(format!("`processing` is `interactive` or `batch`, not {other:?}")),
    }
    Ok(())
}

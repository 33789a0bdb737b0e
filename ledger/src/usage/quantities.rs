//! How much of each unit an attempt used.

use super::Error;
use crate::money::Decimal;
use crate::unit::{Unit, UnitSet};

/// Disjoint quantities. Only what is above zero is present.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantities {
    present: UnitSet,
    values: [Decimal; Unit::COUNT],
}

impl Default for Quantities {
    fn default() -> Self {
        Self { present: UnitSet::EMPTY, values: [Decimal::ZERO; Unit::COUNT] }
    }
}

impl Quantities {
    /// The quantity of a unit; 0 where it is not present.
    #[must_use]
    pub fn get(&self, unit: Unit) -> Decimal {
        self.values[unit.index()]
    }

    /// The units that are present.
    #[must_use]
    pub const fn units(&self) -> UnitSet {
        self.present
    }

    /// Whether no unit is present.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Units and quantities, in the order of [`Unit::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Unit, Decimal)> + '_ {
        self.present.iter().map(|unit| (unit, self.get(unit)))
    }

    /// Adds a count.
    ///
    /// # Errors
    /// As [`Quantities::add_decimal`].
    pub fn add(&mut self, unit: Unit, count: u64) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        self.add_decimal(unit, Decimal::from(count))
    }

    /// Adds a quantity.
    ///
    /// # Errors
    /// [`Error::MalformedUsage`] for one below zero, or a fraction of what comes whole; [`Error::Unpostable`]
    /// where the sum is more than the ledger can keep.
    pub fn add_decimal(&mut self, unit: Unit, quantity: Decimal) -> Result<(), Error> {
        if quantity.is_negative() {
            return Err(Error::malformed(format_args!("{unit} is below zero: {quantity}")));
        }
        if unit.is_whole() && !quantity.is_whole() {
            return Err(Error::malformed(format_args!("{unit} comes whole, not as {quantity}")));
        }
        if quantity.is_zero() {
            return Ok(());
        }
        let value = &mut self.values[unit.index()];
        let sum = if value.is_zero() { Ok(quantity) } else { value.checked_add(quantity) };
        let fits = |sum: &Decimal| {
            if unit.is_whole() { sum.to_i64().is_some() } else { sum.to_raw18().is_some() }
        };
        *value = sum
            .ok()
            .filter(fits)
            .ok_or_else(|| Error::unpostable(format_args!("{unit} is more than the ledger can keep")))?;
        self.present.insert(unit);
        Ok(())
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        for unit in self.present.iter() {
            self.values[unit.index()] = Decimal::ZERO;
        }
        self.present = UnitSet::EMPTY;
    }

    /// The sum of all input token units.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        self.sum_of(Unit::is_input_token)
    }

    /// The sum of all output token units.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        self.sum_of(Unit::is_output_token)
    }

    /// The prompt's size as context steps measure it: every input token that no tool put there.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.sum_of(Unit::is_prompt_token)
    }

    fn sum_of(&self, counted: impl Fn(Unit) -> bool) -> u64 {
        self.iter()
            .filter(|(unit, _)| counted(*unit))
            .filter_map(|(_, quantity)| u64::try_from(quantity.to_i64()?).ok())
            .fold(0, u64::saturating_add)
    }
}

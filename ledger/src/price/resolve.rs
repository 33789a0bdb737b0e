//! Decides which price of a row holds for a unit: its own, one that agrees with it, or one that stands in for it.

use super::{Basis, Why};
use crate::event::Millis;
use crate::prices::{Match, Price};
use crate::unit::Unit;
use crate::usage::{BATCH, Dimensions, Quantities};

/// The size of search context that is assumed where nobody states it.
const ASSUMED_SEARCH_CONTEXT: &str = "medium";

/// What is known of a unit's price.
#[derive(Clone, Copy)]
pub(super) enum Resolution {
    /// A price of the row.
    Priced {
        /// Its position.
        position: u16,
        /// Half of it holds.
        is_halved: bool,
        /// Where it comes from.
        basis: Basis,
    },
    /// Free by rule.
    Zero,
    /// None.
    Unpriced(Why),
}

/// Looks prices up for one record.
pub(super) struct Resolver<'b, 'a> {
    row: Match<'b>,
    dimensions: Dimensions<'a>,
    at: Millis,
    tier: Option<u8>,
    step: u8,
    states_search_context: bool,
}

impl<'b, 'a> Resolver<'b, 'a> {
    pub(super) fn new(row: Match<'b>, dimensions: &Dimensions<'a>, at: Millis, is_aggregate: bool) -> Self {
        let states_search_context = dimensions.search_context_size.is_some();
        let search_context_size = dimensions.search_context_size.or(Some(ASSUMED_SEARCH_CONTEXT));
        Self {
            row,
            dimensions: Dimensions { search_context_size, ..*dimensions },
            at,
            tier: row.rates.tier(dimensions),
            step: if is_aggregate { 0 } else { row.rates.step(dimensions.prompt_tokens_total) },
            states_search_context,
        }
    }

    /// Whether the row charges for the request itself, which no usage counts. A fee that depends on the search
    /// context is for searches, and not owed where those were counted.
    pub(super) fn implies_request(&self, quantities: &Quantities) -> bool {
        let rates = self.row.rates;
        let is_search_fee = |position: u16| self.price(position).conditions.search_context_size.is_some();
        let searches_are_counted = quantities.units().contains(Unit::WebSearchCalls);
        !quantities.units().contains(Unit::Requests)
            && rates.has_any(Unit::Requests)
            && !(searches_are_counted && rates.prices_of(Unit::Requests).any(is_search_fee))
    }

    /// Whether the price of the unit depends on a search context that nobody stated.
    pub(super) fn assumes_search_context(&self, unit: Unit) -> bool {
        if self.states_search_context || unit.is_token() {
            return false;
        }
        let mut by_size = self
            .row
            .rates
            .prices_of(unit)
            .map(|position| self.price(position))
            .filter(|price| price.conditions.search_context_size.is_some());
        by_size.next().is_some_and(|first| by_size.any(|other| !other.equals(first)))
    }

    pub(super) fn resolve(&mut self, unit: Unit) -> Resolution {
        if unit.is_token()
            && self.dimensions.service_tier == "provisioned"
            && self.dimensions.processing != BATCH
        {
            return Resolution::Zero;
        }
        self.look_up(unit)
    }

    fn look_up(&self, unit: Unit) -> Resolution {
        if let Some(position) = self.tier.and_then(|tier| self.select(unit, tier, self.step)) {
            return Resolution::Priced { position, is_halved: false, basis: Basis::Own };
        }
        if !unit.is_token() {
            return self.look_up_untiered(unit);
        }
        if self.row.rates.has_standard(unit) { self.derive(unit) } else { self.fall_back(unit) }
    }

    /// Whatever is no token keeps its standard price in every tier and context step.
    fn look_up_untiered(&self, unit: Unit) -> Resolution {
        if let Some(position) = self.select(unit, 0, 0) {
            return Resolution::Priced { position, is_halved: false, basis: Basis::Own };
        }
        let rates = self.row.rates;
        let is_paid_otherwise = match unit {
            Unit::WebSearchCalls => rates.has_any(Unit::GroundedPrompts),
            Unit::GroundedPrompts => rates.has_any(Unit::WebSearchCalls),
            Unit::WebFetchCalls | Unit::Requests => true,
            _ => false,
        };
        if rates.has_any(unit) {
            Resolution::Unpriced(Why::NoPriceForDimensions)
        } else if is_paid_otherwise {
            Resolution::Zero
        } else {
            Resolution::Unpriced(Why::NoPrice)
        }
    }

    /// The unit has a price, but none in this tier or step. Where its standard price is that of the unit it would
    /// fall back to, that unit's price in this tier holds for both.
    fn derive(&self, unit: Unit) -> Resolution {
        if unit == Unit::InputCacheWrite1hTokens && self.dimensions.processing == BATCH {
            let standard = self.select(unit, 0, self.step);
            return standard.map_or(Resolution::Unpriced(Why::NoPriceInTier), |position| {
                Resolution::Priced { position, is_halved: true, basis: Basis::Derived }
            });
        }
        let stand_in = stand_ins(unit).iter().find(|stand_in| self.row.rates.has_any(**stand_in));
        let agreeing = stand_in.filter(|stand_in| self.agree(unit, **stand_in));
        match agreeing.map(|stand_in| self.look_up(*stand_in)) {
            Some(Resolution::Priced { position, is_halved, .. }) => {
                Resolution::Priced { position, is_halved, basis: Basis::Derived }
            }
            _ => Resolution::Unpriced(Why::NoPriceInTier),
        }
    }

    /// The unit has no price at all: the first unit of its chain that has one decides.
    fn fall_back(&self, unit: Unit) -> Resolution {
        match unit {
            Unit::InputGroundingTokens | Unit::OutputCitationTokens => return Resolution::Zero,
            Unit::InputCacheWrite1hTokens => return Resolution::Unpriced(Why::NoPriceForLifetime),
            _ if self.is_modality_apart(unit) => return Resolution::Unpriced(Why::ModalityApart),
            _ => {}
        }
        let stand_in = stand_ins(unit).iter().find(|stand_in| self.row.rates.has_any(**stand_in));
        let Some(stand_in) = stand_in else { return Resolution::Unpriced(Why::NoPrice) };
        match self.look_up(*stand_in) {
            Resolution::Priced { position, is_halved, .. } => {
                Resolution::Priced { position, is_halved, basis: Basis::Fallback(*stand_in) }
            }
            other => other,
        }
    }

    /// Whether these are cached tokens of a modality that the row prices at another price than text.
    fn is_modality_apart(&self, unit: Unit) -> bool {
        let uncached = match unit {
            Unit::InputCacheReadAudioTokens => Unit::InputUncachedAudioTokens,
            Unit::InputCacheReadImageTokens => Unit::InputUncachedImageTokens,
            Unit::InputCacheReadVideoTokens => Unit::InputUncachedVideoTokens,
            _ => return false,
        };
        self.row.rates.has_any(uncached) && !self.agree(uncached, Unit::InputUncachedTokens)
    }

    /// Whether two units have the same standard price.
    fn agree(&self, one: Unit, two: Unit) -> bool {
        let standard = |unit| self.select(unit, 0, 0).map(|position| self.price(position));
        standard(one).zip(standard(two)).is_some_and(|(one, two)| one.equals(two))
    }

    fn select(&self, unit: Unit, tier: u8, step: u8) -> Option<u16> {
        self.row.rates.select(self.row.row, unit, (tier, step), &self.dimensions, self.at)
    }

    fn price(&self, position: u16) -> &'b Price {
        &self.row.row.prices[usize::from(position)]
    }
}

/// The units whose price stands in for that of another, the nearest first.
const fn stand_ins(unit: Unit) -> &'static [Unit] {
    match unit {
        Unit::InputUncachedAudioTokens
        | Unit::InputUncachedImageTokens
        | Unit::InputUncachedVideoTokens
        | Unit::InputUncachedDocumentTokens
        | Unit::InputToolTokens
        | Unit::InputCacheReadTokens
        | Unit::InputCacheWriteTokens => &[Unit::InputUncachedTokens],
        Unit::InputCacheReadAudioTokens
        | Unit::InputCacheReadImageTokens
        | Unit::InputCacheReadVideoTokens => &[Unit::InputCacheReadTokens, Unit::InputUncachedTokens],
        Unit::InputCacheWrite5mTokens => &[Unit::InputCacheWriteTokens, Unit::InputUncachedTokens],
        Unit::OutputReasoningTokens => &[Unit::OutputTextTokens],
        _ => &[],
    }
}

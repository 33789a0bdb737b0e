//! Sources in which a price without a context step holds for every prompt. In a row, a unit that lacks a step's price
//! has none in that step; what the source means is written out.

use std::collections::BTreeSet;

use ledger::prices::{Bound, Conditions, Price};

/// Adds to each price of tokens a copy for every context step of the list at which its unit has no price of its own.
/// The steps of a price with more conditions than the step, such as hours, are its own affair and stay as they are.
pub(super) fn spread(prices: &mut Vec<Price>) {
    let steps: BTreeSet<u64> =
        prices.iter().filter_map(|price| price.conditions.prompt_tokens_total.map(Bound::floor)).collect();
    let bound_of = |floor: u64| {
        let with_floor = |bound: &Bound| bound.floor() == floor;
        prices.iter().filter_map(|price| price.conditions.prompt_tokens_total).find(with_floor)
    };
    let mut copies: Vec<Price> = Vec::new();
    for floor in steps {
        let Some(bound) = bound_of(floor) else { continue };
        for price in prices.iter().filter(|price| price.unit.is_token()) {
            let rest = without_step(&price.conditions);
            let is_same =
                |other: &&Price| other.unit == price.unit && without_step(&other.conditions) == rest;
            let own = |other: &Price| other.conditions.prompt_tokens_total.map_or(0, Bound::floor);
            let below = own(price) < floor;
            let is_nearest =
                prices.iter().filter(is_same).all(|other| own(other) <= own(price) || own(other) > floor);
            if below && is_nearest {
                let conditions = Conditions { prompt_tokens_total: Some(bound), ..rest };
                copies.push(Price { conditions, ..price.clone() });
            }
        }
    }
    prices.extend(copies);
}

fn without_step(conditions: &Conditions) -> Conditions {
    Conditions { prompt_tokens_total: None, ..conditions.clone() }
}

#[cfg(test)]
mod tests {
    use ledger::money::Decimal;
    use ledger::unit::Unit;

    use super::*;
    use crate::prices::import::by_million;

    fn price(unit: Unit, amount: u64, step: Option<u64>) -> Price {
        let conditions = Conditions { prompt_tokens_total: step.map(Bound::Gt), ..Conditions::default() };
        by_million(unit, Decimal::from(amount), conditions)
    }

    #[test]
    fn a_unit_without_steps_keeps_its_price_in_the_steps_of_others() {
        let mut prices = vec![
            price(Unit::InputUncachedTokens, 1, None),
            price(Unit::InputUncachedTokens, 2, Some(100)),
            price(Unit::InputUncachedTokens, 3, Some(200)),
            price(Unit::OutputTextTokens, 9, None),
            price(Unit::WebSearchCalls, 5, None),
        ];
        let written = prices.len();
        spread(&mut prices);
        let added: Vec<_> =
            prices[written..].iter().map(|price| (price.unit, price.conditions.to_string())).collect();
        assert_eq!(
            added,
            [
                (Unit::OutputTextTokens, "prompt_tokens_total>100".to_owned()),
                (Unit::OutputTextTokens, "prompt_tokens_total>200".to_owned()),
            ]
        );
    }
}

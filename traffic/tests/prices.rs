//! The traffic's price file: model rows like any other, with the numbers of LiteLLM's map.

use ledger::prices::{Conditions, Price, PriceBook};
use ledger::unit::Unit;
use traffic::{PRICES_JSON, Prices};

#[test]
fn the_price_file_is_a_price_book_and_the_truth_can_read_it() {
    let rows = schemas::prices::list_from_json(PRICES_JSON).unwrap();
    // 38 models that have a price, three of them at two providers.
    assert_eq!(rows.len(), 41);
    PriceBook::new(rows).unwrap();
    Prices::built_in().unwrap();
}

#[test]
fn every_price_is_the_one_of_the_map() {
    let map = include_str!("../../schemas/prices/litellm/model_prices_1.106.2.json");
    let map = PriceBook::new(
        schemas::prices::litellm::import(map, &schemas::prices::Options::default()).unwrap().rows,
    )
    .unwrap();
    for row in schemas::prices::list_from_json(PRICES_JSON).unwrap() {
        let at = ledger::event::Millis(1_793_491_200_000);
        let imported = map.find(row.provider.as_deref().unwrap(), &row.model, at).unwrap().row;
        for price in row.prices.iter().filter(|price| !price.amount.is_zero()) {
            let same = |other: &&Price| {
                let conditions = Conditions { search_context_size: None, ..other.conditions.clone() };
                other.unit == price.unit && conditions == price.conditions
            };
            let others: Vec<&Price> = imported.prices.iter().filter(same).collect();
            assert!(
                !others.is_empty(),
                "{}: the map has no price of {} for {}",
                row.id,
                price.unit,
                price.conditions
            );
            for other in others {
                // a / b = c / d where a × d = c × b.
                let cross =
                    |amount: ledger::money::Decimal, per: u64| amount.checked_mul(per.into()).unwrap();
                assert_eq!(
                    cross(price.amount, other.per),
                    cross(other.amount, price.per),
                    "{} {}",
                    row.id,
                    price.unit
                );
            }
        }
    }
}

#[test]
fn models_that_nobody_prices_are_in_no_map() {
    let map = include_str!("../../schemas/prices/litellm/model_prices_1.106.2.json");
    for model in ["gpt-6-nova-preview", "atlas-72b-instruct"] {
        assert!(!map.contains(model) && !PRICES_JSON.contains(model), "{model}");
    }
}

#[test]
fn a_search_is_paid_once() {
    for row in schemas::prices::list_from_json(PRICES_JSON).unwrap() {
        let paid = |unit| row.prices.iter().any(|price| price.unit == unit && !price.amount.is_zero());
        assert!(!(paid(Unit::WebSearchCalls) && paid(Unit::GroundedPrompts)), "{}", row.id);
    }
}

#[test]
fn prices_that_the_truth_cannot_use_are_refused() {
    let file = |price: &str| {
        format!(r#"[{{"id": "a", "provider": "b", "model": "c", "currency": "USD", "prices": [{price}]}}]"#)
    };
    Prices::parse(&file(r#"{"unit": "output_text_tokens", "amount": "1", "per": 1000000}"#)).unwrap();
    for price in [
        r#"{"unit": "output_text_tokens", "amount": "1", "per": 3}"#,
        r#"{"unit": "output_text_tokens", "amount": "1", "per": 0}"#,
        r#"{"unit": "output_text_tokens", "amount": "one"}"#,
        r#"{"unit": "tokens", "amount": "1"}"#,
        r#"{"unit": "output_text_tokens", "amount": "1", "when": {"service_tier": "scale"}}"#,
        r#"{"unit": "output_text_tokens", "amount": "1", "when": {"region": {"is": "eu"}}}"#,
    ] {
        assert!(Prices::parse(&file(price)).is_err(), "{price}");
    }
}

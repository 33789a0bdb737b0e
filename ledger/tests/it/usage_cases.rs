//! Every hand-derived case of provider usage becomes exactly the quantities, flags, dimensions and costs that it
//! names. The sums are in the `why` of each case.

use std::collections::BTreeMap;

use ledger::entry::{Scratch, entries_for};
use ledger::money::{Amount, Decimal};
use ledger::prices::{AmountBasis, Conditions, ModelRow, Multiplier, Price, PriceBook, Scope, Source};
use ledger::unit::Unit;
use ledger::usage::{self, Flag, Normalized};
use serde_json::Value;

const CASES: &str = include_str!("../fixtures/usage_cases/cases.jsonl");

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn normalized(case: &Value) -> Normalized<'static> {
    let event = Box::leak(Box::new(crate::support::event(case)));
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized).unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
    normalized
}

#[test]
fn each_case_becomes_the_quantities_it_names() {
    for case in cases() {
        let normalized = normalized(&case);
        let quantities: BTreeMap<_, _> = normalized
            .main
            .quantities
            .iter()
            .map(|(unit, quantity)| (unit.name(), quantity.to_string()))
            .collect();
        let expected: BTreeMap<_, _> = case["expected_units"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(unit, quantity)| {
                (unit.as_str(), quantity.as_str().map_or(quantity.to_string(), str::to_owned))
            })
            .collect();
        assert_eq!(quantities, expected, "{}", case["name"]);
    }
}

#[test]
fn each_case_raises_the_flags_it_names_and_no_others() {
    for case in cases() {
        let flags: Vec<_> = normalized(&case).main.flags.iter().map(Flag::name).collect();
        let expected: Vec<_> = case["expected_flags"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|flag| flag.as_str().unwrap())
            .collect();
        assert_eq!(flags, expected, "{}", case["name"]);
    }
}

#[test]
fn each_case_has_the_dimensions_and_the_model_it_names() {
    for case in cases() {
        let normalized = normalized(&case);
        let dimensions: BTreeMap<_, _> = normalized.main.dimensions.named().collect();
        for (name, value) in case["expected_dimensions"].as_object().into_iter().flatten() {
            assert_eq!(dimensions.get(name.as_str()).copied(), value.as_str(), "{}: {name}", case["name"]);
        }
        if let Some(total) = case["expected_tier"]["value"].as_u64() {
            assert_eq!(normalized.main.dimensions.prompt_tokens_total, total, "{}", case["name"]);
        }
        if let Some(model) = case["expected_model"].as_str() {
            assert_eq!(normalized.main.model, model, "{}", case["name"]);
        }
    }
}

#[test]
fn each_case_keeps_the_cost_that_its_provider_reports() {
    for case in cases() {
        let expected = case["expected_provider_cost"]["amount"].as_str();
        let reported = normalized(&case).reported_cost.map(|cost| cost.amount.to_string());
        assert_eq!(reported.as_deref(), expected, "{}", case["name"]);
    }
}

#[test]
fn each_case_costs_what_it_says_at_the_prices_it_names() {
    let mut costed = 0;
    for case in cases() {
        let Some(expected) = case["expected_cost_usd"]["total"].as_str() else { continue };
        let book = PriceBook::new(vec![row(&case)]).unwrap();
        let event = crate::support::event(&case);
        let mut cost = Amount::ZERO;
        entries_for(&event, &book, &mut Scratch::default(), |entry| {
            assert!(!entry.is_unpriced(), "{}: {:?}", case["name"], entry.unpriced);
            cost = cost.checked_add(entry.cost).unwrap();
        })
        .unwrap();
        assert_eq!(cost.to_string(), expected, "{}", case["name"]);
        costed += 1;
    }
    assert_eq!(costed, 3);
}

/// The prices that a case names, as a row.
fn row(case: &Value) -> ModelRow {
    let costs = &case["expected_cost_usd"];
    let price = |per: u64| {
        move |(unit, amount): (&String, &Value)| Price {
            unit: Unit::parse(unit).unwrap(),
            amount: Decimal::parse(amount.as_str().unwrap()).unwrap(),
            per,
            conditions: Conditions::default(),
        }
    };
    let fields = |name: &str| costs[name].as_object().into_iter().flatten();
    let multiplier = costs["multiplier"].as_str().map(|factor| Multiplier {
        factor: Decimal::parse(factor).unwrap(),
        conditions: Conditions { inference_geo: Some("us".into()), ..Conditions::default() },
    });
    ModelRow {
        id: "case".into(),
        provider: case["provider"].as_str().map(str::to_owned),
        model: case["model"].as_str().unwrap().to_owned(),
        aliases: vec![],
        endpoint_families: vec![],
        currency: "USD".into(),
        effective_from: None,
        scope: Scope::Public,
        supersedes: None,
        amount_basis: AmountBasis::Units,
        prices: fields("prices_per_mtok")
            .map(price(1_000_000))
            .chain(fields("prices_per_k").map(price(1000)))
            .collect(),
        multipliers: multiplier.into_iter().collect(),
        minimums: vec![],
        increments: vec![],
        free_quotas: vec![],
        source: Source::default(),
        unconfirmed: None,
        notes: None,
    }
}

#[test]
fn every_family_that_the_cases_name_is_supported() {
    let supported: Vec<_> = usage::family_names().collect();
    for case in cases() {
        let family = case["endpoint_family"].as_str().unwrap();
        assert!(supported.contains(&family), "{family} of {}", case["name"]);
    }
}

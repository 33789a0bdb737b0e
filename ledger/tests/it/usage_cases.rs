//! Every hand-derived case of provider usage becomes exactly the quantities, flags, dimensions and costs that it
//! names. The sums are in the `why` of each case.

use std::collections::{BTreeMap, BTreeSet};

use ledger::entry::{Scratch, entries_for};
use ledger::money::{Amount, Decimal};
use ledger::prices::{AmountBasis, Conditions, ModelRow, Multiplier, Price, PriceBook, Scope, Source};
use ledger::unit::Unit;
use ledger::usage::{self, Normalized, Quantities};
use serde_json::Value;

/// Cases of captures, bills and documentation, and cases that follow from the rules.
const CASES: [&str; 2] = [
    include_str!("../fixtures/usage_cases/cases.jsonl"),
    include_str!("../fixtures/usage_cases/derived.jsonl"),
];

fn all_cases() -> Vec<Value> {
    CASES.iter().flat_map(|file| file.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The cases that become an entry.
fn cases() -> Vec<Value> {
    all_cases().into_iter().filter(|case| case["expected_reject"].is_null()).collect()
}

fn normalized(case: &Value) -> Result<Normalized<'static>, usage::Error> {
    let event = Box::leak(Box::new(crate::support::event(case)));
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized).map(|()| normalized)
}

/// Fails with every case in which what was found is not what was expected.
fn each<T: PartialEq + std::fmt::Debug>(cases: &[Value], compare: impl Fn(&Value) -> (T, T)) {
    let differs = |case: &Value| {
        let (found, expected) = compare(case);
        (found != expected).then(|| format!("{}: {found:?}, not {expected:?}", case["name"]))
    };
    let different: Vec<_> = cases.iter().filter_map(differs).collect();
    assert!(different.is_empty(), "{} cases differ\n{}", different.len(), different.join("\n"));
}

/// Names and quantities, as text.
fn shown(quantities: &Quantities) -> BTreeMap<String, String> {
    quantities.iter().map(|(unit, quantity)| (unit.name().to_owned(), quantity.to_string())).collect()
}

/// The same of an object in a case, whose decimals are strings.
fn units(object: &Value) -> BTreeMap<String, String> {
    let text = |quantity: &Value| quantity.as_str().map_or(quantity.to_string(), str::to_owned);
    object.as_object().unwrap().iter().map(|(unit, quantity)| (unit.clone(), text(quantity))).collect()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn each_case_becomes_the_quantities_it_names() {
    each(&cases(), |case| {
        let quantities = normalized(case).map(|normalized| shown(&normalized.main.quantities));
        (quantities, Ok(units(&case["expected_units"])))
    });
}

#[test]
fn each_case_has_the_further_records_it_names_and_no_others() {
    each(&cases(), |case| {
        let further = normalized(case).unwrap().further;
        let records: Vec<_> =
            further.iter().map(|record| (record.model.to_owned(), shown(&record.quantities))).collect();
        let expected = array(&case["expected_extra_records"])
            .map(|record| (record["model"].as_str().unwrap().to_owned(), units(&record["units"])));
        (records, expected.collect())
    });
}

#[test]
fn each_case_raises_the_flags_it_names_and_no_others() {
    let book = PriceBook::default();
    each(&cases(), |case| {
        let mut flags = BTreeSet::new();
        let event = crate::support::event(case);
        entries_for(&event, &book, &mut Scratch::default(), |entry| {
            flags.extend(entry.flags.iter().map(|flag| flag.name().to_owned()));
        })
        .unwrap();
        let expected = array(&case["expected_flags"]).map(|flag| flag.as_str().unwrap().to_owned());
        (flags, expected.collect())
    });
}

#[test]
fn each_case_that_is_refused_names_its_reason() {
    let book = PriceBook::default();
    let refused: Vec<_> = all_cases().into_iter().filter(|case| !case["expected_reject"].is_null()).collect();
    assert!(!refused.is_empty());
    each(&refused, |case| {
        let event = crate::support::event(case);
        let reject = entries_for(&event, &book, &mut Scratch::default(), |_| {}).err();
        let reason = reject.map(|reject| reject.reason.name());
        (reason.map(str::to_owned), case["expected_reject"].as_str().map(str::to_owned))
    });
}

#[test]
fn each_case_has_the_dimensions_and_the_model_it_names() {
    each(&cases(), |case| {
        let main = normalized(case).unwrap().main;
        let dimensions: BTreeMap<_, _> = main.dimensions.named().collect();
        let named = case["expected_dimensions"].as_object().into_iter().flatten();
        let (found, mut expected): (Vec<_>, Vec<_>) = named
            .map(|(name, value)| {
                let found = dimensions.get(name.as_str()).map(|value| (*value).to_owned());
                (found, value.as_str().map(str::to_owned))
            })
            .unzip();
        let model = case["expected_model"].as_str().or(case["model"].as_str());
        let total = case["expected_tier"]["value"].as_u64().unwrap_or(main.dimensions.prompt_tokens_total);
        expected.extend([model.map(str::to_owned), Some(total.to_string())]);
        let mut found = found;
        found.push(Some(main.model.to_owned()));
        found.push(Some(main.dimensions.prompt_tokens_total.to_string()));
        (found, expected)
    });
}

#[test]
fn each_case_keeps_the_cost_that_its_provider_reports() {
    each(&cases(), |case| {
        let reported = normalized(case).unwrap().reported_cost.map(|cost| cost.amount.to_string());
        (reported, case["expected_provider_cost"]["amount"].as_str().map(str::to_owned))
    });
}

#[test]
fn each_case_costs_what_it_says_at_the_prices_it_names() {
    let priced: Vec<_> =
        cases().into_iter().filter(|case| case["expected_cost_usd"]["total"].is_string()).collect();
    assert_eq!(priced.len(), 3);
    each(&priced, |case| {
        let book = PriceBook::new(vec![row(case)]).unwrap();
        let event = crate::support::event(case);
        let mut cost = Amount::ZERO;
        entries_for(&event, &book, &mut Scratch::default(), |entry| {
            assert!(!entry.is_unpriced(), "{}: {:?}", case["name"], entry.unpriced);
            cost = cost.checked_add(entry.cost).unwrap();
        })
        .unwrap();
        (Some(cost.to_string()), case["expected_cost_usd"]["total"].as_str().map(str::to_owned))
    });
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

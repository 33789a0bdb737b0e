//! Another program prices the same usage at the same prices: the results agree to the last digit, and where they differ
//! by design the fixture names the reason. `tests/oracle/price_usage.py` writes the fixture.

use std::collections::BTreeMap;

use ledger::entry::{Scratch, entries_for};
use ledger::event::Millis;
use ledger::money::Decimal;
use ledger::prices::{Minimum, ModelRow, PriceBook};
use ledger::unit::Unit;
use serde_json::Value;

use crate::support::{event, row};

const CASES: &str = include_str!("../fixtures/genai_prices/cases.jsonl");

/// The rows of the fixture as a book, and its cases.
fn fixture() -> (PriceBook, Vec<Value>) {
    let lines: Vec<Value> = CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (rows, cases) = lines.into_iter().skip(1).partition::<Vec<_>, _>(|line| line["prices"].is_array());
    (PriceBook::new(rows.iter().map(model_row).collect()).unwrap(), cases)
}

fn model_row(line: &Value) -> ModelRow {
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    let prices: Vec<&str> =
        line["prices"].as_array().unwrap().iter().map(|price| price.as_str().unwrap()).collect();
    let minimum = |(unit, quantity): (&String, &Value)| Minimum {
        unit: Unit::parse(unit).unwrap(),
        quantity: Decimal::parse(quantity.as_str().unwrap()).unwrap(),
    };
    ModelRow {
        id: text("id"),
        provider: Some(text("provider")),
        effective_from: line["effective_from"].as_i64().map(Millis),
        minimums: line["minimums"].as_object().unwrap().iter().map(minimum).collect(),
        ..row(&text("model"), &prices)
    }
}

/// Cost, and the bases of the lines.
fn priced(book: &PriceBook, case: &Value) -> (String, Vec<String>) {
    let mut case = case.clone();
    case["occurred_at"] = case["at"].clone();
    let event = event(&case);
    let mut priced = None;
    entries_for(&event, book, &mut Scratch::default(), |entry| {
        let bases = entry.lines.iter().map(|line| line.basis.to_string()).collect();
        assert!(entry.row.is_some(), "{case}");
        priced = Some((entry.cost.to_string(), bases));
    })
    .unwrap();
    priced.unwrap()
}

#[test]
fn amounts_agree_with_another_program_to_the_last_digit() {
    let (book, cases) = fixture();
    let alike: Vec<_> = cases.iter().filter(|case| case["difference"].is_null()).collect();
    assert!(alike.len() > 400, "only {} cases", alike.len());
    let differs = |case: &&&Value| {
        let (cost, bases) = priced(&book, case);
        cost != case["total"].as_str().unwrap() || bases.iter().any(|basis| basis.starts_with("unpriced"))
    };
    let different: Vec<_> =
        alike.iter().filter(differs).map(|case| format!("{:?}: {case}", priced(&book, case))).collect();
    assert!(different.is_empty(), "{} of {} differ\n{}", different.len(), alike.len(), different.join("\n"));
}

/// The other program takes some price where we say that there is none, or the one that the rules derive.
#[test]
fn where_another_program_guesses_a_price_ours_says_why_it_has_none() {
    let (book, cases) = fixture();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        let Some(difference) = case["difference"].as_str() else { continue };
        *seen.entry(difference).or_default() += 1;
        let (cost, bases) = priced(&book, case);
        let has = |basis: &str| bases.iter().any(|other| other.starts_with(basis));
        let shows = match difference {
            "price_of_a_modality_for_what_was_cached" => has("unpriced:modality_apart"),
            "standard_price_in_a_tier" => has("unpriced:no_price_in_tier") || has("derived"),
            "five_minute_price_for_an_hour" => has("unpriced:no_price_for_lifetime"),
            "text_price_for_other_output" | "no_price_at_all" => has("unpriced:no_price"),
            "text_price_for_citations" | "tool_tokens_count_towards_the_step" => {
                cost != case["total"].as_str().unwrap()
            }
            other => panic!("{other} is no difference by design"),
        };
        assert!(shows, "{difference}: {cost} {bases:?} {case}");
    }
    assert!(seen.len() >= 6, "{seen:?}");
}

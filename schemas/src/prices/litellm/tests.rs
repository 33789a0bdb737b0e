//! Imports the whole map that the project ships, and checks a dozen rows digit for digit.

use std::collections::BTreeMap;

use ledger::prices::{ModelRow, PriceBook};
use ledger::event::Millis;

use super::{Import, import};
use crate::prices::{from_json, same_terms, to_json};

const MAP: &str = include_str!("../../../prices/litellm/model_prices_1.106.2.json");

fn whole() -> Import {
    import(MAP, Some("1.106.2")).unwrap()
}

/// An entry alone.
fn entry(key: &str, fields: &str) -> Import {
    import(&format!(r#"{{"{key}": {fields}}}"#), Some("test")).unwrap()
}

/// Prices as `unit when = amount / per`.
fn prices(row: &ModelRow) -> Vec<String> {
    let when = |conditions: String| if conditions.is_empty() { conditions } else { format!(" {conditions}") };
    row.prices
        .iter()
        .map(|price| {
            format!("{}{} = {} / {}", price.unit, when(price.conditions.to_string()), price.amount, price.per)
        })
        .collect()
}

fn find<'i>(import: &'i Import, provider: &str, model: &str) -> &'i ModelRow {
    let is_it = |row: &&ModelRow| row.provider.as_deref() == Some(provider) && row.model == model;
    import.rows.iter().find(is_it).unwrap_or_else(|| panic!("{provider}/{model}"))
}

fn has(row: &ModelRow, expected: &[&str]) {
    let prices = prices(row);
    for price in expected {
        assert!(prices.iter().any(|found| found == price), "{}: {price} is not in {prices:#?}", row.id);
    }
}

#[test]
fn every_entry_and_every_price_key_is_counted() {
    let import = whole();
    let summary = import.summary;
    println!("{summary:?}");
    let mut reasons = BTreeMap::<&str, usize>::new();
    import.refused.iter().for_each(|refusal| *reasons.entry(&refusal.reason).or_default() += 1);
    println!("{reasons:#?}");
    assert_eq!(summary.entries, 4241);
    let outcomes =
        summary.imported + summary.folded + summary.repeated + summary.conflicting + summary.unpriced;
    assert_eq!(outcomes, summary.entries);
    assert_eq!(summary.used + summary.refused, summary.price_keys);
    assert_eq!(summary.refused, import.refused.len());
    assert_eq!(summary.imported, import.rows.len());
    assert!(!reasons.contains_key("the price key is not known"));
}

#[test]
fn the_whole_map_makes_a_price_book() {
    let import = whole();
    let book = PriceBook::new(import.rows.clone()).unwrap();
    let found = book.find("vertex", "gemini-2.5-pro", Millis(0)).unwrap();
    assert_eq!(found.row.id, "vertex_ai/gemini-2.5-pro@litellm-1.106.2");
}

#[test]
fn importing_twice_brings_the_same_rows() {
    assert_eq!(whole(), whole());
    let hashed = import(MAP, None).unwrap();
    assert!(hashed.rows.iter().zip(&whole().rows).all(|(one, two)| same_terms(one, two)));
}

#[test]
fn every_row_survives_its_own_text() {
    for row in whole().rows {
        let text = to_json(&row).unwrap();
        let read = from_json(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read, row);
        assert_eq!(to_json(&read).unwrap(), text);
    }
}

//! Differences by hand, and of the whole map with itself.

use super::*;
use crate::prices::{Options, list_from_json, read};

const NOW: Millis = Millis(1_795_564_800_000);

fn row(id: &str, model: &str, prices: &str, more: &str) -> ModelRow {
    let text = format!(
        r#"{{"id": "{id}", "provider": "openai", "model": "{model}", "currency": "USD", "prices": [{prices}], "source": {{"name": "map"}}{more}}}"#
    );
    list_from_json(&text).unwrap().remove(0)
}

fn input(amount: &str) -> String {
    format!(r#"{{"unit": "input_uncached_tokens", "amount": "{amount}", "per": 1000000}}"#)
}

fn change(old: &str, new: &str) -> PriceChange {
    let price = |text: &str| {
        list_from_json(&format!(r#"{{"id": "a", "model": "a", "currency": "USD", "prices": [{text}]}}"#))
            .unwrap()[0]
            .prices[0]
            .clone()
    };
    let (old, new) = (price(old), price(new));
    PriceChange { unit: old.unit, conditions: String::new(), old: Some(old), new: Some(new) }
}

#[test]
fn percentages_are_exact_and_rounded_once() {
    assert_eq!(change(&input("2"), &input("2.5")).percent().as_deref(), Some("+25.0"));
    assert_eq!(change(&input("3"), &input("1")).percent().as_deref(), Some("-66.7"));
    // 0.111 / 3600 against 0.00003083: −0.0108 %
    let hour = r#"{"unit": "input_audio_seconds", "amount": "0.111", "per": 3600}"#;
    let second = r#"{"unit": "input_audio_seconds", "amount": "0.00003083"}"#;
    assert_eq!(change(hour, second).percent().as_deref(), Some("-0.0"));
    assert_eq!(change(&input("0"), &input("1")).percent(), None);
}

#[test]
fn the_factor_counts_in_both_directions_and_free_always_counts() {
    let two = Decimal::from(2);
    assert!(!change(&input("2"), &input("4")).exceeds(two), "twice is not more than twice");
    assert!(change(&input("2"), &input("4.000000000001")).exceeds(two));
    assert!(!change(&input("4"), &input("2")).exceeds(two));
    assert!(change(&input("4"), &input("1.999999999999")).exceeds(two));
    assert!(
        change(&input("0"), &input("0.01")).exceeds(two) && change(&input("0.01"), &input("0")).exceeds(two)
    );
    assert!(!change(&input("0"), &input("0")).exceeds(two));
}

#[test]
fn every_row_of_a_file_is_in_one_place() {
    let published = vec![
        row("a@1", "a", &input("2"), ""),
        row("b@1", "b", &input("2"), ""),
        row("c@1", "c", &input("2"), ""),
        row("d@1", "d", &input("2"), r#", "effective_from": "2026-11-01T00:00:00Z""#),
        row("gone@1", "gone", &input("2"), ""),
    ];
    let file = vec![
        row("a@2", "a", &input("2.0"), ""),
        row("b@2", "b", &input("3"), r#", "aliases": ["bee"]"#),
        row("c@1", "c", &input("4"), ""),
        row("d@2", "d", &input("4"), r#", "effective_from": "2026-11-01T00:00:00Z""#),
        row("e@2", "e", &input("4"), ""),
    ];
    let diff = diff(&file, Some("map"), published, NOW);
    assert_eq!(diff.unchanged, ["a@2"]);
    assert_eq!(diff.new.iter().map(|row| &*row.id).collect::<Vec<_>>(), ["e@2"]);
    let [change] = &diff.changed[..] else { panic!("{:?}", diff.changed) };
    assert_eq!((&*change.before.id, &*change.row.id), ("b@1", "b@2"));
    assert_eq!(change.prices[0].percent().as_deref(), Some("+50.0"));
    assert_eq!(change.others, [("aliases", "none".to_owned(), "bee".to_owned())]);
    let refused: Vec<_> = diff.refused.iter().map(|(id, _)| &**id).collect();
    assert_eq!(refused, ["c@1", "d@2"]);
    assert_eq!(diff.gone.iter().map(|row| &*row.id).collect::<Vec<_>>(), ["gone@1"]);
}

#[test]
fn the_past_of_a_history_does_not_come_back_over_a_book_that_has_the_model() {
    let history = [
        row("h", "a", &input("9"), ""),
        row("h:1", "a", &input("2"), r#", "effective_from": "2026-10-01T00:00:00Z""#),
        row("h:2", "a", &input("3"), r#", "effective_from": "2026-11-01T00:00:00Z""#),
        row("h:3", "a", &input("2"), r#", "effective_from": "2027-01-01T00:00:00Z""#),
    ];
    let published = vec![row("a@1", "a", &input("2"), "")];
    let found = diff(&history, None, published, NOW);
    assert_eq!(found.earlier, ["h"]);
    assert_eq!(found.unchanged, ["h:1"], "it says what holds already");
    let changed: Vec<_> = found.changed.iter().map(|change| (&*change.before.id, &*change.row.id)).collect();
    assert_eq!(changed, [("a@1", "h:2"), ("h:2", "h:3")]);
    let empty = diff(&history, None, Vec::new(), NOW);
    assert_eq!((empty.new.len(), empty.changed.len()), (1, 3), "an empty book takes it all");
}

#[test]
fn the_whole_map_is_new_once_and_unchanged_the_second_time() {
    let map = include_str!("../../../prices/litellm/model_prices_1.106.2.json");
    let rows = read(map, None, &Options::default()).unwrap().1.rows;
    let first = diff(&rows, Some("litellm"), Vec::new(), NOW);
    assert_eq!((first.new.len(), first.changed.len()), (rows.len(), 0));
    let second = diff(&rows, Some("litellm"), rows.clone(), NOW);
    assert_eq!(
        (second.unchanged.len(), second.new.len() + second.changed.len() + second.gone.len()),
        (rows.len(), 0)
    );
}

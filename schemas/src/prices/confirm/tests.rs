//! The whole map against the whole of genai-prices, and single rows.

use std::collections::BTreeMap;

use super::*;
use crate::prices::{BUNDLED_GENAI_PRICES, Options, list_from_json, read};

/// 2026-11-25T00:00:00Z.
const AT: Millis = Millis(1_795_564_800_000);

fn row(source: &str, prices: &str) -> ModelRow {
    let text = format!(
        r#"{{"id": "openai/gpt@{source}", "provider": "openai", "model": "gpt", "currency": "USD", "prices": [{prices}],
            "source": {{"name": "{source}", "version": "1"}}}}"#
    );
    list_from_json(&text).unwrap().remove(0)
}

/// `confirmed_by` and `unconfirmed` of a row that is compared with others.
fn confirmed(row: &ModelRow, others: &[ModelRow]) -> (Vec<String>, Option<String>) {
    let mut rows = [row.clone()];
    confirm(&mut rows, others, AT);
    (rows[0].source.confirmed_by.clone(), rows[0].unconfirmed.clone())
}

const PLAIN: &str = r#"{"unit": "input_uncached_tokens", "amount": 2, "per": 1000000}, {"unit": "output_text_tokens", "amount": 8, "per": 1000000}"#;

#[test]
fn the_same_standard_prices_confirm_each_other_however_they_are_written() {
    let one = row("a", PLAIN);
    let two = row(
        "b",
        r#"{"unit": "input_uncached_tokens", "amount": 0.000002}, {"unit": "output_text_tokens", "amount": 0.008, "per": 1000},
        {"unit": "input_uncached_tokens", "amount": 1, "per": 1000000, "when": {"processing": "batch"}}"#,
    );
    assert_eq!(confirmed(&one, std::slice::from_ref(&two)), (vec!["b 1".into()], None));
    assert_eq!(confirmed(&one, &[]), (vec![], Some(ONLY_SOURCE.into())));
    assert_eq!(
        confirmed(&one, &[row("a", PLAIN)]),
        (vec![], Some(ONLY_SOURCE.into())),
        "a source is no second one"
    );
}

#[test]
fn a_disagreement_says_which_source_says_what() {
    let one = row("a", PLAIN);
    let two = row("b", &PLAIN.replace("\"amount\": 8", "\"amount\": 9"));
    let three = row("c", PLAIN);
    let (confirmed_by, unconfirmed) = confirmed(&one, &[two, three]);
    assert_eq!(confirmed_by, ["c 1"]);
    assert_eq!(unconfirmed.as_deref(), Some("b 1 says output_text_tokens 9 / 1000000, not 8 / 1000000"));
}

#[test]
fn a_step_that_only_one_of_both_has_is_a_disagreement() {
    let long = format!(
        r#"{PLAIN}, {{"unit": "input_uncached_tokens", "amount": 4, "per": 1000000, "when": {{"prompt_tokens_total": {{"gt": 200000}}}}}}"#
    );
    let (_, unconfirmed) = confirmed(&row("a", PLAIN), &[row("b", &long)]);
    assert_eq!(
        unconfirmed.as_deref(),
        Some("b 1 says another price of input_uncached_tokens prompt_tokens_total>200000")
    );
    let (_, unconfirmed) = confirmed(&row("a", &long), &[row("b", PLAIN)]);
    assert_eq!(
        unconfirmed.as_deref(),
        Some("b 1 says no other price of input_uncached_tokens prompt_tokens_total>200000")
    );
}

#[test]
fn half_a_price_confirms_nothing() {
    let half = row("b", r#"{"unit": "input_uncached_tokens", "amount": 2, "per": 1000000}"#);
    assert_eq!(confirmed(&row("a", PLAIN), &[half]), (vec![], Some(ONLY_SOURCE.into())));
}

#[test]
fn most_prices_of_the_first_parties_are_confirmed_by_the_second_map() {
    let map = include_str!("../../../prices/litellm/model_prices_1.106.2.json");
    let mut rows = read(map, None, &Options::default()).unwrap().1.rows;
    let others = read(BUNDLED_GENAI_PRICES, None, &Options::default()).unwrap().1.rows;
    confirm(&mut rows, &others, AT);
    let mut by_provider: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in &rows {
        let counts = by_provider.entry(row.provider.as_deref().unwrap_or_default()).or_default();
        let column = match row.unconfirmed.as_deref() {
            None => 0,
            Some(ONLY_SOURCE) => 2,
            Some(_) => 1,
        };
        counts[column] += 1;
    }
    // Confirmed, contradicted, and of one source only.
    assert_eq!(by_provider["openai"], [103, 17, 49]);
    assert_eq!(by_provider["anthropic"], [13, 1, 8]);
    assert_eq!(by_provider["gemini"], [32, 0, 41]);
    assert_eq!(by_provider["deepseek"], [0, 6, 5]);
    let sonnet = rows.iter().find(|row| row.id.starts_with("anthropic/claude-sonnet-4-5@")).unwrap();
    assert_eq!(
        sonnet.unconfirmed.as_deref(),
        Some(
            "genai-prices 0.2.3 says another price of input_uncached_tokens prompt_tokens_total>200000; \
             another price of output_text_tokens prompt_tokens_total>200000"
        )
    );
    let sum =
        by_provider.values().fold([0; 3], |sum, counts| [0, 1, 2].map(|column| sum[column] + counts[column]));
    assert_eq!(sum.iter().sum::<usize>(), rows.len());
}

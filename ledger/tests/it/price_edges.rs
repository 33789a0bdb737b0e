//! Where one price ends and the next begins: instants to the millisecond, prompts to the token.

use ledger::prices::ModelRow;
use serde_json::{Value, json};

use crate::support::{post, row};

fn cost(row: &ModelRow, family: &str, usage: &Value) -> String {
    let event = json!({"model": row.model, "endpoint_family": family, "usage": usage});
    post(vec![row.clone()], &event).remove(0).cost
}

/// 2026-11-03T12:00:00Z.
const CHANGE: i64 = 1_793_707_200_000;

#[test]
fn a_price_holds_from_its_exact_instant_until_the_millisecond_before_the_next() {
    let old = row("m", &["input_uncached_tokens = 2"]);
    let new = ModelRow {
        id: "openai/m@2".into(),
        effective_from: Some(ledger::event::Millis(CHANGE)),
        ..row("m", &["input_uncached_tokens = 3"])
    };
    let last = ModelRow {
        id: "openai/m@3".into(),
        effective_from: Some(ledger::event::Millis(CHANGE + 2)),
        ..row("m", &["input_uncached_tokens = 5"])
    };
    let at = |instant: i64| {
        let event = json!({"model": "m", "occurred_at": instant, "units": {"input_uncached_tokens": 1}});
        post(vec![last.clone(), old.clone(), new.clone()], &event).remove(0).cost
    };
    let costs = [-1, 0, 1, 2, 3].map(|after| at(CHANGE + after));
    assert_eq!(costs, ["2", "3", "3", "5", "5"]);
}

#[test]
fn a_step_begins_one_above_a_strict_bound_and_at_an_inclusive_one() {
    let strict =
        row("m", &["input_uncached_tokens = 1", "input_uncached_tokens prompt_tokens_total>200000 = 2"]);
    let inclusive =
        row("m", &["input_uncached_tokens = 1", "input_uncached_tokens prompt_tokens_total>=200000 = 2"]);
    let at = |row: &ModelRow, prompt: u64| {
        cost(row, "openai", &json!({"prompt_tokens": prompt, "completion_tokens": 0}))
    };
    assert_eq!([199_999, 200_000, 200_001].map(|prompt| at(&strict, prompt)), ["199999", "200000", "400002"]);
    assert_eq!(
        [199_999, 200_000, 200_001].map(|prompt| at(&inclusive, prompt)),
        ["199999", "400000", "400002"]
    );
}

/// The size is that of the whole prompt, whatever part of it was read from or written to a cache.
#[test]
fn read_and_written_tokens_count_towards_a_step_and_tool_tokens_do_not() {
    let prices = [
        "input_uncached_tokens = 1",
        "input_uncached_tokens prompt_tokens_total>100 = 2",
        "input_cache_read_tokens = 0",
        "input_cache_read_tokens prompt_tokens_total>100 = 0",
        "input_cache_write_tokens = 0",
        "input_cache_write_tokens prompt_tokens_total>100 = 0",
    ];
    let row = row("m", &prices);
    let chat = |cached: u64, written: u64| {
        let usage = json!({"prompt_tokens": 10 + cached + written, "completion_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written}});
        cost(&row, "openai", &usage)
    };
    assert_eq!((chat(50, 40), chat(51, 40), chat(50, 41)), ("10".into(), "20".into(), "20".into()));
    let claude = |read: u64| {
        let usage = json!({"input_tokens": 10, "cache_read_input_tokens": read, "output_tokens": 0});
        cost(&row, "anthropic", &usage)
    };
    assert_eq!((claude(90), claude(91)), ("10".into(), "20".into()));
    let gemini = json!({"promptTokenCount": 100, "toolUsePromptTokenCount": 1, "totalTokenCount": 101});
    assert_eq!(cost(&row, "gemini", &gemini), "101");
}

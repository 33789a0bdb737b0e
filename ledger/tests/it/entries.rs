//! What becomes of an event: outcomes, missing usage, cache hits, several models in one response, rejects.

use ledger::entry::{Scratch, entries_for};
use ledger::prices::PriceBook;
use ledger::reject::Reason;
use ledger::rollup::roll_up;
use serde_json::{Value, json};

use crate::support::{Posted, event, post, row, try_post};

const PRICES: &[&str] = &["input_uncached_tokens = 2", "output_text_tokens = 10"];

fn posted(event: &Value) -> Posted {
    post(vec![row("gpt-6-sol", PRICES)], event).remove(0)
}

fn usage() -> Value {
    json!({"prompt_tokens": 3, "completion_tokens": 1})
}

#[test]
fn usage_is_billed_where_nobody_says_otherwise() {
    let entry = posted(&json!({"usage": usage()}));
    assert_eq!((entry.outcome, entry.cost.as_str()), ("billed", "16"));
    let failed = posted(&json!({"usage": usage(), "status": 500}));
    assert_eq!((failed.outcome, failed.cost.as_str()), ("billed", "16"), "usage goes before the status");
}

#[test]
fn an_error_without_usage_is_not_billed_and_silence_is_unknown() {
    let error = posted(&json!({"status": 429}));
    assert_eq!((error.outcome, error.is_unpriced, error.flags.len()), ("not_billed", false, 0));
    let silent = posted(&json!({"status": 200}));
    assert_eq!((silent.outcome, silent.is_unpriced), ("unknown", true));
    assert_eq!(silent.flags, ["usage_missing"]);
}

#[test]
fn missing_usage_is_flagged_and_counts_as_unpriced() {
    for usage in [Value::Null, json!({}), json!({"prompt_tokens": null})] {
        let entry = posted(&json!({"usage": usage, "outcome": "billed"}));
        assert_eq!(
            (entry.cost.as_str(), entry.is_unpriced, entry.flags),
            ("0", true, vec!["usage_missing"]),
            "{usage}"
        );
    }
}

#[test]
fn an_explicit_zero_is_a_report_and_not_missing() {
    let entry = posted(&json!({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}));
    assert_eq!((entry.outcome, entry.is_unpriced, entry.lines.len()), ("billed", false, 0));
}

#[test]
fn what_is_not_billed_keeps_its_quantities_at_no_cost() {
    let entry = posted(&json!({"usage": usage(), "outcome": "not_billed", "model": "without-a-price"}));
    assert_eq!(entry.lines, ["input_uncached_tokens not_owed 0", "output_text_tokens not_owed 0"]);
    assert!(!entry.is_unpriced, "what is not owed is never unpriced");
}

#[test]
fn unknown_and_partial_with_usage_are_rated() {
    for outcome in ["unknown", "partial"] {
        assert_eq!(posted(&json!({"usage": usage(), "outcome": outcome})).cost, "16", "{outcome}");
    }
}

#[test]
fn a_gateway_cache_hit_costs_nothing_and_records_the_cost_avoided() {
    let entry = posted(&json!({"usage": usage(), "gateway_cache": "hit"}));
    assert_eq!((entry.cost.as_str(), entry.avoided.as_str()), ("0", "16"));
    assert_eq!((entry.lines.len(), entry.avoided_lines), (0, 2));
    let unpriced = posted(&json!({"usage": usage(), "gateway_cache": "hit", "model": "without-a-price"}));
    assert!(!unpriced.is_unpriced);
}

#[test]
fn without_a_row_every_unit_is_unpriced() {
    let entry = posted(&json!({"usage": usage(), "model": "without-a-price"}));
    assert_eq!(entry.unpriced, ["input_uncached_tokens", "output_text_tokens"]);
    assert_eq!(entry.lines[0], "input_uncached_tokens unpriced:no_row 0");
}

#[test]
fn a_failed_video_is_not_billed_and_has_no_quantities() {
    let video =
        |status: &str| json!({"endpoint_family": "video", "context": {"status": status, "seconds": "8"}});
    let failed = posted(&video("failed"));
    assert_eq!((failed.outcome, failed.lines.len(), failed.is_unpriced), ("not_billed", 0, false));
    let completed = posted(&video("completed"));
    assert_eq!((completed.outcome, completed.unpriced), ("billed", vec!["output_video_seconds"]));
}

#[test]
fn context_gives_the_quantities_that_usage_lacks() {
    for (family, context, unit) in [
        ("audio-speech", json!({"characters": 12}), "input_characters"),
        ("audio-transcription", json!({"seconds": 9.5}), "input_audio_seconds"),
        ("image-generation", json!({"images": 2}), "output_images"),
        ("image-generation", json!({"data": [{}, {}]}), "output_images"),
        ("ocr", json!({"pages": 3}), "input_pages"),
    ] {
        let entry = posted(&json!({"endpoint_family": family, "context": context}));
        assert_eq!((entry.outcome, entry.unpriced), ("billed", vec![unit]), "{family}");
    }
}

#[test]
fn only_the_first_attempt_is_a_request() {
    assert_eq!(posted(&json!({"usage": usage()})).attempts, (1, 1));
    assert_eq!(posted(&json!({"usage": usage(), "attempt": 2})).attempts, (1, 0));
}

#[test]
fn an_advisor_is_an_entry_of_its_own_model_and_adds_no_attempt() {
    let usage = json!({"input_tokens": 3, "output_tokens": 1, "iterations": [
        {"type": "message", "input_tokens": 3, "output_tokens": 1},
        {"type": "advisor_message", "model": "advisor", "input_tokens": 5, "output_tokens": 2}]});
    let event = json!({"endpoint_family": "anthropic", "usage": usage});
    let advisor = row("advisor", &["input_uncached_tokens = 100", "output_text_tokens = 1000"]);
    let entries = post(vec![row("gpt-6-sol", PRICES), advisor], &event);
    let brief: Vec<_> =
        entries.iter().map(|entry| (entry.model.as_str(), entry.cost.as_str(), entry.attempts)).collect();
    assert_eq!(brief, [("gpt-6-sol", "16", (1, 1)), ("advisor", "2500", (0, 0))]);
}

#[test]
fn a_pass_with_unknown_accounting_is_flagged_and_the_top_is_billed() {
    let usage = json!({"input_tokens": 3, "output_tokens": 1, "iterations": [{"type": "fallback_message", "model": "x"}]});
    let entry = posted(&json!({"endpoint_family": "anthropic", "usage": usage}));
    assert_eq!((entry.cost.as_str(), entry.flags), ("16", vec!["iterations_unresolved"]));
}

#[test]
fn wrong_quantities_are_malformed_and_too_large_ones_unpostable() {
    let reason = |event: &Value| try_post(vec![row("gpt-6-sol", PRICES)], event).unwrap_err().reason;
    for usage in [json!({"prompt_tokens": -1}), json!({"prompt_tokens": 1.5}), json!({"prompt_tokens": "8"})]
    {
        assert_eq!(reason(&json!({"usage": usage})), Reason::MalformedUsage, "{usage}");
    }
    for units in
        [json!({"input_tokens": 1}), json!({"output_text_tokens": "1.5"}), json!({"input_pages": "-1"})]
    {
        assert_eq!(reason(&json!({"units": units})), Reason::MalformedUsage, "{units}");
    }
    let forty = "9".repeat(40);
    assert_eq!(reason(&json!({"units": {"output_text_tokens": forty}})), Reason::Unpostable);
    assert_eq!(reason(&json!({"units": {"output_text_tokens": "9".repeat(20)}})), Reason::Unpostable);
    let dear = row("dear", &["input_uncached_tokens = 1000000000000"]);
    let units = json!({"model": "dear", "units": {"input_uncached_tokens": "1000000000"}});
    assert_eq!(try_post(vec![dear], &units).unwrap_err().reason, Reason::Unpostable, "an amount of 10^21");
}

#[test]
fn an_unknown_family_is_refused_with_usage_and_accepted_with_units() {
    let refused = try_post(vec![], &json!({"endpoint_family": "telepathy", "usage": usage()})).unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownFamily);
    assert!(refused.to_string().contains("send `units`"), "{refused}");
    let accepted = posted(&json!({"endpoint_family": "telepathy", "units": {"input_uncached_tokens": 3}}));
    assert_eq!(accepted.cost, "6");
}

#[test]
fn totals_are_the_sums_of_their_entries() {
    let book = PriceBook::new(vec![row("gpt-6-sol", PRICES)]).unwrap();
    let events = [
        event(&json!({"usage": usage()})),
        event(&json!({"usage": usage(), "attempt": 2})),
        event(&json!({"usage": usage(), "model": "without-a-price"})),
        event(&json!({"usage": usage(), "gateway_cache": "hit"})),
    ];
    let mut scratches: Vec<_> = events.iter().map(|_| Scratch::default()).collect();
    let mut totals = ledger::rollup::Totals::default();
    for (event, scratch) in events.iter().zip(&mut scratches) {
        entries_for(event, &book, scratch, |entry| {
            totals.add(entry).unwrap();
            let alone = roll_up([entry], |entry| entry.model.to_owned()).unwrap();
            assert_eq!(alone.len(), 1);
        })
        .unwrap();
    }
    assert_eq!((totals.attempts, totals.requests, totals.unpriced_entries), (4, 3, 1));
    assert_eq!((totals.cost.to_string(), totals.cost_avoided.to_string()), ("32".into(), "16".into()));
    let quantities: Vec<_> = totals.quantities.iter().map(|(unit, sum)| format!("{unit} {sum}")).collect();
    assert_eq!(quantities, ["input_uncached_tokens 9", "output_text_tokens 3"]);
}

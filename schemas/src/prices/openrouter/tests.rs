//! Small answers for each rule.

use super::*;
use crate::prices::{Form, read};

fn import_models(models: &str) -> Import {
    let (form, import) = read(&format!(r#"{{"data": [{models}]}}"#), None, &Options::default()).unwrap();
    assert_eq!(form, Form::OpenRouter);
    let summary = import.summary;
    assert_eq!(summary.used + summary.refused, summary.price_keys);
    assert_eq!(summary.imported + summary.repeated + summary.conflicting + summary.unpriced, summary.entries);
    import
}

fn prices(import: &Import) -> Vec<String> {
    import.rows[0]
        .prices
        .iter()
        .map(|price| format!("{} [{}] {} / {}", price.unit, price.conditions, price.amount, price.per))
        .collect()
}

#[test]
fn decimal_strings_for_one_become_prices_by_the_million() {
    let import = import_models(
        r#"{"id": "openai/gpt-9", "canonical_slug": "openai/gpt-9-2026-08-01", "pricing": {"prompt": "0.0000025",
            "completion": "0.00001", "web_search": "0.01", "internal_reasoning": "0", "audio": "0", "image": "0.003613"}}"#,
    );
    assert_eq!(
        prices(&import),
        [
            "output_text_tokens [] 10 / 1000000",
            "input_images [] 0.003613 / 1",
            "input_uncached_tokens [] 2.5 / 1000000",
            "web_search_calls [] 0.01 / 1",
            "grounded_prompts [] 0 / 1",
        ]
    );
    let row = &import.rows[0];
    assert_eq!((row.provider.as_deref(), &*row.model), (Some("openrouter"), "openai/gpt-9"));
    assert_eq!(row.aliases, ["openai/gpt-9-2026-08-01"]);
    // A zero beside a paid prompt says nothing: priced at it, audio would be free.
    let refused: Vec<_> = import.refused.iter().map(|refusal| &*refusal.price_key).collect();
    assert_eq!(refused, ["audio", "internal_reasoning"]);
}

#[test]
fn overrides_are_steps_and_hours_and_what_they_leave_out_keeps_its_price() {
    let import = import_models(
        r#"{"id": "a/b", "pricing": {"prompt": "0.000001", "completion": "0.000002", "overrides": [
            {"min_prompt_tokens": 200000, "prompt": "0.000003"},
            {"min_prompt_tokens": 200000, "prompt": "0.000004"},
            {"utc_start": "16:30", "utc_end": "00:30:00Z", "completion": "0.0000005"},
            {"moon": "full", "prompt": "1"}]}}"#,
    );
    assert_eq!(
        prices(&import),
        [
            "output_text_tokens [] 2 / 1000000",
            "input_uncached_tokens [] 1 / 1000000",
            "input_uncached_tokens [prompt_tokens_total>=200000] 4 / 1000000",
            "output_text_tokens [utc=16:30-00:30/1234567] 0.5 / 1000000",
            "output_text_tokens [prompt_tokens_total>=200000] 2 / 1000000",
            "output_text_tokens [prompt_tokens_total>=200000 utc=16:30-00:30/1234567] 0.5 / 1000000",
        ]
    );
    assert!(import.refused.iter().any(|refusal| refusal.price_key == "overrides[3].moon"));
}

#[test]
fn a_discount_is_taken_off_exactly_and_a_varying_price_is_refused() {
    let import = import_models(r#"{"id": "a/b", "pricing": {"prompt": "0.000001", "discount": 0.15}}"#);
    assert_eq!(prices(&import), ["input_uncached_tokens [] 0.85 / 1000000"]);
    let auto = import_models(r#"{"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}}"#);
    assert_eq!((auto.rows.len(), auto.summary.unpriced, auto.summary.refused), (0, 1, 2));
}

//! Each form is told by its content, and a file of none is told what each misses.

use super::*;
use crate::prices::to_json;

fn form_of(text: &str) -> Form {
    read(text, None, &Options::default()).unwrap_or_else(|error| panic!("{text}: {error}")).0
}

#[test]
fn a_form_is_told_by_the_content() {
    for (text, form) in [
        (
            r#"{"gpt": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6}}"#,
            Form::Litellm,
        ),
        (
            r#"[{"id": "openai", "models": [{"id": "gpt", "match": {"equals": "gpt"}, "prices": {"input_mtok": 1}}]}]"#,
            Form::GenaiPrices,
        ),
        (r#"{"data": [{"id": "a/b", "pricing": {"prompt": "0.1"}}]}"#, Form::OpenRouter),
        (r#"{"data": [{"model_name": "a", "quota_type": 0, "model_ratio": 1}]}"#, Form::NewApi),
        (
            r#"{"openai": {"id": "openai", "models": {"gpt": {"id": "gpt", "cost": {"input": 1}}}}}"#,
            Form::ModelsDev,
        ),
        (
            r#"[{"id": "a@1", "model": "a", "currency": "USD", "prices": [{"unit": "requests", "amount": 1}]}]"#,
            Form::Rows,
        ),
        ("id: a@1\nmodel: a\ncurrency: USD\nprices:\n- {unit: requests, amount: 0.1}\n", Form::Rows),
        ("rows:\n- id: a@1\n  model: a\n  currency: USD\n  prices: []\n", Form::Rows),
    ] {
        assert_eq!(form_of(text), form, "{text}");
    }
}

#[test]
fn a_file_of_no_form_is_told_what_each_misses() {
    let error = read(r#"{"hello": "world"}"#, None, &Options::default()).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 1 + Form::ALL.len(), "{error}");
    assert!(lines[1].starts_with("  litellm: no model with a `litellm_provider`"), "{error}");
    let broken = read("{\"a\": ", None, &Options::default()).unwrap_err();
    assert!(matches!(broken, Error::Json(_)), "{broken}");
    let unreadable = read("a: [", None, &Options::default()).unwrap_err();
    assert!(matches!(unreadable, Error::Unreadable(_)), "{unreadable}");
}

#[test]
fn a_forced_form_says_what_is_missing() {
    let error = read(r#"{"hello": {}}"#, Some(Form::OpenRouter), &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "no openrouter file: no `data` with models that have `id` and `pricing`");
}

#[test]
fn a_row_in_yaml_is_the_row_in_json_digit_for_digit() {
    let yaml = "
id: openai/gpt-9@1
provider: openai
model: gpt-9
currency: USD
effective_from: 2026-11-01T00:00:00Z
prices:
  - {unit: input_uncached_tokens, amount: 0.10000000000000000001, per: 1000000}
  - unit: input_uncached_tokens
    amount: '2'
    per: 1000000
    when: {prompt_tokens_total: {gt: 272000}, utc: [{hours: '04:00-06:00', weekdays: [1, 2]}]}
";
    let json = r#"{"id": "openai/gpt-9@1", "provider": "openai", "model": "gpt-9", "currency": "USD",
        "effective_from": "2026-11-01T00:00:00Z", "prices": [
        {"unit": "input_uncached_tokens", "amount": 0.10000000000000000001, "per": 1000000},
        {"unit": "input_uncached_tokens", "amount": "2", "per": 1000000,
         "when": {"prompt_tokens_total": {"gt": 272000}, "utc": [{"hours": "04:00-06:00", "weekdays": [1, 2]}]}}]}"#;
    let rows = |text: &str| read(text, None, &Options::default()).unwrap().1.rows;
    assert_eq!(rows(yaml), rows(json));
    assert!(to_json(&rows(yaml)[0]).unwrap().contains("0.10000000000000000001"));
}

#[test]
fn an_unknown_field_of_a_row_is_an_error_in_yaml_too() {
    let yaml = "id: a@1\nmodel: a\ncurrency: USD\nprices: []\nprice: 3\n";
    let error = read(yaml, None, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::Row(row::Error::Json(_))), "{error}");
    let twice = "id: a@1\nid: a@2\nmodel: a\ncurrency: USD\nprices: []\n";
    assert!(read(twice, None, &Options::default()).is_err(), "a key that stands twice is no row");
}

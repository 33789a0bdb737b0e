//! Small answers for each rule.

use super::*;
use crate::prices::read;

fn answer(models: &str, options: &Options) -> Result<Import, Error> {
    let text =
        format!(r#"{{"success": true, "group_ratio": {{"default": 1, "vip": 0.8}}, "data": [{models}]}}"#);
    let (form, import) = read(&text, None, options)?;
    assert_eq!(form, Form::NewApi);
    assert_eq!(import.summary.used + import.summary.refused, import.summary.price_keys);
    Ok(import)
}

fn prices(import: &Import) -> Vec<String> {
    import.rows[0]
        .prices
        .iter()
        .map(|price| format!("{} {} / {}", price.unit, price.amount, price.per))
        .collect()
}

const GPT: &str = r#"{"model_name": "gpt-9", "quota_type": 0, "model_ratio": 1.25, "model_price": 0, "completion_ratio": 4,
    "cache_ratio": 0.1, "create_cache_ratio": null, "audio_ratio": 10, "audio_completion_ratio": 2,
    "enable_groups": ["default"], "supported_endpoint_types": ["openai"]}"#;

#[test]
fn ratios_are_multiples_of_the_price_of_input() {
    let import = answer(GPT, &Options::default()).unwrap();
    // 1.25 × 2 = 2.5; × 4 = 10; × 0.1 = 0.25; × 10 = 25; × 10 × 2 = 50
    assert_eq!(
        prices(&import),
        [
            "output_audio_tokens 50 / 1000000",
            "input_uncached_audio_tokens 25 / 1000000",
            "input_cache_read_tokens 0.25 / 1000000",
            "output_text_tokens 10 / 1000000",
            "input_uncached_tokens 2.5 / 1000000",
        ]
    );
    assert_eq!(import.rows[0].provider.as_deref(), Some("new-api"));
    assert_eq!(import.rows[0].endpoint_families, ["openai"]);
}

#[test]
fn a_groups_ratio_is_on_all_prices() {
    let vip = Options { group: Some("vip".into()), ..Options::default() };
    let import = answer(GPT, &vip).unwrap();
    assert_eq!((import.rows.len(), import.summary.unpriced), (0, 1), "the group has no access");
    let open = GPT.replace("[\"default\"]", "[\"vip\"]");
    // 1.25 × 2 × 0.8 = 2
    assert_eq!(prices(&answer(&open, &vip).unwrap())[4], "input_uncached_tokens 2 / 1000000");
    let ratio = Options { group_ratio: Some(Decimal::parse("1.5").unwrap()), ..Options::default() };
    assert_eq!(prices(&answer(GPT, &ratio).unwrap())[4], "input_uncached_tokens 3.75 / 1000000");
    let unknown = Options { group: Some("gold".into()), ..Options::default() };
    let error = answer(GPT, &unknown).unwrap_err().to_string();
    assert_eq!(error, "no new-api file: no `group_ratio` of the group \"gold\"; it has default, vip");
}

#[test]
fn a_price_by_the_call_covers_the_tokens_and_an_expression_is_refused() {
    let call = r#"{"model_name": "mj", "quota_type": 1, "model_price": 0.05, "model_ratio": 0}"#;
    let import = answer(call, &Options::default()).unwrap();
    assert_eq!(prices(&import)[..2], ["requests 0.05 / 1", "input_uncached_tokens 0 / 1000000"]);
    let expression = r#"{"model_name": "x", "quota_type": 0, "model_ratio": 1, "billing_mode": "tiered_expr", "billing_expr": "a*b"}"#;
    let import = answer(expression, &Options::default()).unwrap();
    assert_eq!((import.rows.len(), import.summary.refused), (0, 2));
}

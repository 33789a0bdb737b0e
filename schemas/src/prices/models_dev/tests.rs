//! Small files of each form.

use super::*;
use crate::prices::read;

fn prices(import: &Import) -> Vec<String> {
    import.rows[0]
        .prices
        .iter()
        .map(|price| format!("{} [{}] {} / {}", price.unit, price.conditions, price.amount, price.per))
        .collect()
}

#[test]
fn all_providers_of_the_api_are_read() {
    let text = r#"{"amazon-bedrock": {"id": "amazon-bedrock", "models": {"nova": {"id": "nova", "cost": {"input": 0.06, "output": 0.24}}}},
        "google": {"id": "google", "models": {"gemini": {"id": "gemini", "cost": {"input": 1.25, "output": 10, "cache_read": 0.31,
            "context_over_200k": {"input": 2.5, "output": 15}}}, "free": {"id": "free"}}}}"#;
    let (form, import) = read(text, None, &Options::default()).unwrap();
    assert_eq!(form, Form::ModelsDev);
    let names: Vec<_> = import.rows.iter().map(|row| (row.provider.as_deref(), &*row.model)).collect();
    assert_eq!(names, [(Some("bedrock"), "nova"), (Some("gemini"), "gemini")]);
    let gemini = Import { rows: vec![import.rows[1].clone()], ..import.clone() };
    assert_eq!(
        prices(&gemini),
        [
            "input_cache_read_tokens [] 0.31 / 1000000",
            "input_uncached_tokens [prompt_tokens_total>200000] 2.5 / 1000000",
            "output_text_tokens [prompt_tokens_total>200000] 15 / 1000000",
            "input_uncached_tokens [] 1.25 / 1000000",
            "output_text_tokens [] 10 / 1000000",
        ]
    );
    assert_eq!((import.summary.entries, import.summary.imported, import.summary.unpriced), (3, 2, 1));
}

#[test]
fn the_toml_of_a_model_needs_its_provider_and_name() {
    let toml = "name = \"GPT 9\"\n[cost]\ninput = 5.00\noutput = 30\n\n[[cost.tiers]]\ninput = 10\noutput = 45\ntier = { type = \"context\", size = 272_000 }\n\n[cost.context_over_200k]\ninput = 10\n";
    let error = read(toml, None, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("--provider"), "{error}");
    let options =
        Options { provider: Some("openai".into()), model: Some("gpt-9".into()), ..Options::default() };
    let (_, import) = read(toml, None, &options).unwrap();
    assert_eq!(
        prices(&import),
        [
            "input_uncached_tokens [] 5 / 1000000",
            "output_text_tokens [] 30 / 1000000",
            "input_uncached_tokens [prompt_tokens_total>272000] 10 / 1000000",
            "output_text_tokens [prompt_tokens_total>272000] 45 / 1000000",
        ]
    );
    assert_eq!(import.refused[0].price_key, "context_over_200k.input");
    assert_eq!(import.summary.used + import.summary.refused, import.summary.price_keys);
}

//! Imports the whole map that the project ships, and checks a dozen rows digit for digit.

use std::collections::BTreeMap;

use ledger::event::Millis;
use ledger::money::Amount;
use ledger::price::price;
use ledger::prices::{ModelRow, PriceBook};
use ledger::unit::Unit;
use ledger::usage::{Dimensions, Flags, Quantities};

use super::import as import_map;
use crate::prices::{Import, Options, Summary, from_json, same_terms, to_json};

const MAP: &str = include_str!("../../../prices/litellm/model_prices_1.106.2.json");

fn import(text: &str, version: Option<&str>) -> serde_json::Result<Import> {
    import_map(text, &Options { version: version.map(str::to_owned), ..Options::default() })
}

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
    let mut reasons = BTreeMap::<&str, usize>::new();
    import.refused.iter().for_each(|refusal| *reasons.entry(&refusal.reason).or_default() += 1);
    let expected = Summary {
        entries: 4241,
        imported: 3812,
        folded: 248,
        repeated: 27,
        conflicting: 18,
        unpriced: 136,
        price_keys: 15_697,
        used: 15_208,
        refused: 489,
        rules_refused: 0,
    };
    assert_eq!(summary, expected);
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

#[test]
fn openai_tiers_and_context_steps_are_read_digit_for_digit() {
    let import = whole();
    let row = find(&import, "openai", "gpt-6-sol");
    has(
        row,
        &[
            "input_uncached_tokens = 2 / 1000000",
            "input_uncached_tokens prompt_tokens_total>272000 = 4 / 1000000",
            "input_uncached_tokens processing=batch = 1 / 1000000",
            "input_uncached_tokens processing=batch prompt_tokens_total>272000 = 2 / 1000000",
            "input_uncached_tokens service_tier=priority prompt_tokens_total>272000 = 8 / 1000000",
            "input_cache_read_tokens service_tier=flex = 0.1 / 1000000",
            "input_cache_write_tokens = 2.5 / 1000000",
            "input_cache_write_5m_tokens = 2.5 / 1000000",
            "output_text_tokens = 10 / 1000000",
            "web_search_calls = 0.01 / 1",
            "grounded_prompts = 0 / 1",
        ],
    );
    let factors: Vec<_> =
        row.multipliers.iter().map(|one| (one.conditions.to_string(), one.factor.to_string())).collect();
    assert_eq!(factors, [("region=eu".into(), "1.1".into()), ("region=us".into(), "1.1".into())]);
}

#[test]
fn anthropic_lifetimes_and_factors_are_read_digit_for_digit() {
    let import = whole();
    let row = find(&import, "anthropic", "claude-opus-5-5");
    has(
        row,
        &[
            "input_uncached_tokens = 4 / 1000000",
            "input_cache_read_tokens = 0.2 / 1000000",
            "input_cache_write_5m_tokens = 5 / 1000000",
            "input_cache_write_1h_tokens = 8 / 1000000",
            "input_cache_write_5m_tokens processing=batch = 2.5 / 1000000",
            "output_text_tokens = 20 / 1000000",
            "web_search_calls = 0.01 / 1",
        ],
    );
    let factors: Vec<_> =
        row.multipliers.iter().map(|one| (one.conditions.to_string(), one.factor.to_string())).collect();
    assert_eq!(factors, [("speed=fast".into(), "2".into()), ("inference_geo=us".into(), "1.1".into())]);
    let haiku = find(&import, "anthropic", "claude-haiku-5-5");
    has(haiku, &["input_cache_write_1h_tokens prompt_tokens_total>100000 = 1 / 1000000"]);
}

#[test]
fn google_pays_by_grounded_prompt_or_by_query_and_never_by_both() {
    let import = whole();
    let older = find(&import, "gemini", "gemini-2.5-flash");
    has(
        older,
        &["grounded_prompts = 0.035 / 1", "web_search_calls = 0 / 1", "maps_grounding_calls = 0.025 / 1"],
    );
    has(older, &["input_cache_read_audio_tokens = 0.1 / 1000000", "output_reasoning_tokens = 2.5 / 1000000"]);
    let newer = find(&import, "vertex_ai", "gemini-3.8-flash");
    has(newer, &["web_search_calls = 0.014 / 1", "grounded_prompts = 0 / 1"]);
    assert_eq!(newer.multipliers[0].conditions.to_string(), "region!=global");
    assert!(newer.unconfirmed.is_some());
}

#[test]
fn free_searches_are_quotas_of_the_unit_that_is_paid() {
    let import = whole();
    let quota = |row: &ModelRow| {
        row.free_quotas
            .iter()
            .map(|quota| {
                let group = quota.shared_group.as_deref().unwrap_or_default();
                format!("{} {} a {} for {group}", quota.quantity, quota.unit, quota.period.name())
            })
            .collect::<Vec<_>>()
    };
    let newer = find(&import, "gemini", "gemini-3.8-flash");
    assert_eq!(quota(newer), ["5000 web_search_calls a month for gemini-3"]);
    let older = find(&import, "vertex_ai", "gemini-2.5-pro");
    assert_eq!(quota(older), ["10000 grounded_prompts a day for gemini-2.5-pro"]);
    // Of 47 entries, 14 are refused, because a prefixed one names the same model with other prices.
    assert_eq!(import.rows.iter().filter(|row| !row.free_quotas.is_empty()).count(), 33);
}

#[test]
fn xai_counts_a_long_prompt_from_its_threshold_on() {
    let import = whole();
    let row = find(&import, "xai", "grok-4.6");
    has(
        row,
        &[
            "input_uncached_tokens = 2 / 1000000",
            "input_uncached_tokens prompt_tokens_total>=200000 = 4 / 1000000",
        ],
    );
}

#[test]
fn search_fees_by_context_size_also_price_a_request_whose_searches_are_not_counted() {
    let import = whole();
    has(
        find(&import, "perplexity", "sonar"),
        &[
            "web_search_calls search_context_size=low = 0.005 / 1",
            "web_search_calls search_context_size=medium = 0.008 / 1",
            "web_search_calls search_context_size=high = 0.012 / 1",
            "requests search_context_size=high = 0.012 / 1",
        ],
    );
    has(find(&import, "perplexity", "sonar-deep-research"), &["output_citation_tokens = 2 / 1000000"]);
}

#[test]
fn a_recording_is_paid_once_whichever_side_has_the_price() {
    let import = whole();
    assert_eq!(prices(find(&import, "openai", "whisper-1")), ["input_audio_seconds = 0.0001 / 1"]);
    assert_eq!(prices(find(&import, "soniox", "stt-async-v5")), ["input_audio_seconds = 0.0000277778 / 1"]);
    assert_eq!(prices(find(&import, "groq", "whisper-large-v3")), ["input_audio_seconds = 0.00003083 / 1"]);
}

#[test]
fn digits_of_a_binary_float_are_kept_as_they_stand() {
    let import = whole();
    let row = find(&import, "azure", "gpt-realtime-whisper");
    assert_eq!(prices(row), ["input_audio_seconds = 0.0002833333333333333 / 1"]);
}

#[test]
fn sizes_in_names_become_conditions_of_one_row() {
    let import = whole();
    let row = find(&import, "openai", "gpt-image-1");
    has(
        row,
        &[
            "output_images size=1024x1024 quality=high = 0.167 / 1",
            "output_images size=1024x1536 quality=low = 0.016 / 1",
            "input_uncached_image_tokens = 10 / 1000000",
            "output_image_tokens = 40 / 1000000",
        ],
    );
    // By the pixel: 7.19343e-08 × 1024 × 1792 = 0.1320000159744
    has(
        find(&import, "azure", "dall-e-3"),
        &["output_images size=1024x1792 quality=hd = 0.1320000159744 / 1"],
    );
}

#[test]
fn ranges_of_prompt_sizes_become_context_steps() {
    let import = whole();
    has(
        find(&import, "dashscope", "qwen3-coder-flash"),
        &[
            "input_uncached_tokens = 0.3 / 1000000",
            "input_uncached_tokens prompt_tokens_total>32000 = 0.5 / 1000000",
            "input_cache_read_tokens prompt_tokens_total>256000 = 0.4 / 1000000",
            "output_text_tokens prompt_tokens_total>256000 = 9.6 / 1000000",
        ],
    );
}

#[test]
fn off_peak_rates_hold_in_their_hours() {
    let import = whole();
    let row = find(&import, "deepseek", "deepseek-v4-pro");
    let hours = "utc=00:00-01:00/12345 utc=04:00-06:00/12345 utc=10:00-00:00/12345 utc=00:00-00:00/67";
    has(row, &["input_uncached_tokens = 1.32 / 1000000"]);
    has(row, &[&format!("input_uncached_tokens {hours} = 0.66 / 1000000")]);
    has(row, &["input_cache_write_tokens = 0 / 1000000"]);
}

#[test]
fn video_seconds_depend_on_the_resolution() {
    let import = whole();
    has(
        find(&import, "gemini", "veo-3.1-generate-preview"),
        &["output_video_seconds = 0.4 / 1", "output_video_seconds resolution=4k = 0.6 / 1"],
    );
    has(find(&import, "openai", "sora-2-pro"), &["output_video_seconds = 0.3 / 1"]);
}

#[test]
fn provider_names_are_those_of_events() {
    let import = whole();
    has(
        find(&import, "bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
        &["input_uncached_tokens = 1 / 1000000"],
    );
    has(find(&import, "vertex_ai", "claude-sonnet-4-5"), &["input_cache_write_1h_tokens = 6 / 1000000"]);
    find(&import, "perplexity", "perplexity/sonar");
}

#[test]
fn what_is_no_price_of_a_request_is_refused_with_its_reason() {
    let refused = |fields: &str| {
        let import = entry("some/model", fields);
        assert!(import.rows.is_empty(), "{fields}");
        import.refused.into_iter().map(|refusal| refusal.reason).collect::<Vec<_>>()
    };
    let databricks =
        r#"{"litellm_provider": "databricks", "mode": "chat", "input_dbu_cost_per_token": 1e-5}"#;
    assert_eq!(refused(databricks), ["Databricks units are no money"]);
    let commitment = r#"{"litellm_provider": "bedrock", "mode": "chat", "cost_per_second": 0.01, "input_cost_per_second": 0.01}"#;
    assert_eq!(refused(commitment).len(), 2);
    let negative = r#"{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1e-6}"#;
    assert_eq!(refused(negative), ["-0.000001 is below zero"]);
    let nan = r#"{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "NaN"}"#;
    assert_eq!(refused(nan), ["\"NaN\": not a decimal number"]);
    let new = r#"{"litellm_provider": "openai", "mode": "chat", "input_cost_per_dream": 1}"#;
    assert_eq!(refused(new), ["the price key is not known"]);
}

#[test]
fn a_long_prompt_that_costs_less_than_a_short_one_is_refused() {
    let import = entry(
        "gpt",
        r#"{"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06,
            "input_cost_per_token_above_200k_tokens": 1e-06}"#,
    );
    assert_eq!(prices(&import.rows[0]), ["input_uncached_tokens = 2 / 1000000"]);
    assert_eq!(import.refused[0].price_key, "input_cost_per_token_above_200k_tokens");
}

#[test]
fn of_two_entries_with_one_name_the_prefixed_one_wins() {
    let import = whole();
    assert_eq!(
        find(&import, "deepseek", "deepseek-chat").source.key.as_deref(),
        Some("deepseek/deepseek-chat")
    );
    assert!(import.refused.iter().any(|refusal| refusal.key == "deepseek-chat"));
}

#[test]
fn what_is_half_read_and_then_refused_leaves_no_price_behind() {
    let import = whole();
    let row = find(&import, "tencent", "deepseek-v4-pro-0813");
    assert!(row.prices.iter().all(|price| price.conditions.windows.is_empty()));
}

/// The cost of quantities at an imported row, and the units without a price.
fn cost(model: (&str, &str), dimensions: &Dimensions<'_>, quantities: &[(Unit, u64)]) -> (String, Vec<Unit>) {
    let book = PriceBook::new(whole().rows).unwrap();
    let mut counted = Quantities::default();
    quantities.iter().for_each(|(unit, count)| counted.add(*unit, *count).unwrap());
    let dimensions = Dimensions { prompt_tokens_total: counted.prompt_tokens(), ..*dimensions };
    let (mut flags, mut lines) = (Flags::EMPTY, Vec::new());
    let row = book.find(model.0, model.1, Millis(0)).unwrap();
    let unpriced = price(&counted, &dimensions, row, Millis(0), &mut flags, &mut lines).unwrap();
    let sum = lines.iter().fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount).unwrap());
    (sum.to_string(), unpriced.iter().collect())
}

#[test]
fn imported_rows_reproduce_amounts_that_were_billed() {
    // 29 × 2 + 2432 × 0.5 + 606 × 6 = 4910 millionths, which xAI billed.
    let grok = [
        (Unit::InputUncachedTokens, 29),
        (Unit::InputCacheReadTokens, 2432),
        (Unit::OutputTextTokens, 306),
        (Unit::OutputReasoningTokens, 300),
    ];
    assert_eq!(cost(("xai", "grok-4.6"), &Dimensions::default(), &grok), ("0.00491".into(), vec![]));
    let research = [
        (Unit::InputUncachedTokens, 33),
        (Unit::OutputTextTokens, 7163),
        (Unit::OutputReasoningTokens, 73_997),
        (Unit::OutputCitationTokens, 20_016),
        (Unit::WebSearchCalls, 18),
    ];
    let sonar = ("perplexity", "sonar-deep-research");
    assert_eq!(cost(sonar, &Dimensions::default(), &research), ("0.409393".into(), vec![]));
    // (1000 × 4 + 10,000 × 0.2 + 100 × 20) × 2 × 1.1 = 17,600 millionths.
    let fast = Dimensions { speed: "fast", inference_geo: Some("us"), ..Dimensions::default() };
    let claude = [
        (Unit::InputUncachedTokens, 1000),
        (Unit::InputCacheReadTokens, 10_000),
        (Unit::OutputTextTokens, 100),
    ];
    assert_eq!(cost(("anthropic", "claude-opus-5-5"), &fast, &claude), ("0.0176".into(), vec![]));
}

#[test]
fn priority_beyond_the_long_context_step_is_unpriced_where_the_map_has_no_price() {
    let priority = Dimensions { service_tier: "priority", ..Dimensions::default() };
    let at = |input| cost(("openai", "gpt-5.5"), &priority, &[(Unit::InputUncachedTokens, input)]);
    assert_eq!(at(272_000), ("3.4".into(), vec![])); // 272,000 × 12.5 millionths
    assert_eq!(at(272_001), ("0".into(), vec![Unit::InputUncachedTokens]));
}

#[test]
fn one_hour_writes_cost_half_in_batch() {
    let batch = Dimensions { processing: "batch", ..Dimensions::default() };
    let written = [(Unit::InputCacheWrite1hTokens, 1_000_000)];
    assert_eq!(cost(("anthropic", "claude-opus-5-5"), &batch, &written), ("4".into(), vec![]));
}

#[test]
fn cached_audio_costs_its_own_price_or_is_unpriced() {
    let audio = [(Unit::InputCacheReadAudioTokens, 10_000)];
    let standard = Dimensions::default();
    assert_eq!(cost(("gemini", "gemini-2.5-flash"), &standard, &audio), ("0.001".into(), vec![]));
    let openai = cost(("openai", "gpt-audio"), &standard, &[(Unit::InputCacheReadAudioTokens, 1000)]);
    assert_eq!(openai, ("0".into(), vec![Unit::InputCacheReadAudioTokens]));
}

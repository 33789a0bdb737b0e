//! Requests that a widely used price calculator is known to charge wrongly. Each test has a real model's prices per
//! million, shows what the calculator says and what is right, and does the sum in a comment.

use ledger::prices::ModelRow;
use serde_json::{Value, json};

use crate::support::{Posted, post, row};

/// A row of prices per million of what is counted.
fn per_million(model: &str, prices: &[&str]) -> ModelRow {
    let lines: Vec<String> = prices.iter().map(|price| format!("{price} / 1000000")).collect();
    row(model, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

fn charged(rows: &[ModelRow], family: &str, usage: &Value, more: &Value) -> Vec<Posted> {
    let mut event =
        json!({"provider": "openai", "model": rows[0].model, "endpoint_family": family, "usage": usage});
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    post(rows.to_vec(), &event)
}

fn cost(row: &ModelRow, family: &str, usage: &Value, more: &Value) -> String {
    let posted = charged(std::slice::from_ref(row), family, usage, more).remove(0);
    assert!(!posted.is_unpriced, "{:?}", posted.lines);
    posted.cost
}

/// It says 0.00241.
#[test]
fn a_writes_that_overlap_with_reads_are_not_charged_twice() {
    let sol = per_million(
        "gpt-6-sol",
        &["input_uncached_tokens = 2", "input_cache_read_tokens = 0.2", "input_cache_write_tokens = 2.5"],
    );
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000,
        "prompt_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 900}});
    // 800 × 0.2 + min(900, 1000 − 800) × 2.5 = 160 + 500
    assert_eq!(cost(&sol, "openai", &usage, &Value::Null), "0.00066");
}

/// It says 3.475 and, for one token more, 2.765: the standard price of long prompts.
#[test]
fn b_priority_with_a_long_prompt_is_unpriced_and_not_cheaper() {
    let prices = per_million(
        "gpt-5.5",
        &[
            "input_uncached_tokens = 5",
            "input_uncached_tokens prompt_tokens_total>272000 = 10",
            "input_uncached_tokens service_tier=priority = 12.5",
            "output_text_tokens = 30",
            "output_text_tokens prompt_tokens_total>272000 = 45",
            "output_text_tokens service_tier=priority = 75",
        ],
    );
    let usage = |prompt: u64| json!({"prompt_tokens": prompt, "completion_tokens": 1000});
    let served = |tier: &str, prompt| {
        charged(std::slice::from_ref(&prices), "openai", &usage(prompt), &json!({"service_tier": tier}))
            .remove(0)
    };
    assert_eq!(served("priority", 272_000).cost, "3.475"); // 272000 × 12.5 + 1000 × 75
    let long = served("priority", 272_001);
    assert_eq!((long.cost.as_str(), long.is_unpriced), ("0", true));
    assert_eq!(long.unpriced, ["input_uncached_tokens", "output_text_tokens"]);
    // What the response calls standard has the standard price of long prompts: 272001 × 10 + 1000 × 45.
    assert_eq!(served("default", 272_001).cost, "2.76501");
    assert_eq!(served("default", 272_000).cost, "1.39"); // 272000 × 5 + 1000 × 30
}

/// It says 0.0012 and 0.0007: the details only.
#[test]
fn c_the_totals_are_charged_where_the_details_fall_short_of_them() {
    let sol = per_million("gpt-6-sol", &["input_uncached_tokens = 2", "output_text_tokens = 10"]);
    let input =
        json!({"prompt_tokens": 1000, "completion_tokens": 0, "prompt_tokens_details": {"text_tokens": 600}});
    assert_eq!(cost(&sol, "openai", &input, &Value::Null), "0.002"); // 1000 × 2
    let output = json!({"prompt_tokens": 0, "completion_tokens": 100,
        "completion_tokens_details": {"text_tokens": 50, "reasoning_tokens": 20}});
    assert_eq!(cost(&sol, "openai", &output, &Value::Null), "0.001"); // (80 + 20) × 10
}

/// It says 0.00048: without the tool's tokens.
#[test]
fn d_what_a_tool_puts_into_the_prompt_is_charged_as_input() {
    let pro = per_million("gemini-2.5-pro", &["input_uncached_tokens = 1.25", "output_text_tokens = 10"]);
    let usage = json!({"promptTokenCount": 27, "toolUsePromptTokenCount": 10309, "candidatesTokenCount": 45,
        "totalTokenCount": 10381});
    // (27 + 10309) × 1.25 + 45 × 10 = 12920 + 450
    assert_eq!(cost(&pro, "gemini", &usage, &Value::Null), "0.01337");
}

/// It says 0.0119: everything at the executor's price.
#[test]
fn e_an_advisor_is_charged_at_its_own_models_price() {
    let rows = [
        per_million("claude-haiku-4-5", &["input_uncached_tokens = 1", "output_text_tokens = 5"]),
        per_million("claude-opus-4-7", &["input_uncached_tokens = 5", "output_text_tokens = 25"]),
    ];
    let usage = json!({"input_tokens": 1275, "output_tokens": 800, "iterations": [
        {"type": "message", "input_tokens": 1275, "output_tokens": 800},
        {"type": "advisor_message", "model": "claude-opus-4-7", "input_tokens": 1625, "output_tokens": 1000}]});
    let entries = charged(&rows, "anthropic", &usage, &Value::Null);
    let costs: Vec<_> = entries.iter().map(|entry| (entry.model.as_str(), entry.cost.as_str())).collect();
    // 1275 + 800 × 5 = 5275 and 1625 × 5 + 1000 × 25 = 33125: together 0.0384. At the executor's: 2900 + 1800 × 5.
    assert_eq!(costs, [("claude-haiku-4-5", "0.005275"), ("claude-opus-4-7", "0.033125")]);
}

/// It says 0.0019: only what the split explains.
#[test]
fn f_written_tokens_that_the_split_does_not_explain_are_charged() {
    let opus = per_million(
        "claude-opus-5",
        &["input_uncached_tokens = 5", "input_cache_write_tokens = 6.25", "output_text_tokens = 25"],
    );
    let usage = json!({"input_tokens": 0, "cache_creation_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 0}, "output_tokens": 1});
    let posted = charged(std::slice::from_ref(&opus), "anthropic", &usage, &Value::Null).remove(0);
    assert_eq!(posted.cost, "0.006275"); // 1000 × 6.25 + 25
    assert_eq!(posted.flags, ["cache_ttl_assumed_5m"]);
}

/// It says 0.352: without the searches, or the citations.
#[test]
fn g_deep_research_is_charged_for_all_five_things_that_it_counts() {
    let sonar = row(
        "sonar-deep-research",
        &[
            "input_uncached_tokens = 2 / 1000000",
            "output_text_tokens = 8 / 1000000",
            "output_reasoning_tokens = 3 / 1000000",
            "output_citation_tokens = 2 / 1000000",
            "web_search_calls = 5 / 1000",
        ],
    );
    let sonar = ModelRow { provider: Some("perplexity".into()), ..sonar };
    let usage = json!({"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196,
        "citation_tokens": 20016, "num_search_queries": 18, "reasoning_tokens": 73997});
    // 66 + 57304 + 221991 + 40032 = 319393 millionths, and 18 × 0.005 = 0.09
    assert_eq!(cost(&sonar, "openai", &usage, &json!({"provider": "perplexity"})), "0.409393");
}

/// It says 0.02: the opened page counts, the file searches do not.
#[test]
fn h_an_opened_page_is_free_and_each_file_search_is_charged() {
    let prices = [
        "input_uncached_tokens = 2",
        "output_text_tokens = 10",
        "web_search_calls = 10000",
        "file_search_calls = 2500",
    ];
    let sol = per_million("gpt-6-sol", &prices);
    let output = json!([{"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}}, {"type": "file_search_call"},
        {"type": "file_search_call"}]);
    let usage = json!({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0});
    // 1 × 0.01 + 2 × 0.0025
    assert_eq!(cost(&sol, "openai-response", &usage, &json!({"context": {"output": output}})), "0.015");
}

/// It says 0.0025, the price of text, and 0.0003, the price of cached text.
#[test]
fn i_cached_audio_has_its_own_price_or_none() {
    let without =
        per_million("gpt-audio", &["input_uncached_tokens = 2.5", "input_uncached_audio_tokens = 32"]);
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 1000}});
    let posted = charged(std::slice::from_ref(&without), "openai", &usage, &Value::Null).remove(0);
    assert_eq!(posted.lines, ["input_cache_read_audio_tokens unpriced:modality_apart 0"]);
    let prices =
        ["input_uncached_tokens = 0.3", "input_uncached_audio_tokens = 1", "input_cache_read_tokens = 0.03"];
    let usage = json!({"promptTokenCount": 10000, "cachedContentTokenCount": 10000, "totalTokenCount": 10000,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 10000}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10000}]});
    let flash = per_million("gemini-2.5-flash", &prices);
    let posted = charged(std::slice::from_ref(&flash), "gemini", &usage, &Value::Null).remove(0);
    assert_eq!(posted.unpriced, ["input_cache_read_audio_tokens"]);
    let priced = [&prices[..], &["input_cache_read_audio_tokens = 0.1"]].concat();
    let flash = per_million("gemini-2.5-flash", &priced);
    assert_eq!(cost(&flash, "gemini", &usage, &Value::Null), "0.001"); // 10000 × 0.1
}

/// It says 2.50: the batch price of five minutes.
#[test]
fn j_an_hours_write_costs_half_of_its_own_price_in_a_batch() {
    let opus = per_million(
        "claude-opus-5-5",
        &[
            "input_uncached_tokens = 4",
            "input_uncached_tokens processing=batch = 2",
            "input_cache_write_tokens = 5",
            "input_cache_write_tokens processing=batch = 2.5",
            "input_cache_write_1h_tokens = 8",
        ],
    );
    let usage = json!({"input_tokens": 0, "cache_creation_input_tokens": 1_000_000, "output_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1_000_000},
        "service_tier": "batch"});
    let posted = charged(std::slice::from_ref(&opus), "anthropic", &usage, &Value::Null).remove(0);
    assert_eq!(posted.lines, ["input_cache_write_1h_tokens derived 4"]); // 8 / 2
}

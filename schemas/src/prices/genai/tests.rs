//! Imports the whole file that the project ships, and small ones for each rule.

use std::collections::BTreeMap;

use ledger::event::Millis;
use ledger::prices::{ModelRow, PriceBook};

use crate::prices::{BUNDLED_GENAI_PRICES, Form, Import, Options, Summary, from_json, read, to_json};

fn whole() -> Import {
    read(BUNDLED_GENAI_PRICES, None, &Options::default()).unwrap().1
}

/// A provider with one model.
fn one(provider: &str, model: &str) -> Import {
    let text = format!(
        r#"{{"genai_prices_version": "9", "providers": [{{"id": "{provider}", "models": [{model}]}}]}}"#
    );
    let (form, import) = read(&text, None, &Options::default()).unwrap();
    assert_eq!(form, Form::GenaiPrices);
    import
}

/// Prices as `unit when = amount / per`.
fn prices(row: &ModelRow) -> Vec<String> {
    let price = |price: &ledger::prices::Price| {
        let when = price.conditions.to_string();
        let gap = if when.is_empty() { "" } else { " " };
        format!("{}{gap}{when} = {} / {}", price.unit, price.amount, price.per)
    };
    row.prices.iter().map(price).collect()
}

fn reasons(import: &Import) -> BTreeMap<&str, usize> {
    let mut reasons = BTreeMap::new();
    import.refused.iter().for_each(|refusal| *reasons.entry(&*refusal.reason).or_default() += 1);
    reasons
}

#[test]
fn every_model_every_price_and_every_rule_is_counted() {
    let import = whole();
    let summary = import.summary;
    assert_eq!(
        summary.imported + summary.folded + summary.repeated + summary.conflicting + summary.unpriced,
        summary.entries
    );
    assert_eq!(summary.used + summary.refused, summary.price_keys);
    assert_eq!(summary.refused + summary.rules_refused, import.refused.len());
    let expected = Summary {
        entries: 2330,
        imported: 2127,
        unpriced: 203,
        price_keys: 7994,
        used: 7830,
        refused: 164,
        rules_refused: 481,
        ..Summary::default()
    };
    assert_eq!((summary, import.rows.len()), (expected, 2554));
    let why: Vec<_> = reasons(&import).into_iter().collect();
    assert_eq!(
        why,
        [
            ("a pattern; only names are taken, and dated forms of them", 481),
            ("a price for route=mistral/eu has no condition", 6),
            ("a price for search_type=fast has no condition", 1),
            ("messages have no unit", 4),
            ("no rule of the model is a name, and its id is none", 153),
        ]
    );
}

#[test]
fn the_whole_file_makes_a_price_book_and_survives_its_own_text() {
    let import = whole();
    assert_eq!(import, whole(), "the same file brings the same rows");
    for row in &import.rows {
        assert_eq!(from_json(&to_json(row).unwrap()).unwrap(), *row);
    }
    let book = PriceBook::new(import.rows).unwrap();
    // 2026-11-25T00:00:00Z and 2026-10-13T23:59:59.999Z: batches have had a price since 2026-10-14.
    let at = |instant| book.find("anthropic", "claude-sonnet-5-5", Millis(instant)).unwrap();
    assert_eq!(at(1_795_564_800_000).row.id, "anthropic/claude-sonnet-5-5@genai-prices-0.2.3:2026-10-14");
    assert_eq!(at(1_791_935_999_999).row.id, "anthropic/claude-sonnet-5-5@genai-prices-0.2.3");
    assert_eq!(at(1_791_936_000_000).row.id, "anthropic/claude-sonnet-5-5@genai-prices-0.2.3:2026-10-14");
}

#[test]
fn each_start_date_is_a_version_and_hours_are_in_all_that_they_follow() {
    let import = one(
        "deepseek",
        r#"{"id": "v4", "match": {"equals": "v4"}, "prices": [
            {"prices": {"input_mtok": "0.14"}},
            {"constraint": {"start_date": "2026-09-10"}, "prices": {"input_mtok": "0.15"}},
            {"constraint": {"start_time": "22:30:00+00:00", "end_time": "04:00:00Z"}, "prices": {"input_mtok": "0.3"}}
        ]}"#,
    );
    let hours = "input_uncached_tokens utc=22:30-04:00/1234567 = 0.3 / 1000000";
    assert_eq!(prices(&import.rows[0]), ["input_uncached_tokens = 0.14 / 1000000", hours]);
    assert_eq!(prices(&import.rows[1]), ["input_uncached_tokens = 0.15 / 1000000", hours]);
    assert_eq!(import.rows[0].effective_from, None);
    // 2026-09-10T00:00:00Z
    assert_eq!(import.rows[1].effective_from, Some(Millis(1_788_998_400_000)));
    assert_eq!((import.summary.used, import.summary.refused), (3, 0));
}

#[test]
fn long_prompts_hold_for_units_without_tiers_too() {
    let import = one(
        "x-ai",
        r#"{"id": "grok", "match": {"equals": "grok"}, "prices":
            {"input_mtok": {"base": "2", "tiers": [{"start": 199999, "price": 4}]}, "output_mtok": "6"}}"#,
    );
    assert_eq!(import.rows[0].provider.as_deref(), Some("xai"));
    assert_eq!(
        prices(&import.rows[0]),
        [
            "input_uncached_tokens = 2 / 1000000",
            "input_uncached_tokens prompt_tokens_total>199999 = 4 / 1000000",
            "output_text_tokens = 6 / 1000000",
            "output_text_tokens prompt_tokens_total>199999 = 6 / 1000000",
        ]
    );
}

#[test]
fn variants_are_conditions_and_the_first_of_them_goes_before_the_others() {
    let import = one(
        "openai",
        r#"{"id": "gpt", "match": {"equals": "gpt"}, "prices": {"input_mtok": "2", "cache_write_1h_mtok": "4"}, "price_variants": [
            {"when": {"service_tier": "default"}, "prices": {}},
            {"when": {"processing": "batch"}, "prices": {"input_mtok": "1", "cache_write_1h_mtok": "2"}},
            {"when": {"processing": "batch"}, "prices": {"input_mtok": "9"}},
            {"when": {"service_tier": "priority"}, "prices": {"input_mtok": "3"}},
            {"when": {"service_tier": "fast"}, "prices": {"input_mtok": "3"}},
            {"when": {"route": "gpt/eu"}, "prices": {"input_mtok": "2.2"}}
        ]}"#,
    );
    assert_eq!(
        prices(&import.rows[0]),
        [
            "input_cache_write_1h_tokens = 4 / 1000000",
            "input_uncached_tokens = 2 / 1000000",
            "input_cache_write_1h_tokens processing=batch = 2 / 1000000",
            "input_uncached_tokens processing=batch = 1 / 1000000",
            "input_uncached_tokens service_tier=priority = 3 / 1000000",
        ]
    );
    let refused: Vec<_> =
        import.refused.iter().map(|refusal| (&*refusal.price_key, &*refusal.reason)).collect();
    assert_eq!(
        refused,
        [
            ("price_variants[2].input_mtok", "another price of the same always goes before it"),
            ("price_variants[5].input_mtok", "a price for route=gpt/eu has no condition"),
        ]
    );
}

#[test]
fn a_model_told_by_patterns_alone_is_refused_with_its_prices() {
    let import = one(
        "aws",
        r#"{"id": "regional.nova", "match": {"or_": [{"contains": "us.nova"}, {"contains": "eu.nova"}]},
            "prices": {"input_mtok": "1", "output_mtok": "2"}}"#,
    );
    assert!(import.rows.is_empty());
    assert_eq!((import.summary.unpriced, import.summary.refused, import.summary.rules_refused), (1, 2, 2));
}

#[test]
fn a_recording_has_one_price_and_google_pays_by_grounded_prompt_or_by_search() {
    let whisper = one(
        "openai",
        r#"{"id": "whisper-1", "match": {"equals": "whisper-1"}, "prices": {"audio_hours": "0.36", "input_audio_hours": "0.36"}}"#,
    );
    assert_eq!(prices(&whisper.rows[0]), ["input_audio_seconds = 0.36 / 3600"]);
    let gemini = |id: &str| {
        let model = format!(
            r#"{{"id": "{id}", "match": {{"equals": "{id}"}}, "prices": {{"web_searches_kcount": "35"}}}}"#
        );
        prices(&one("google", &model).rows[0])
    };
    assert_eq!(gemini("gemini-2.5-pro"), ["grounded_prompts = 35 / 1000", "web_search_calls = 0 / 1"]);
    assert_eq!(gemini("gemini-3.5-pro"), ["web_search_calls = 35 / 1000", "grounded_prompts = 0 / 1"]);
}

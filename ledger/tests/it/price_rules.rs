//! Which price holds: tiers, context steps, fallbacks, multipliers, minimums. Prices are per one, so that each sum can
//! be done in the head.

use ledger::entry::{Scratch, entries_for};
use ledger::money::Decimal;
use ledger::prices::{AmountBasis, Increment, Minimum, ModelRow, Multiplier, PriceBook, Window};
use ledger::unit::Unit;
use serde_json::{Value, json};

use crate::support::{Posted, conditions, event, post, row};

fn units(units: &Value, more: &Value) -> Value {
    let mut event = json!({"provider": "openai", "model": "m", "units": units});
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}

fn priced(prices: &[&str], quantities: &Value, more: &Value) -> Posted {
    post(vec![row("m", prices)], &units(quantities, more)).remove(0)
}

fn with_multipliers(prices: &[&str], multipliers: &[(&str, &str)]) -> ModelRow {
    let multiplier = |(demands, factor): &(&str, &str)| Multiplier {
        factor: Decimal::parse(factor).unwrap(),
        conditions: conditions(demands),
    };
    ModelRow { multipliers: multipliers.iter().map(multiplier).collect(), ..row("m", prices) }
}

const LONG: &[&str] = &[
    "input_uncached_tokens = 2",
    "input_uncached_tokens prompt_tokens_total>100 = 4",
    "input_uncached_tokens service_tier=priority = 6",
    "output_text_tokens = 10",
    "output_text_tokens prompt_tokens_total>100 = 15",
    "output_text_tokens service_tier=priority = 30",
];

#[test]
fn a_context_step_prices_the_whole_request_and_begins_above_its_bound() {
    let at = |input: u64| {
        priced(LONG, &json!({"input_uncached_tokens": input, "output_text_tokens": 1}), &json!({})).cost
    };
    assert_eq!(at(100), "210"); // 100 × 2 + 10
    assert_eq!(at(101), "419"); // 101 × 4 + 15
}

#[test]
fn a_tier_without_a_price_in_the_step_is_unpriced_and_does_not_fall_back_to_standard() {
    let short = priced(LONG, &json!({"input_uncached_tokens": 100}), &json!({"service_tier": "priority"}));
    assert_eq!(short.cost, "600");
    let long = priced(LONG, &json!({"input_uncached_tokens": 101}), &json!({"service_tier": "priority"}));
    assert_eq!((long.cost.as_str(), long.unpriced.as_slice()), ("0", &["input_uncached_tokens"][..]));
    assert_eq!(long.lines, ["input_uncached_tokens unpriced:no_price_in_tier 0"]);
}

#[test]
fn a_tier_that_the_row_does_not_know_is_unpriced() {
    for tier in ["scale", "flex", "off_peak"] {
        let posted = priced(LONG, &json!({"input_uncached_tokens": 1}), &json!({"service_tier": tier}));
        assert_eq!(posted.unpriced, ["input_uncached_tokens"], "{tier}");
    }
    let default = priced(LONG, &json!({"input_uncached_tokens": 1}), &json!({"service_tier": "default"}));
    assert_eq!(default.cost, "2");
}

#[test]
fn provisioned_tokens_cost_nothing_and_other_units_keep_their_price() {
    let prices = &["input_uncached_tokens = 2", "web_search_calls = 3"];
    let quantities = json!({"input_uncached_tokens": 5, "web_search_calls": 2});
    let posted = priced(prices, &quantities, &json!({"service_tier": "provisioned"}));
    assert_eq!(posted.lines, ["input_uncached_tokens own 0", "web_search_calls own 6"]);
    assert!(!posted.is_unpriced);
}

#[test]
fn batch_wins_over_a_tier() {
    let prices =
        &["input_uncached_tokens = 2", "input_uncached_tokens processing=batch = 1", "web_search_calls = 3"];
    let more = json!({"service_tier": "priority", "processing": "batch"});
    let posted = priced(prices, &json!({"input_uncached_tokens": 1, "web_search_calls": 1}), &more);
    assert_eq!(posted.lines, ["input_uncached_tokens own 1", "web_search_calls own 3"]);
}

#[test]
fn a_unit_that_is_priced_as_another_is_derived_from_it_in_every_tier() {
    let prices = &[
        "output_text_tokens = 10",
        "output_text_tokens service_tier=flex = 5",
        "output_reasoning_tokens = 10",
        "input_uncached_tokens = 2",
        "input_uncached_tokens service_tier=flex = 1",
        "input_cache_read_tokens = 0.5",
    ];
    let quantities = json!({"output_reasoning_tokens": 3, "input_cache_read_tokens": 4});
    let posted = priced(prices, &quantities, &json!({"service_tier": "flex"}));
    assert_eq!(
        posted.lines,
        ["input_cache_read_tokens unpriced:no_price_in_tier 0", "output_reasoning_tokens derived 15"]
    );
}

#[test]
fn a_unit_without_a_price_falls_back_along_its_chain_inside_the_tier() {
    let prices = &[
        "input_uncached_tokens = 2",
        "input_uncached_tokens service_tier=flex = 1",
        "input_cache_write_tokens = 3",
        "output_text_tokens = 10",
    ];
    let quantities = json!({
        "input_cache_read_tokens": 1, "input_cache_write_5m_tokens": 1, "input_tool_tokens": 1,
        "input_uncached_document_tokens": 1, "output_reasoning_tokens": 1,
    });
    let standard = priced(prices, &quantities, &json!({}));
    assert_eq!(
        standard.lines,
        [
            "input_uncached_document_tokens fallback:input_uncached_tokens 2",
            "input_tool_tokens fallback:input_uncached_tokens 2",
            "input_cache_read_tokens fallback:input_uncached_tokens 2",
            "input_cache_write_5m_tokens fallback:input_cache_write_tokens 3",
            "output_reasoning_tokens fallback:output_text_tokens 10",
        ]
    );
    // The first unit of the chain that has a standard price decides: cache writes have none in flex.
    let flex = priced(prices, &quantities, &json!({"service_tier": "flex"}));
    assert_eq!(flex.lines[2], "input_cache_read_tokens fallback:input_uncached_tokens 1");
    assert_eq!(flex.unpriced, ["input_cache_write_5m_tokens", "output_reasoning_tokens"]);
}

#[test]
fn one_hour_writes_have_no_silent_fallback_and_half_their_price_in_batch() {
    let without = &["input_uncached_tokens = 2", "input_cache_write_tokens = 3"];
    let posted = priced(without, &json!({"input_cache_write_1h_tokens": 1}), &json!({}));
    assert_eq!(posted.lines, ["input_cache_write_1h_tokens unpriced:no_price_for_lifetime 0"]);
    let with = &[
        "input_cache_write_1h_tokens = 8",
        "input_cache_write_1h_tokens prompt_tokens_total>100 = 10",
        "input_uncached_tokens processing=batch = 1",
    ];
    let batch = |tokens| {
        priced(with, &json!({"input_cache_write_1h_tokens": tokens}), &json!({"processing": "batch"}))
    };
    assert_eq!(batch(1).lines, ["input_cache_write_1h_tokens derived 4"]);
    assert_eq!(batch(101).lines, ["input_cache_write_1h_tokens derived 505"]);
}

#[test]
fn cached_tokens_of_a_modality_that_is_priced_apart_are_unpriced() {
    let cached = json!({"input_cache_read_audio_tokens": 1});
    let apart =
        &["input_uncached_tokens = 2", "input_uncached_audio_tokens = 32", "input_cache_read_tokens = 1"];
    assert_eq!(
        priced(apart, &cached, &json!({})).lines,
        ["input_cache_read_audio_tokens unpriced:modality_apart 0"]
    );
    let alike =
        &["input_uncached_tokens = 2", "input_uncached_audio_tokens = 2", "input_cache_read_tokens = 1"];
    assert_eq!(
        priced(alike, &cached, &json!({})).lines,
        ["input_cache_read_audio_tokens fallback:input_cache_read_tokens 1"]
    );
    let own = &[
        "input_uncached_tokens = 2",
        "input_uncached_audio_tokens = 32",
        "input_cache_read_audio_tokens = 3",
    ];
    assert_eq!(priced(own, &cached, &json!({})).cost, "3");
}

#[test]
fn output_audio_image_and_video_are_never_priced_as_text() {
    let quantities = json!({"output_audio_tokens": 1, "output_image_tokens": 1, "output_video_tokens": 1});
    let posted = priced(&["output_text_tokens = 10"], &quantities, &json!({}));
    assert_eq!(posted.unpriced, ["output_audio_tokens", "output_image_tokens", "output_video_tokens"]);
}

#[test]
fn what_is_free_by_rule_is_an_own_price_of_zero() {
    let quantities = json!({"input_grounding_tokens": 9, "output_citation_tokens": 9, "web_fetch_calls": 9, "requests": 1});
    let posted = priced(&["input_uncached_tokens = 2"], &quantities, &json!({}));
    assert!(posted.lines.iter().all(|line| line.ends_with("own 0")), "{:?}", posted.lines);
    assert!(!posted.is_unpriced);
}

#[test]
fn of_searches_and_grounded_prompts_one_is_priced_and_the_other_free() {
    let quantities = json!({"web_search_calls": 3, "grounded_prompts": 1});
    assert_eq!(priced(&["web_search_calls = 2"], &quantities, &json!({})).cost, "6");
    assert_eq!(priced(&["grounded_prompts = 5"], &quantities, &json!({})).cost, "5");
    let neither = priced(&["input_uncached_tokens = 2"], &quantities, &json!({}));
    assert_eq!(neither.unpriced, ["web_search_calls", "grounded_prompts"]);
}

const SONAR: &[&str] = &[
    "input_uncached_tokens = 1",
    "web_search_calls search_context_size=low = 5",
    "web_search_calls search_context_size=medium = 8",
    "requests search_context_size=low = 5",
    "requests search_context_size=medium = 8",
];

#[test]
fn a_search_fee_of_unstated_size_is_medium_and_flagged() {
    let posted = priced(SONAR, &json!({"web_search_calls": 2}), &json!({}));
    assert_eq!(posted.lines, ["web_search_calls own 16"], "counted searches replace the fee of the request");
    assert_eq!(posted.flags, ["search_context_assumed"]);
    let stated =
        priced(SONAR, &json!({"web_search_calls": 2}), &json!({"context": {"search_context_size": "low"}}));
    assert_eq!((stated.cost.as_str(), stated.flags.len()), ("10", 0));
}

#[test]
fn where_no_searches_are_counted_the_fee_prices_the_request_once() {
    let posted = priced(
        SONAR,
        &json!({"input_uncached_tokens": 1}),
        &json!({"context": {"search_context_size": "low"}}),
    );
    assert_eq!(posted.lines, ["input_uncached_tokens own 1", "requests own 5"]);
}

#[test]
fn multipliers_act_on_tokens_and_stack() {
    let row = with_multipliers(
        &["input_uncached_tokens = 4", "web_search_calls = 10"],
        &[("speed=fast", "2"), ("inference_geo=us", "1.1")],
    );
    let usage = json!({"input_tokens": 10, "server_tool_use": {"web_search_requests": 1}, "speed": "fast", "inference_geo": "us"});
    let event = json!({"provider": "openai", "model": "m", "endpoint_family": "anthropic", "usage": usage});
    let posted = post(vec![row], &event).remove(0);
    assert_eq!(posted.lines, ["input_uncached_tokens own 88", "web_search_calls own 10"]); // 10 × 4 × 2.2
    assert!(posted.flags.is_empty());
}

#[test]
fn a_speed_or_place_without_a_multiplier_has_factor_one_and_a_flag() {
    let event = |geo: &str, speed: &str| {
        let usage = json!({"input_tokens": 10, "inference_geo": geo, "speed": speed});
        let event = json!({"model": "m", "endpoint_family": "anthropic", "usage": usage});
        post(vec![row("m", &["input_uncached_tokens = 4"])], &event).remove(0)
    };
    assert_eq!(
        (event("us", "standard").cost.as_str(), event("us", "standard").flags),
        ("40", vec!["multiplier_missing"])
    );
    assert_eq!(event("global", "fast").flags, ["multiplier_missing"]);
    assert!(event("not_available", "standard").flags.is_empty());
}

#[test]
fn regional_multipliers_go_by_the_region_of_the_event() {
    let row = || with_multipliers(&["input_uncached_tokens = 10"], &[("region=eu", "1.1")]);
    let cost = |row: ModelRow, region: &Value| {
        post(vec![row], &units(&json!({"input_uncached_tokens": 1}), &json!({"region": region}))).remove(0)
    };
    assert_eq!(cost(row(), &json!("eu")).cost, "11");
    assert_eq!(cost(row(), &json!("jp")).cost, "10");
    assert!(cost(row(), &Value::Null).flags.is_empty());
    let vertex = || with_multipliers(&["input_uncached_tokens = 10"], &[("region!=global", "1.1")]);
    assert_eq!(cost(vertex(), &json!("europe-west4")).cost, "11");
    assert_eq!(cost(vertex(), &json!("global")).cost, "10");
    assert_eq!(cost(vertex(), &Value::Null).cost, "10");
}

#[test]
fn a_size_without_a_matching_price_is_unpriced_and_a_price_without_a_size_matches_all() {
    let sized = &["output_images size=1024x1024 quality=hd = 8", "output_images size=1024x1024 = 4"];
    let image = |prices: &[&str], context: &Value| {
        priced(prices, &json!({"output_images": 1}), &json!({"context": context}))
    };
    assert_eq!(
        image(sized, &json!({"size": "1024x1024", "quality": "hd"})).cost,
        "8",
        "the more specific price holds"
    );
    assert_eq!(image(sized, &json!({"size": "1024x1024", "quality": "low"})).cost, "4");
    let other = image(sized, &json!({"size": "64x64"}));
    assert_eq!(other.lines, ["output_images unpriced:no_price_for_dimensions 0"]);
    assert_eq!(image(&["output_images = 3"], &json!({"size": "64x64"})).cost, "3");
    assert_eq!(image(&["output_images resolution=2K = 3"], &json!({"resolution": "2k"})).cost, "3");
}

#[test]
fn off_peak_hours_go_by_the_time_of_the_event_and_for_the_standard_tier_only() {
    let mut row = row(
        "m",
        &[
            "input_uncached_tokens = 4",
            "input_uncached_tokens = 2",
            "input_uncached_tokens service_tier=flex = 3",
        ],
    );
    // Tuesdays from 04:00 to 06:00 UTC.
    row.prices[1].conditions.windows = vec![Window::new(&[2], 4 * 60, 6 * 60).unwrap()];
    // 2026-11-03T00:00:00Z was a Tuesday.
    let midnight = 1_793_664_000_000_i64;
    let cost = |minute: i64, tier: &str| {
        let more = json!({"occurred_at": midnight + minute * 60_000, "service_tier": tier});
        post(vec![row.clone()], &units(&json!({"input_uncached_tokens": 1}), &more)).remove(0).cost
    };
    assert_eq!(cost(4 * 60, "default"), "2");
    assert_eq!(cost(6 * 60 - 1, "default"), "2");
    assert_eq!(cost(6 * 60, "default"), "4");
    assert_eq!(cost(24 * 60 + 4 * 60, "default"), "4", "Wednesday");
    assert_eq!(cost(4 * 60, "flex"), "3");
}

#[test]
fn the_tier_that_the_response_names_goes_before_that_of_the_event() {
    let prices = &["input_uncached_tokens = 2", "input_uncached_tokens processing=batch = 1"];
    let event = |tier: &str| {
        json!({"model": "m", "endpoint_family": "anthropic", "service_tier": "priority",
        "usage": {"input_tokens": 1, "service_tier": tier}})
    };
    assert_eq!(post(vec![row("m", prices)], &event("standard"))[0].cost, "2");
    assert_eq!(post(vec![row("m", prices)], &event("batch"))[0].cost, "1");
}

#[test]
fn a_minimum_is_charged_and_has_no_unit_price() {
    let row = ModelRow {
        minimums: vec![Minimum { unit: Unit::InputAudioSeconds, quantity: Decimal::parse("10").unwrap() }],
        ..row("m", &["input_audio_seconds = 3"])
    };
    let cost = |seconds: &str| {
        post(vec![row.clone()], &units(&json!({"input_audio_seconds": seconds}), &json!({}))).remove(0).cost
    };
    assert_eq!(cost("4.5"), "30");
    assert_eq!(cost("10.5"), "31.5");
}

#[test]
fn a_quantity_is_charged_at_its_minimum_first_and_then_in_whole_steps() {
    let seconds = |quantity: &str| Decimal::parse(quantity).unwrap();
    let unit = Unit::InputAudioSeconds;
    let step = vec![Increment { unit, quantity: seconds("6") }];
    let stepped = ModelRow { increments: step, ..row("m", &["input_audio_seconds = 3"]) };
    let both = ModelRow { minimums: vec![Minimum { unit, quantity: seconds("10") }], ..stepped.clone() };
    let cost = |row: &ModelRow, seconds: &str| {
        post(vec![row.clone()], &units(&json!({"input_audio_seconds": seconds}), &json!({}))).remove(0).cost
    };
    assert_eq!(cost(&stepped, "6"), "18", "one step is no more than itself");
    assert_eq!(cost(&stepped, "6.001"), "36"); // 12 × 3
    assert_eq!(cost(&both, "4.5"), "36"); // at least 10, so two steps
    assert_eq!(cost(&both, "12"), "36");
    assert_eq!(cost(&both, "12.5"), "54"); // 18 × 3
}

#[test]
fn a_line_shows_the_minimum_and_the_step_that_changed_what_is_charged_and_no_other() {
    let unit = Unit::InputAudioSeconds;
    let number = |text: &str| Decimal::parse(text).unwrap();
    let row = ModelRow {
        minimums: vec![Minimum { unit, quantity: number("10") }],
        increments: vec![Increment { unit, quantity: number("6") }],
        ..row("m", &["input_audio_seconds = 3"])
    };
    let book = PriceBook::new(vec![row]).unwrap();
    for (quantity, minimum, increment, charged, unit_price) in [
        ("4.5", Some("10"), Some("6"), "12", None),
        ("12", None, None, "12", Some("3")),
        ("12.5", None, Some("6"), "18", None),
    ] {
        let event = event(&units(&json!({"input_audio_seconds": quantity}), &json!({})));
        entries_for(&event, &book, &mut Scratch::default(), |entry| {
            let line = &entry.lines[0];
            let price = line.price.unwrap();
            assert_eq!(price.minimum, minimum.map(number), "{quantity}");
            assert_eq!(price.increment, increment.map(number), "{quantity}");
            assert_eq!(line.charged(), number(charged));
            assert_eq!(
                line.unit_price(),
                unit_price.map(number),
                "no unit price times {quantity} is the amount"
            );
        })
        .unwrap();
    }
}

#[test]
fn a_reported_amount_is_evidence_unless_the_row_bills_it() {
    let event = units(
        &json!({"input_uncached_tokens": 10}),
        &json!({"reported_cost": {"amount": "7.25", "currency": "USD"}}),
    );
    assert_eq!(post(vec![row("m", &["input_uncached_tokens = 2"])], &event)[0].cost, "20");
    let reported =
        ModelRow { amount_basis: AmountBasis::ProviderReported, ..row("m", &["input_uncached_tokens = 2"]) };
    let posted = post(vec![reported], &event).remove(0);
    assert_eq!(posted.lines, ["input_uncached_tokens reported 0", "requests reported 7.25"]);
}

#[test]
fn the_usage_of_a_whole_batch_job_has_the_batch_price_without_a_context_step() {
    let prices = &[
        "input_uncached_tokens = 2",
        "input_uncached_tokens prompt_tokens_total>100 = 4",
        "input_uncached_tokens processing=batch = 1",
        "input_uncached_tokens processing=batch prompt_tokens_total>100 = 2",
    ];
    let event = |outcome: &Value| {
        json!({"model": "m", "endpoint_family": "openai-batch", "outcome": outcome,
        "usage": {"input_tokens": 1000, "output_tokens": 0}, "context": {"aggregate": true}})
    };
    let posted = post(vec![row("m", prices)], &event(&Value::Null)).remove(0);
    assert_eq!((posted.outcome, posted.cost.as_str()), ("not_billed", "0"));
    assert!(!posted.is_unpriced);
    let billed = post(vec![row("m", prices)], &event(&json!("billed"))).remove(0);
    assert_eq!((billed.cost.as_str(), billed.flags), ("1000", vec!["aggregate_no_tier"]));
}

#[test]
fn two_prices_for_one_event_make_a_row_ambiguous() {
    let refused = |prices: &[&str]| PriceBook::new(vec![row("m", prices)]).unwrap_err().to_string();
    let error = refused(&["output_images size=a = 1", "output_images quality=b = 2"]);
    assert!(error.contains("ambiguous") && error.contains("output_images"), "{error}");
    assert!(
        PriceBook::new(vec![row("m", &["output_images size=a = 1", "output_images size=b = 2"])]).is_ok()
    );
    assert!(
        PriceBook::new(vec![row("m", &["output_images size=a = 1", "output_images quality=b = 1"])]).is_ok()
    );
    let error = refused(&["web_search_calls = 1", "grounded_prompts = 1"]);
    assert!(error.contains("paid twice"), "{error}");
    let error = refused(&["input_uncached_tokens service_tier=default = 1"]);
    assert!(error.contains("`standard`"), "{error}");
}

//! One rule of the event schema a test.

use ledger::event::{AttemptKind, Outcome};
use ledger::usage::Node;

use super::*;
use crate::event::{content_hash, id_hash};

#[test]
fn every_field_arrives_where_it_belongs() {
    let json = include_bytes!("../../../events/examples/chat_with_every_field.json");
    let arena = Arena::new();
    let event = Decoder::new().unwrap().decode(record(json), &arena).unwrap();
    assert_eq!(event.event_id, "01JD8Q0Z6V2C9S4T7N5M3K1H0A");
    assert_eq!(event.occurred_at, Millis(1_763_979_330_123));
    assert_eq!((event.attempt, event.attempt_kind), (2, AttemptKind::Fallback));
    assert_eq!((event.owners.team, event.owners.workflow), (Some("search"), Some("nightly-digest")));
    assert_eq!(event.tags, [("feature", "summaries"), ("plan", "gold")]);
    assert_eq!((event.status, event.outcome, event.stream), (Some(200), Some(Outcome::Billed), Some(true)));
    assert_eq!((event.latency_ms, event.ttft_ms, event.gateway_seq), (Some(1834), Some(312), Some(918_273)));
    let usage = event.usage.unwrap();
    assert_eq!(usage.node.path(&["prompt_tokens_details", "cached_tokens"]), Some(Node::Number("1920")));
    assert!(usage.text.starts_with('{') && usage.text.ends_with('}'));
    let cost = event.reported_cost.unwrap();
    assert_eq!((cost.amount, cost.currency, cost.source), ("0.00732", "USD", Some("gateway")));
}

#[test]
fn what_is_absent_has_its_default() {
    let arena = Arena::new();
    let event = Decoder::new().unwrap().decode(record(SMALLEST.as_bytes()), &arena).unwrap();
    assert_eq!((event.attempt, event.attempt_kind, event.outcome), (1, AttemptKind::Primary, None));
    assert!(event.tags.is_empty() && event.usage.is_none() && event.units.is_none());
}

#[test]
fn a_record_without_a_value_is_a_tombstone_and_an_empty_one_is_broken() {
    let tombstone = Record { value: None, content_type: None, log_time: LOG_TIME };
    let error = Decoder::new().unwrap().decode(tombstone, &Arena::new()).unwrap_err();
    assert!(matches!(error, Error::Reject(reject) if reject.reason == Reason::Tombstone));
    assert_eq!(refusal(b"").0, Reason::Decode);
}

#[test]
fn an_event_of_256_kib_is_read_and_one_byte_more_is_too_large() {
    let frame = with(r#""note":"""#);
    let filled = |length: usize| {
        frame.replacen(r#""note":"""#, &format!(r#""note":"{}""#, "x".repeat(length - frame.len())), 1)
    };
    assert_eq!(filled(262_144).len(), 262_144);
    accepts(&filled(262_144));
    refuses(&filled(262_145), Reason::TooLarge);
}

#[test]
fn null_counts_as_absent() {
    accepts(&with(
        r#""team":null,"attempt":null,"tags":null,"usage":null,"units":{"requests":1},"outcome":null"#,
    ));
    refuses(&replaced("model", "null"), Reason::MissingField);
}

#[test]
fn each_required_field_is_missed_by_name() {
    for name in ["event_id", "request_id", "occurred_at", "key", "endpoint_family", "provider", "model"] {
        let json = SMALLEST.replacen(&format!("\"{name}\""), "\"other\"", 1);
        let (reason, detail) = refusal(json.as_bytes());
        assert_eq!(reason, Reason::MissingField);
        assert!(detail.contains(&format!("`{name}`")), "{detail}");
    }
}

#[test]
fn each_required_string_must_not_be_empty() {
    for name in ["event_id", "request_id", "occurred_at", "key", "endpoint_family", "provider", "model"] {
        let (reason, detail) = refusal(replaced(name, r#""""#).as_bytes());
        assert_eq!(reason, Reason::InvalidField, "{name}");
        assert!(detail.contains(&format!("`{name}`")), "{detail}");
    }
}

#[test]
fn an_empty_optional_string_means_absent() {
    let arena = Arena::new();
    let json = with(r#""team":"","alias":"""#);
    let event = Decoder::new().unwrap().decode(record(json.as_bytes()), &arena).unwrap();
    assert_eq!((event.owners.team, event.alias), (None, None));
}

#[test]
fn ids_and_owners_hold_128_code_points_and_not_one_more() {
    for name in ["event_id", "request_id", "key"] {
        accepts(&replaced(name, &format!("\"{}\"", "語".repeat(128))));
        refuses(&replaced(name, &format!("\"{}\"", "語".repeat(129))), Reason::InvalidField);
    }
    for name in ["team", "app", "environment", "customer", "project", "end_user", "workflow"] {
        accepts(&with(&format!("\"{name}\":\"{}\"", "😀".repeat(128))));
        refuses(&with(&format!("\"{name}\":\"{}\"", "😀".repeat(129))), Reason::InvalidField);
    }
    accepts(&replaced("model", &format!("\"{}\"", "m".repeat(500))));
}

#[test]
fn an_unknown_name_in_a_closed_list_is_an_invalid_field() {
    for name in ["attempt_kind", "outcome", "gateway_cache", "credential"] {
        refuses(&with(&format!("\"{name}\":\"other\"")), Reason::InvalidField);
        refuses(&with(&format!("\"{name}\":\"\"")), Reason::InvalidField);
    }
    accepts(&replaced("endpoint_family", "\"brand-new\""));
}

#[test]
fn a_wrong_type_is_an_invalid_field() {
    for members in [
        r#""team":1"#,
        r#""tags":[]"#,
        r#""tags":{"a":1}"#,
        r#""tags":{"a":null}"#,
        r#""attempt":"1""#,
        r#""stream":"true""#,
        r#""status":"200""#,
        r#""usage":"{}""#,
        r#""context":[]"#,
        r#""units":{"requests":true}"#,
        r#""units":[1]"#,
        r#""reported_cost":1"#,
        r#""reported_cost":{"amount":true,"currency":"USD"}"#,
        r#""reported_cost":{"amount":1,"currency":"dollars"}"#,
        r#""reported_cost":{"amount":1,"currency":"USD","source":1}"#,
    ] {
        refuses(&with(members), Reason::InvalidField);
    }
    refuses(&replaced("occurred_at", "true"), Reason::InvalidField);
}

#[test]
fn whole_numbers_are_read_however_they_are_spelled() {
    for members in
        [r#""attempt":2.0"#, r#""status":2e2"#, r#""latency_ms":0"#, r#""gateway_seq":9223372036854775807"#]
    {
        accepts(&with(members));
    }
    for members in [
        r#""attempt":0"#,
        r#""attempt":1.5"#,
        r#""attempt":2147483648"#,
        r#""status":-1"#,
        r#""status":1000"#,
        r#""latency_ms":-1"#,
        r#""gateway_seq":9223372036854775808"#,
    ] {
        refuses(&with(members), Reason::InvalidField);
    }
}

#[test]
fn occurred_at_lies_between_2015_and_a_day_after_the_log_time() {
    for time in
        ["\"2015-01-01T00:00:00Z\"", "\"2025-11-25T12:00:00.000999Z\"", "1420070400000", "1764072000000"]
    {
        accepts(&replaced("occurred_at", time));
    }
    for time in [
        "\"2014-12-31T23:59:59.999Z\"",
        "\"2025-11-25T12:00:00.001Z\"",
        "1420070399999",
        "1764072000001",
        "99999999999",
        "-1",
        "0",
        "1e30",
        "\"1763979330123\"",
    ] {
        refuses(&replaced("occurred_at", time), Reason::InvalidTime);
    }
}

#[test]
fn usage_and_units_exclude_each_other_unless_one_is_empty() {
    refuses(&with(r#""usage":{"a":1},"units":{"requests":1}"#), Reason::UsageAndUnits);
    let arena = Arena::new();
    let json = with(r#""usage":{},"units":{"requests":1}"#);
    let event = Decoder::new().unwrap().decode(record(json.as_bytes()), &arena).unwrap();
    assert_eq!((event.usage, event.units), (None, Some([("requests", "1")].as_slice())));
}

#[test]
fn a_unit_is_a_number_or_a_decimal_string() {
    accepts(&with(r#""units":{"a":1,"b":"2.50","c":1e-3,"d":"0"}"#));
    for value in ["many", "", "0x10", "1,5", "NaN", "+1"] {
        refuses(&with(&format!(r#""units":{{"a":"{value}"}}"#)), Reason::MalformedUsage);
    }
}

#[test]
fn tags_have_at_most_16_entries_and_are_sorted() {
    let tags = |count: usize| {
        let members: Vec<String> = (0..count).rev().map(|at| format!(r#""t{at:02}":"v""#)).collect();
        with(&format!(r#""tags":{{{}}}"#, members.join(",")))
    };
    accepts(&tags(16));
    refuses(&tags(17), Reason::InvalidField);
    let (arena, json) = (Arena::new(), tags(16));
    let event = Decoder::new().unwrap().decode(record(json.as_bytes()), &arena).unwrap();
    assert!(event.tags.is_sorted());
}

#[test]
fn a_name_that_stands_twice_is_refused_at_any_level() {
    for members in [
        r#""model":"a""#,
        r#""x":1,"x":1"#,
        r#""x":1,"\u0078":1"#,
        r#""usage":{"a":1,"a":2}"#,
        r#""unknown":[{"deep":{"a":1,"b":2,"a":3}}]"#,
    ] {
        refuses(&with(members), Reason::Decode);
    }
    let many: Vec<String> = (0..200).map(|at| format!(r#""n{at}":{at}"#)).collect();
    accepts(&with(&format!(r#""usage":{{{}}}"#, many.join(","))));
    refuses(&with(&format!(r#""usage":{{{},"n7":0}}"#, many.join(","))), Reason::Decode);
    refuses(&with(&format!(r#"{},"n7":0"#, many.join(","))), Reason::Decode);
}

#[test]
fn nesting_is_64_levels_deep_at_most_the_event_counted() {
    let nested =
        |levels: usize| with(&format!(r#""usage":{}1{}"#, r#"{"a":"#.repeat(levels), "}".repeat(levels)));
    accepts(&nested(63));
    refuses(&nested(64), Reason::Decode);
    refuses(&with(&format!(r#""x":{}"#, "[".repeat(100_000))), Reason::Decode);
}

#[test]
fn control_characters_are_refused_and_line_breaks_outside_the_contract_are_not() {
    for escaped in [r"\u0000", r"\u0007", r"\u007f", r"\u0085", "\u{7f}", "\u{85}"] {
        refuses(&with(&format!(r#""team":"a{escaped}b""#)), Reason::Decode);
        refuses(&with(&format!(r#""usage":{{"a":["x{escaped}"]}}"#)), Reason::Decode);
        refuses(&with(&format!(r#""unknown":{{"x{escaped}":1}}"#)), Reason::Decode);
    }
    for escaped in [r"\n", r"\t", r"\r"] {
        refuses(&with(&format!(r#""team":"a{escaped}b""#)), Reason::Decode);
        refuses(&with(&format!(r#""usage":{{"x{escaped}":1}}"#)), Reason::Decode);
        accepts(&with(&format!(r#""unknown":"a{escaped}b""#)));
    }
    refuses(&with("\"unknown\":\"a\nb\""), Reason::Decode);
    accepts(&with(r#""team":"Ünïcödé \u00e9 \ud83d\ude00""#));
}

#[test]
fn broken_json_says_where() {
    for json in [
        "nonsense",
        "[]",
        "1",
        "{",
        r#"{"a":01}"#,
        r#"{"a":NaN}"#,
        r#"{"a":1,}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\udc00"}"#,
    ] {
        refuses(json, Reason::Decode);
    }
    refuses(&format!("{SMALLEST} {{}}"), Reason::Decode);
    accepts(&format!(" \r\n\t{SMALLEST}\n"));
    let (_, detail) = refusal(br#"{"a" 1}"#);
    assert!(detail.contains("byte 5"), "{detail}");
}

#[test]
fn text_is_borrowed_from_the_record() {
    let arena = Arena::new();
    let event = Decoder::new().unwrap().decode(record(SMALLEST.as_bytes()), &arena).unwrap();
    assert!(SMALLEST.as_bytes().as_ptr_range().contains(&event.model.as_ptr()));
}

#[test]
fn the_content_hash_sees_every_field_and_no_unknown_one() {
    let decoder = Decoder::new().unwrap();
    let hash = |json: &str| content_hash(&decoder.decode(record(json.as_bytes()), &Arena::new()).unwrap());
    let smallest = hash(SMALLEST);
    assert_eq!(smallest, hash(&with(r#""unknown":[1,2],"team":null,"attempt":1,"attempt_kind":"primary""#)));
    let mut seen = vec![smallest];
    for members in [
        r#""attempt":2"#,
        r#""attempt_kind":"retry""#,
        r#""fallback_from":"x""#,
        r#""team":"x""#,
        r#""app":"x""#,
        r#""environment":"x""#,
        r#""customer":"x""#,
        r#""project":"x""#,
        r#""end_user":"x""#,
        r#""workflow":"x""#,
        r#""tags":{"x":"y"}"#,
        r#""tags":{"y":"x"}"#,
        r#""alias":"x""#,
        r#""provider_account":"x""#,
        r#""credential":"direct""#,
        r#""route":"x""#,
        r#""region":"x""#,
        r#""service_tier":"x""#,
        r#""processing":"x""#,
        r#""speed":"x""#,
        r#""status":200"#,
        r#""error_class":"x""#,
        r#""outcome":"billed""#,
        r#""stream":true"#,
        r#""stream":false"#,
        r#""latency_ms":1"#,
        r#""ttft_ms":1"#,
        r#""gateway_cache":"hit""#,
        r#""usage":{}"#,
        r#""usage":{"a":1}"#,
        r#""usage":{"a":"1"}"#,
        r#""usage":{"a":null}"#,
        r#""usage":{"a":[1,2]}"#,
        r#""usage":{"a":[2,1]}"#,
        r#""context":{"a":1}"#,
        r#""units":{"a":1}"#,
        r#""units":{"a":10}"#,
        r#""units":{"a":-1}"#,
        r#""reported_cost":{"amount":1,"currency":"USD"}"#,
        r#""reported_cost":{"amount":1,"currency":"EUR"}"#,
        r#""reported_cost":{"amount":1,"currency":"USD","source":"x"}"#,
        r#""gateway":"x""#,
        r#""gateway_seq":1"#,
    ] {
        seen.push(hash(&with(members)));
    }
    for name in ["event_id", "request_id", "key", "endpoint_family", "provider", "model"] {
        seen.push(hash(&replaced(name, "\"x\"")));
    }
    seen.push(hash(&replaced("occurred_at", "1763979330001")));
    let total = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), total);
}

#[test]
fn numbers_and_names_of_usage_hash_by_value_and_not_by_spelling() {
    let decoder = Decoder::new().unwrap();
    let hash = |members: &str| {
        content_hash(&decoder.decode(record(with(members).as_bytes()), &Arena::new()).unwrap())
    };
    assert_eq!(
        hash(r#""usage":{"a":10,"b":{"c":0.5,"d":0}}"#),
        hash(r#""usage": {"b":{"d":-0.0,"c":5e-1}, "\u0061":1E1}"#)
    );
    assert_eq!(hash(r#""units":{"a":10,"b":1}"#), hash(r#""units":{"b":"1.0","a":"10.00"}"#));
    assert_ne!(hash(r#""usage":{"a":10}"#), hash(r#""usage":{"a":100}"#));
}

#[test]
fn stored_hashes_never_change() {
    let decoder = Decoder::new().unwrap();
    let arena = Arena::new();
    let json = include_bytes!("../../../events/examples/chat_with_every_field.json");
    assert_eq!(content_hash(&decoder.decode(record(json), &arena).unwrap()), 11_310_015_158_121_129_289);
    // By the reference implementation: `xxh3_128_intdigest` of Python's `xxhash`.
    assert_eq!(id_hash("01JD8Q0Z6V2C9S4T7N5M3K1H0A"), 267_500_887_698_180_131_969_921_039_753_911_097_027);
}

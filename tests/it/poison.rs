//! Records that nobody should send, over the whole way: each ends once, as an entry or in quarantine with its one reason,
//! and none keeps the records behind it from being posted.

use schemas::log::NewRecord;
use traffic::Config;

use crate::world::{PATIENCE, TOPIC, World};

/// What must become of a record: entries, or a reason.
const ENTRY: &str = "entry";

struct Case {
    name: &'static str,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    ends_as: &'static str,
}

fn case(name: &'static str, value: impl Into<Vec<u8>>, ends_as: &'static str) -> Case {
    Case { name, value: Some(value.into()), headers: Vec::new(), ends_as }
}

fn under(content_type: &str, case: Case) -> Case {
    Case { headers: vec![("content-type".to_owned(), content_type.as_bytes().to_vec())], ..case }
}

/// An event with these members, which replace the usual ones.
fn event(id: &str, members: &str) -> String {
    let usual = [
        (r#""occurred_at""#, r#""occurred_at":"2026-11-02T10:00:00Z""#),
        (r#""usage""#, r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#),
        (r#""key""#, r#""key":"k""#),
        (r#""model""#, r#""model":"gpt-5.5""#),
    ];
    let kept: Vec<&str> =
        usual.iter().filter(|(name, _)| !members.contains(name)).map(|(_, member)| *member).collect();
    let separator = if members.is_empty() { "" } else { "," };
    format!(
        r#"{{"event_id":"{id}","request_id":"r-{id}","endpoint_family":"openai","provider":"openai","status":200,{}{separator}{members}}}"#,
        kept.join(",")
    )
}

fn usage(id: &str, prompt_tokens: &str) -> String {
    event(id, &format!(r#""usage":{{"prompt_tokens":{prompt_tokens},"completion_tokens":5}}"#))
}

fn at(id: &str, occurred_at: &str) -> String {
    event(id, &format!(r#""occurred_at":{occurred_at}"#))
}

fn broken_bytes() -> Vec<Case> {
    let avro = [&[0, 0, 0, 0, 1][..], b"\x10half"].concat();
    let depth = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let invalid = event("utf8", r#""alias":"BYTES""#).into_bytes();
    let place = invalid.windows(5).position(|window| window == b"BYTES").unwrap();
    let invalid = [&invalid[..place], b"\xff\xfe\x80", &invalid[place + 5..]].concat();
    vec![
        case("empty", "", "decode"),
        Case { value: None, ..case("tombstone", "", "tombstone") },
        case("too large", event("large", &format!(r#""padding":"{}""#, "x".repeat(300_000))), "too_large"),
        case("truncated JSON", &event("cut", "")[..90], "decode"),
        case("truncated Avro", avro.clone(), "decode"),
        case("an unknown fingerprint", b"\xc3\x01\x00\x01\x02\x03\x04\x05\x06\x07rest".to_vec(), "decode"),
        under("application/avro", case("JSON called Avro", event("called", ""), "decode")),
        under("application/json", case("Avro called JSON", avro, "decode")),
        case("a bomb of depth", depth, "decode"),
        case(
            "a bomb inside",
            event("deep", &format!(r#""context":{}{}"#, r#"{"a":"#.repeat(70), "}".repeat(70) + "1")),
            "decode",
        ),
        case("duplicate keys", event("twice", r#""alias":"a","alias":"b""#), "decode"),
        case(
            "duplicate keys in usage",
            event("twice2", r#""usage":{"prompt_tokens":1,"prompt_tokens":2}"#),
            "decode",
        ),
        case("invalid UTF-8", invalid, "decode"),
        case("NUL escaped", event("nul", r#""alias":"a\u0000b""#), "decode"),
        case("a lone surrogate", event("alone", r#""alias":"\ud800x""#), "decode"),
        case("an array", "[1,2]", "decode"),
        case("a number", "12", "decode"),
        case("escapes", event("escapes", r#""alias":"\u0061\"\\\/\ud83d\ude00\u00e9""#), ENTRY),
        case("whitespace around", format!(" \n\t{}\r\n ", event("white", "")), ENTRY),
        case("a byte order mark", format!("\u{feff}{}", event("bom", "")), "decode"),
    ]
}

fn numbers() -> Vec<Case> {
    let huge = "9".repeat(39);
    let units = |id: &str, unit: &str| {
        event(id, &format!(r#""usage":null,"units":{{"input_uncached_tokens":{unit}}}"#))
    };
    vec![
        case("a negative quantity", usage("minus", "-1"), "malformed_usage"),
        case("u64::MAX", usage("max", "18446744073709551615"), "unpostable"),
        case("39 digits", usage("digits", &huge), "unpostable"),
        case("1e3", usage("e3", "1e3"), ENTRY),
        case("1.5 tokens", usage("half", "1.5"), "malformed_usage"),
        case("NaN", usage("nan", "NaN"), "decode"),
        case("a number as text", usage("text", "\"12\""), "malformed_usage"),
        case(
            "more cached than there are",
            event(
                "cached",
                r#""usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":11}}"#,
            ),
            ENTRY,
        ),
        case("units as text", units("unit text", "\"12\""), ENTRY),
        case("units below zero", units("unit minus", "-1"), "malformed_usage"),
        case("a zero", usage("zero", "0"), ENTRY),
        case("a row that costs more than 38 digits hold", units("cost", "9223372036854775807"), ENTRY),
    ]
}

/// The log's clock says when: what is more than a day ahead of it, or before 2015, has no time.
fn times() -> Vec<Case> {
    vec![
        case("ten years ago", at("past", "\"2016-11-02T10:00:00Z\""), ENTRY),
        case("before 2015", at("past2", "\"2014-12-31T23:59:59.999Z\""), "invalid_time"),
        case("ten years ahead", at("ahead", "\"2036-11-02T10:00:00Z\""), "invalid_time"),
        case("the year 9999", at("9999", "\"9999-12-31T23:59:59Z\""), "invalid_time"),
        case("the year 10000", at("10000", "253402300800000"), "invalid_time"),
        case("no time", event("none", r#""occurred_at":null"#), "missing_field"),
        case("an empty time", at("empty", "\"\""), "invalid_field"),
        case("the last millisecond of a month", at("edge", "\"2026-10-31T23:59:59.999Z\""), ENTRY),
        case("the first millisecond of a month", at("edge2", "\"2026-11-01T00:00:00.000Z\""), ENTRY),
        case("another month by its offset", at("offset", "\"2026-11-01T00:30:00+01:00\""), ENTRY),
        case("a leap second", at("leap", "\"2016-12-31T23:59:60Z\""), "invalid_time"),
        case("an hour that a local day has twice", at("dst", "\"2026-10-25T02:30:00+02:00\""), ENTRY),
        case("the same hour again", at("dst2", "\"2026-10-25T02:30:00+01:00\""), ENTRY),
        case("an hour that a local day leaves out", at("dst3", "\"2026-03-29T02:30:00+01:00\""), ENTRY),
        case("no offset", at("local", "\"2026-11-02T10:00:00\""), "invalid_time"),
        case("seconds for milliseconds", at("seconds", "1793491200"), "invalid_time"),
        case("the 29th of February of no leap year", at("feb", "\"2025-02-29T10:00:00Z\""), "invalid_time"),
    ]
}

fn rules() -> Vec<Case> {
    let secret = format!("sk-{}", "a1B2c3D4".repeat(4));
    vec![
        case("a secret", event("secret", &format!(r#""alias":"{secret}""#)), "secret"),
        case(
            "a secret in broken JSON",
            event("secret2", &format!(r#""alias":"{secret}""#)).trim_end_matches('}'),
            "secret",
        ),
        case(
            "an unknown family",
            event("family", "").replace("\"openai\",\"provider\"", "\"nothing\",\"provider\""),
            "unknown_family",
        ),
        case("usage and units", event("both", r#""units":{"input_uncached_tokens":1}"#), "usage_and_units"),
        case("an outcome that is none", event("outcome", r#""outcome":"charged""#), "invalid_field"),
        case("an id of 129 characters", event(&"i".repeat(129), ""), "invalid_field"),
        case("an empty id", event("", ""), "invalid_field"),
        case("no model", event("model", r#""model":null"#), "missing_field"),
        case("first of three", event("same", ""), ENTRY),
        case("the same again", event("same", ""), "duplicate"),
        case("the same id with other content", event("same", r#""alias":"other""#), "conflict"),
    ]
}

#[test]
fn every_poison_ends_once_with_its_reason_and_holds_nothing_up() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let cases: Vec<Case> = [broken_bytes(), numbers(), times(), rules()].into_iter().flatten().collect();
    let records = cases.iter().map(|case| NewRecord {
        key: None,
        value: case.value.clone(),
        headers: case.headers.clone(),
    });
    world.send(TOPIC, records);
    let count = u64::try_from(cases.len()).unwrap();
    world.wait_until_received(count);
    let wrong: Vec<String> = cases
        .iter()
        .zip(0_u64..)
        .filter_map(|(case, offset)| {
            let became = world.fate_of(offset);
            (became != case.ends_as).then(|| format!("{}: {} and not {}", case.name, became, case.ends_as))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let flagged =
        "SELECT count() FROM entries WHERE event_id = 'cached' AND has(flags, 'inconsistent_usage')";
    assert_eq!(world.number(flagged), 1, "more cached than there are is taken, and said so");

    // A repeat that comes in a later batch, and one that comes after the worker's memory is gone.
    let same = event("same", "");
    world.produce_one(&same);
    world.wait_until_received(count + 1);
    worker.terminate().unwrap();
    worker.wait(PATIENCE).unwrap();
    let _next = world.worker();
    world.produce_one(&same);
    world.wait_until_received(count + 2);
    assert_eq!([count, count + 1].map(|offset| world.fate_of(offset)), ["duplicate", "duplicate"]);

    let truth = world.produce(Config { count: 200, ..Config::default() });
    world.wait_until_received(count + 2 + truth.received);
    world.assert_audit_is_clean();
}

//! Credentials: what counts as one, that it wins over every other fault, and that nothing of it is left.
//! The credentials are made up here, so that no scanner of this repository mistakes them for real ones.

use super::*;
use crate::event::secret::redact_text;

/// Sixteen characters: the fewest that count behind a prefix.
const SIXTEEN: &str = "exampleexample00";

fn is_secret(json: &str) -> bool {
    let decoder = Decoder::new().unwrap();
    let found = matches!(
        decoder.decode(record(json.as_bytes()), &Arena::new()),
        Err(Error::Reject(reject)) if reject.reason == Reason::Secret
    );
    let redacted = decoder.redact(&record(json.as_bytes()));
    assert_eq!(found, redacted.as_ref() != json.as_bytes(), "{json}");
    found
}

#[test]
fn a_prefix_counts_with_sixteen_characters_behind_it() {
    for prefix in ["sk-", "sk-ant-", "sk-proj-", "AIza", "AKIA", "Bearer "] {
        assert!(is_secret(&with(&format!(r#""team":"{prefix}{SIXTEEN}""#))), "{prefix}");
    }
    for name in
        ["sk-prod", "sk-exampleexample0", "AIzaexample", "AKIA", "Bearer token", "Bearer  exampleexample00"]
    {
        assert!(!is_secret(&with(&format!(r#""team":"{name}""#))), "{name}");
    }
    assert!(is_secret(&with(r#""team":"Bearer a.b.c.d.e.f.g.h.i""#)));
    assert!(!is_secret(&with(r#""team":"sk-a.b.c.d.e.f.g.h.i""#)));
}

#[test]
fn a_prefix_counts_only_at_the_start_of_a_word() {
    for text in [
        "risk-assessment-of-something",
        "tusk-exampleexample00",
        "ésk-exampleexample00",
        "1sk-exampleexample00",
        "XAKIAexampleexample00",
    ] {
        assert!(!is_secret(&with(&format!(r#""team":"{text}""#))), "{text}");
    }
    for text in [
        "key=sk-exampleexample00",
        "my_sk-exampleexample00",
        "“sk-exampleexample00”",
        r"a\nsk-exampleexample00",
        r"a\/sk-exampleexample00",
        r#"{\"k\":\"sk-exampleexample00\"}"#,
    ] {
        assert!(is_secret(&with(&format!(r#""team":"{text}""#))), "{text}");
    }
}

#[test]
fn every_string_is_checked_wherever_it_stands() {
    let secret = format!("sk-{SIXTEEN}");
    for members in [
        format!(r#""{secret}":1"#),
        format!(r#""unknown":[[{{"a":"{secret}"}}]]"#),
        format!(r#""usage":{{"{secret}":1}}"#),
        format!(r#""usage":{{"a":["{secret}"]}}"#),
        format!(r#""context":{{"a":"x {secret} y"}}"#),
        format!(r#""tags":{{"a":"{secret}"}}"#),
        format!(r#""units":{{"{secret}":1}}"#),
        format!(r#""reported_cost":{{"amount":1,"currency":"USD","source":"{secret}"}}"#),
    ] {
        assert!(is_secret(&with(&members)), "{members}");
    }
    for name in ["event_id", "request_id", "key", "endpoint_family", "provider", "model", "occurred_at"] {
        assert!(is_secret(&replaced(name, &format!("\"{secret}\""))), "{name}");
    }
    assert!(is_secret(&format!(r#"{{"specversion":"1.0","subject":"{secret}","data":{SMALLEST}}}"#)));
}

#[test]
fn an_escaped_credential_is_one_too() {
    for text in [
        r"\u0073k-exampleexample00",
        r"sk\u002dexampleexample00",
        r"s\u006B-exampleexample0\u0030",
        r"\u0041KIAexampleexample00",
        r"Bearer\u0020exampleexample00",
    ] {
        assert!(is_secret(&with(&format!(r#""team":"{text}""#))), "{text}");
        assert!(is_secret(&with(&format!(r#""{text}":1"#))), "{text}");
    }
    assert!(!is_secret(&with(r#""team":"\\u0073k-exampleexample00""#)));
}

#[test]
fn a_secret_wins_over_every_other_fault() {
    let secret = format!(r#""team":"sk-{SIXTEEN}""#);
    for json in [
        with(&secret).replace("\"model\"", "\"other\""),
        with(&format!(r#"{secret},"attempt":0"#)),
        with(&format!(r#"{secret},"usage":{{"a":1}},"units":{{"a":1}}"#)),
        with(&format!(r#"{secret},{secret}"#)),
        with(&secret)[..60].to_owned(),
        format!("[{}]", with(&secret)),
        with(&format!(r#"{secret},"note":"{}""#, "x".repeat(300_000))),
        with(&secret).replace("10:15:30Z", "10:15:60Z"),
        format!("not json at all, sk-{SIXTEEN}"),
    ] {
        assert!(is_secret(&json), "{}", json.chars().take(200).collect::<String>());
    }
    let mut latin = with(&secret).into_bytes();
    latin.push(0xE9);
    assert_eq!(refusal(&latin).0, Reason::Secret);
}

#[test]
fn a_random_key_is_a_secret_and_a_label_or_a_hash_is_not() {
    for key in ["qW3eR5tY7uI9oP1aS2dF4gH6", "gateway:qW3eR5tY7uI9oP1aS2dF4gH6", "qW3e+5tY/uI9oP_aS2dF-gH6xx"]
    {
        assert!(is_secret(&replaced("key", &format!("\"{key}\""))), "{key}");
        assert!(!is_secret(&with(&format!(r#""team":"{key}""#))), "only `key` is judged by entropy: {key}");
    }
    for key in [
        "qW3eR5tY7uI9oP1aS2dF4gH",
        "qw3er5ty7ui9op1as2df4gh6jk8",
        "QW3ER5TY7UI9OP1AS2DF4GH6JK8",
        "qWzeRxtYcuIvoPbaSndFmgHl",
        "aaaaaaaaaaaaAAAAAAAAAAAA1111",
        "9f86d081884c7d659a2feaa0c55ad015A3BF4F1B2B0B822CD15D6C15B0F00A08",
        "123E4567-e89b-12d3-A456-426614174000",
        "team-alpha-production-gateway",
    ] {
        assert!(!is_secret(&replaced("key", &format!("\"{key}\""))), "{key}");
    }
}

#[test]
fn exactly_four_bits_over_a_run_count() {
    // Sixteen characters, each twice: every share is 1/16, so the entropy is log2 16 = 4.
    assert!(is_secret(&replaced("key", "\"aAbBcCdDeEfF0123aAbBcCdDeEfF0123\"")));
    // Fifteen characters, each twice: log2 15 = 3.9.
    assert!(!is_secret(&replaced("key", "\"aAbBcCdDeEfF012aAbBcCdDeEfF012\"")));
}

#[test]
fn a_random_key_is_found_in_broken_json_too() {
    let json = replaced("key", "\"qW3eR5tY7uI9oP1aS2dF4gH6\"");
    let cut = &json[..json.len() - 1];
    assert!(is_secret(cut));
    assert!(is_secret(&format!("?{json}")));
    assert!(is_secret(&replaced("key", r#""qW3eR5tY7uI9oP1aS2dF4g\u00486""#)));
}

#[test]
fn redacted_json_is_the_same_event_without_its_credential() {
    let decoder = Decoder::new().unwrap();
    let json = with(
        r#""team":"a sk-ant-exampleexample00 b","app":"\u0041KIAexampleexample00","unknown":{"x":"Bearer exampleexample.00"}"#,
    );
    let redacted = String::from_utf8(decoder.redact(&record(json.as_bytes())).into_owned()).unwrap();
    assert_eq!(redacted, with(r#""team":"a [redacted] b","app":"[redacted]","unknown":{"x":"[redacted]"}"#));
    accepts(&redacted);
    let json = replaced("key", "\"label:qW3eR5tY7uI9oP1aS2dF4gH6\"");
    let redacted = decoder.redact(&record(json.as_bytes())).into_owned();
    assert_eq!(String::from_utf8(redacted).unwrap(), replaced("key", "\"label:[redacted]\""));
}

#[test]
fn no_reject_and_no_peek_quotes_a_credential() {
    let json = with(&format!(r#""sk-{SIXTEEN}":1,"customer":"sk-{SIXTEEN}","outcome":"sk-{SIXTEEN}""#));
    let (_, detail) = refusal(json.as_bytes());
    assert!(!detail.contains(SIXTEEN), "{detail}");
    let peek = Decoder::new().unwrap().peek(&record(json.as_bytes()));
    assert_eq!(peek.customer.as_deref(), Some("[redacted]"));
    assert_eq!(redact_text(&format!("at sk-{SIXTEEN}!")), "at [redacted]!");
}

#[test]
fn a_text_full_of_prefixes_is_searched_in_one_pass() {
    // Were every prefix followed to the end of the text, this would take minutes.
    for text in ["ask-", "-sk-", "bsk-", "AKIA", r"\u0061sk-"] {
        let json = with(&format!(r#""note":"{}""#, text.repeat(250_000 / text.len())));
        let _ = is_secret(&json);
        let _ = Decoder::new().unwrap().redact(&record(&[b"\0", json.as_bytes()].concat()));
    }
}

#[test]
fn peek_tells_what_it_can() {
    let decoder = Decoder::new().unwrap();
    let json = with(r#""customer":"acme","team":"a\u00e9""#);
    let peek = decoder.peek(&record(json.as_bytes()));
    assert_eq!(
        (peek.event_id.as_deref(), peek.customer.as_deref(), peek.team.as_deref()),
        (Some("e1"), Some("acme"), Some("aé"))
    );
    let cut = &json[..json.find("r1").unwrap()];
    assert_eq!(decoder.peek(&record(cut.as_bytes())).event_id.as_deref(), Some("e1"));
    let broken = format!("?{json}");
    assert_eq!(decoder.peek(&record(broken.as_bytes())).customer.as_deref(), Some("acme"));
    assert_eq!(decoder.peek(&record(b"")), crate::event::Peek::default());
    assert_eq!(
        decoder.peek(&Record { value: None, content_type: None, log_time: LOG_TIME }),
        crate::event::Peek::default()
    );
    let nested =
        SMALLEST.replace("\"model\"", "\"other\"").replacen('{', r#"{"context":{"team":"nested"},"#, 1);
    assert_eq!(decoder.peek(&record(nested.as_bytes())).team, None);
}

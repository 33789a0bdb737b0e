//! Avro in both of its wrappings, schemas of a registry, and CloudEvents.

use apache_avro::types::Value;
use ledger::event::UsageEvent;

use super::*;
use crate::event::{Encoder, content_hash};

fn smallest(arena: &Arena) -> UsageEvent<'_> {
    Decoder::new().unwrap().decode(record(SMALLEST.as_bytes()), arena).unwrap()
}

/// A schema of another gateway: fields in another order, one that nobody knows, most left out.
const OTHER_SCHEMA: &str = r#"{"type":"record","name":"Usage","fields":[
    {"name":"model","type":"string"},{"name":"extra","type":{"type":"array","items":"string"}},
    {"name":"provider","type":{"type":"enum","name":"Provider","symbols":["openai","anthropic"]}},
    {"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"endpoint_family","type":"string"},{"name":"key","type":"string"},
    {"name":"request_id","type":"string"},{"name":"event_id","type":"string"},
    {"name":"status","type":["null","long"]},{"name":"usage","type":["null","string"]}]}"#;

fn by_other_schema(extra: &str, usage: Value) -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(OTHER_SCHEMA).unwrap();
    let text = |text: &str| Value::String(text.to_owned());
    let value = Value::Record(vec![
        ("model".into(), text("gpt-4o")),
        ("extra".into(), Value::Array(vec![text(extra)])),
        ("provider".into(), Value::Enum(0, "openai".into())),
        ("occurred_at".into(), Value::TimestampMillis(1_763_979_330_000)),
        ("endpoint_family".into(), text("openai")),
        ("key".into(), text("k")),
        ("request_id".into(), text("r1")),
        ("event_id".into(), text("e1")),
        ("status".into(), Value::Union(0, Box::new(Value::Null))),
        ("usage".into(), usage),
    ]);
    let datum = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(value)
        .unwrap();
    [&[0, 0, 0, 0, 9], datum.as_slice()].concat()
}

fn no_usage() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

fn usage(text: &str) -> Value {
    Value::Union(1, Box::new(Value::String(text.to_owned())))
}

fn registry() -> Decoder {
    let mut decoder = Decoder::with_registry().unwrap();
    decoder.add_schema(9, OTHER_SCHEMA).unwrap();
    decoder
}

fn reason(decoder: &Decoder, value: &[u8]) -> Reason {
    match decoder.decode(record(value), &Arena::new()) {
        Err(Error::Reject(reject)) => reject.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_by_another_schema_of_the_registry_is_the_same_event() {
    let arena = Arena::new();
    let decoder = registry();
    let bytes = by_other_schema("ignored", no_usage());
    let event = decoder.decode(record(&bytes), &arena).unwrap();
    assert_eq!(event, smallest(&arena));
    assert_eq!(content_hash(&event), content_hash(&smallest(&arena)));
}

#[test]
fn an_unknown_schema_id_asks_to_be_fetched_and_a_refused_one_is_a_reject() {
    let bytes = by_other_schema("x", no_usage());
    let mut decoder = Decoder::with_registry().unwrap();
    assert_eq!(decoder.decode(record(&bytes), &Arena::new()), Err(Error::UnknownSchema(9)));
    decoder.refuse_schema(9, "not in the registry");
    assert_eq!(reason(&decoder, &bytes), Reason::Decode);
    assert!(decoder.add_schema(9, "no schema").is_err());
}

#[test]
fn usage_in_avro_is_json_text_and_held_to_the_rules_of_json() {
    let decoder = registry();
    let arena = Arena::new();
    let bytes = by_other_schema("x", usage(" {\n \"a\": 1.50 }\n"));
    let event = decoder.decode(record(&bytes), &arena).unwrap();
    assert_eq!(event.usage.unwrap().text, "{\n \"a\": 1.50 }");
    for (text, expected) in [
        ("{", Reason::Decode),
        (r#"{"a":1,"a":1}"#, Reason::Decode),
        (r#"{"a":"\u0000"}"#, Reason::Decode),
        (r#"{"a":"\n"}"#, Reason::Decode),
        ("[]", Reason::InvalidField),
        (r#"{"a":"\u0073k-exampleexampleexample"}"#, Reason::Secret),
    ] {
        assert_eq!(reason(&decoder, &by_other_schema("x", usage(text))), expected, "{text}");
    }
    let nested = |levels: usize| usage(&format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels)));
    assert!(decoder.decode(record(&by_other_schema("x", nested(63))), &arena).is_ok());
    assert_eq!(reason(&decoder, &by_other_schema("x", nested(64))), Reason::Decode);
}

#[test]
fn a_credential_in_an_unknown_avro_field_is_found_and_a_word_is_not_taken_for_one() {
    let decoder = registry();
    let credential = by_other_schema("Bearer example.example.example", no_usage());
    assert_eq!(reason(&decoder, &credential), Reason::Secret);
    // The letter before the prefix is a string length to whoever sees only bytes.
    let word = by_other_schema(&format!("rdsk-{}", "exampleword".repeat(9)), no_usage());
    assert!(decoder.decode(record(&word), &Arena::new()).is_ok());
    assert_eq!(decoder.redact(&record(&word)), word.as_slice());
}

#[test]
fn redacted_avro_is_still_the_same_record_without_its_credential() {
    let decoder = registry();
    for secret in [
        "sk-exampleexampleexample",
        "see Bearer example.example.example",
        "AKIAexampleexample00 and AIzaexampleexampleexample",
    ] {
        let bytes = by_other_schema(secret, no_usage());
        let redacted = decoder.redact(&record(&bytes)).into_owned();
        assert_eq!(redacted.len(), bytes.len());
        let arena = Arena::new();
        assert_eq!(decoder.decode(record(&redacted), &arena).unwrap(), smallest(&arena), "{secret}");
    }
}

#[test]
fn a_random_key_in_avro_is_a_secret_and_redacted() {
    let arena = Arena::new();
    let mut event = smallest(&arena);
    event.key = "qW3eR5tY7uI9oP1aS2dF4gH6";
    let bytes = Encoder::new().unwrap().avro_single_object(&event).unwrap();
    let decoder = Decoder::new().unwrap();
    assert_eq!(reason(&decoder, &bytes), Reason::Secret);
    let redacted = decoder.redact(&record(&bytes)).into_owned();
    assert_eq!(decoder.decode(record(&redacted), &arena).unwrap().key, "[redacted]**************");
}

#[test]
fn broken_avro_is_refused() {
    let encoder = Encoder::new().unwrap();
    let arena = Arena::new();
    let bytes = encoder.avro_single_object(&smallest(&arena)).unwrap();
    for length in 0..bytes.len() {
        assert_eq!(refusal(&bytes[..length]).0, Reason::Decode);
    }
    assert_eq!(refusal(&[bytes.as_slice(), b"x"].concat()).0, Reason::Decode);
    let mut other_fingerprint = bytes.clone();
    other_fingerprint[5] ^= 1;
    assert_eq!(refusal(&other_fingerprint).0, Reason::Decode);
}

#[test]
fn what_the_single_object_writer_of_apache_avro_sends_is_read() {
    let arena = Arena::new();
    let mut bytes = Encoder::new().unwrap().avro_single_object(&smallest(&arena)).unwrap();
    let schema = apache_avro::Schema::parse_str(include_str!("../../../events/usage.v1.avsc")).unwrap();
    bytes[2..10].copy_from_slice(&schema.fingerprint::<apache_avro::rabin::Rabin>().bytes);
    assert_eq!(Decoder::new().unwrap().decode(record(&bytes), &arena).unwrap(), smallest(&arena));
}

#[test]
fn control_characters_in_avro_strings_are_refused() {
    let arena = Arena::new();
    for text in ["a\0b", "a\u{85}", "a\nb"] {
        let mut event = smallest(&arena);
        event.alias = Some(text);
        assert_eq!(refusal(&Encoder::new().unwrap().avro_single_object(&event).unwrap()).0, Reason::Decode);
    }
}

#[test]
fn a_cloud_event_carries_the_event_in_its_data() {
    let arena = Arena::new();
    let envelope = format!(
        r#"{{"specversion":"1.0","id":"c1","source":"/gw","type":"usage","data":{}}}"#,
        with(r#""usage":{"a" : 1}"#)
    );
    let decoder = Decoder::new().unwrap();
    for content_type in [None, Some("application/cloudevents+json; charset=utf-8"), Some("application/json")]
    {
        let record = Record { content_type, ..record(envelope.as_bytes()) };
        let event = decoder.decode(record, &arena).unwrap();
        assert_eq!((event.event_id, event.usage.unwrap().text), ("e1", r#"{"a" : 1}"#));
    }
}

#[test]
fn binary_mode_is_the_event_itself() {
    let arena = Arena::new();
    let record = Record { content_type: Some("application/json"), ..record(SMALLEST.as_bytes()) };
    assert_eq!(Decoder::new().unwrap().decode(record, &arena).unwrap(), smallest(&arena));
}

#[test]
fn a_cloud_event_without_an_event_is_refused() {
    for rest in ["", r#","data_base64":"e30=""#, r#","data":"text""#, r#","data":null"#, r#","data":[]"#] {
        refuses(&format!(r#"{{"specversion":"1.0","id":"c1"{rest}}}"#), Reason::Decode);
    }
    refuses(r#"{"specversion":"1.0","id":"c1","data":{}}"#, Reason::MissingField);
    let record = Record { content_type: Some("application/cloudevents+json"), ..record(SMALLEST.as_bytes()) };
    assert!(Decoder::new().unwrap().decode(record, &Arena::new()).is_err());
}

#[test]
fn the_depth_of_an_event_does_not_depend_on_its_envelope() {
    let nested = |levels: usize| {
        let usage = format!(r#""usage":{}1{}"#, r#"{"a":"#.repeat(levels), "}".repeat(levels));
        format!(r#"{{"specversion":"1.0","data":{}}}"#, with(&usage))
    };
    accepts(&nested(63));
    refuses(&nested(64), Reason::Decode);
}

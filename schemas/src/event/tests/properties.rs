//! Properties over generated events: every encoding gives the same event, order does not matter, and no
//! damage to the bytes makes anything but an event or a reject.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::event::{Encoder, content_hash, encode_json};

/// Text that is no control character, with escapes and other scripts in it.
fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zA-Z0-9 _./:\"\\\\é語😀-]{1,20}").unwrap()
}

/// A JSON value of some depth.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), value(), 0..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

/// An event that the decoder accepts, as JSON.
fn event() -> impl Strategy<Value = Map<String, Value>> {
    let required = (text(), text(), 1_420_070_400_000_i64..1_764_000_000_000, text(), text(), text(), text());
    let names = [
        "team",
        "customer",
        "end_user",
        "alias",
        "route",
        "service_tier",
        "error_class",
        "gateway",
        "fallback_from",
    ];
    let texts = prop::collection::vec(prop::option::of(text()), names.len());
    let counts = (
        prop::option::of(1..i32::MAX),
        prop::option::of(0..1000_u16),
        prop::option::of(0..i64::MAX),
        any::<Option<bool>>(),
    );
    let tags = prop::collection::btree_map(text(), text(), 0..17);
    let quantities = prop_oneof![
        Just((Value::Null, Value::Null)),
        object().prop_map(|usage| (usage, Value::Null)),
        prop::collection::btree_map(text(), any::<u32>(), 1..5).prop_map(|units| (Value::Null, json!(units))),
    ];
    (required, texts, counts, tags, quantities, prop::option::of(object()), any::<Option<u16>>()).prop_map(
        move |(required, texts, counts, tags, (usage, units), context, cost)| {
            let mut event = Map::new();
            let (event_id, request_id, occurred_at, key, family, provider, model) = required;
            event.insert("event_id".into(), event_id.into());
            event.insert("request_id".into(), request_id.into());
            event.insert("occurred_at".into(), occurred_at.into());
            event.insert("key".into(), key.into());
            event.insert("endpoint_family".into(), family.into());
            event.insert("provider".into(), provider.into());
            event.insert("model".into(), model.into());
            for (name, text) in names.iter().zip(texts) {
                event.insert((*name).into(), json!(text));
            }
            event.insert("attempt".into(), json!(counts.0));
            event.insert("status".into(), json!(counts.1));
            event.insert("latency_ms".into(), json!(counts.2));
            event.insert("gateway_seq".into(), json!(counts.2));
            event.insert("stream".into(), json!(counts.3));
            event.insert("tags".into(), json!(tags));
            event.insert("usage".into(), usage);
            event.insert("units".into(), units);
            event.insert("context".into(), json!(context));
            if let Some(cost) = cost {
                event.insert("reported_cost".into(), json!({"amount": cost, "currency": "EUR"}));
            }
            event
        },
    )
}

/// Members in the order of a seed, so that every order comes up.
fn shuffled(event: &Map<String, Value>, seed: u64) -> String {
    let mut members: Vec<(u64, String)> = event
        .iter()
        .enumerate()
        .map(|(at, (name, value))| {
            let order = (seed ^ at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
            (order, format!("{}: {value}", Value::from(name.as_str())))
        })
        .collect();
    members.sort();
    let members: Vec<String> = members.into_iter().map(|(_, member)| member).collect();
    format!("{{{}}}", members.join(" , "))
}

proptest! {
    #[test]
    fn json_and_avro_of_an_event_are_the_same_event(event in event()) {
        let (decoder, encoder, arena) = (Decoder::new().unwrap(), Encoder::new().unwrap(), Arena::new());
        let json = Value::Object(event).to_string();
        let decoded = decoder.decode(record(json.as_bytes()), &arena).unwrap();
        let hash = content_hash(&decoded);
        for bytes in [
            encode_json(&decoded).unwrap(),
            encoder.avro_single_object(&decoded).unwrap(),
            encoder.avro_confluent(1, &decoded).unwrap(),
        ] {
            let again = decoder.decode(record(&bytes), &arena).unwrap();
            prop_assert_eq!(&again, &decoded);
            prop_assert_eq!(content_hash(&again), hash);
        }
    }

    #[test]
    fn the_order_of_names_does_not_change_the_content_hash(event in event(), seed: u64) {
        let (decoder, arena) = (Decoder::new().unwrap(), Arena::new());
        let json = Value::Object(event.clone()).to_string();
        let other = shuffled(&event, seed);
        let first = content_hash(&decoder.decode(record(json.as_bytes()), &arena).unwrap());
        let second = content_hash(&decoder.decode(record(other.as_bytes()), &arena).unwrap());
        prop_assert_eq!(first, second);
    }

    #[test]
    fn apache_avro_reads_what_it_wrote_as_this_decoder_does(event in event()) {
        let (decoder, encoder, arena) = (Decoder::new().unwrap(), Encoder::new().unwrap(), Arena::new());
        let json = Value::Object(event).to_string();
        let decoded = decoder.decode(record(json.as_bytes()), &arena).unwrap();
        let bytes = encoder.avro_single_object(&decoded).unwrap();
        let schema = apache_avro::Schema::parse_str(include_str!("../../../events/usage.v1.avsc")).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
        let value = reader.read_value(&mut &bytes[10..]).unwrap();
        let apache_avro::types::Value::Record(fields) = value else { panic!("no record") };
        let model = fields.iter().find(|(name, _)| name == "model").unwrap();
        prop_assert_eq!(&model.1, &apache_avro::types::Value::String(decoded.model.to_owned()));
    }

    #[test]
    fn arbitrary_bytes_are_an_event_or_a_reject(bytes: Vec<u8>, kind in 0..4_usize) {
        let prefix: [&[u8]; 4] = [b"", b"\0\0\0\0\x01", b"{\"key\":\"", b"\xC3\x01"];
        survives(&[prefix[kind], bytes.as_slice()].concat());
    }

    #[test]
    fn a_damaged_event_is_an_event_or_a_reject(
        event in event(),
        encoding in 0..3_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let (decoder, encoder, arena) = (Decoder::new().unwrap(), Encoder::new().unwrap(), Arena::new());
        let json = Value::Object(event).to_string();
        let decoded = decoder.decode(record(json.as_bytes()), &arena).unwrap();
        let mut bytes = match encoding {
            0 => json.clone().into_bytes(),
            1 => encoder.avro_single_object(&decoded).unwrap(),
            _ => encoder.avro_confluent(1, &decoded).unwrap(),
        };
        for (at, bit) in damage {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        survives(&bytes);
    }

    #[test]
    fn nothing_of_a_credential_is_left_after_redaction(
        before in "[ -~é]{0,30}",
        after in "[ -~é]{0,30}",
        body in "[A-Za-z0-9_-]{16,40}",
        prefix in prop::sample::select(vec!["sk-", "sk-ant-", "AIza", "AKIA", "Bearer "]),
    ) {
        let decoder = Decoder::new().unwrap();
        let secret = format!("{before} {prefix}{body} {after}");
        let json = with(&format!(r#""team":{}"#, Value::from(secret.as_str())));
        let redacted = decoder.redact(&record(json.as_bytes()));
        let text = std::str::from_utf8(&redacted).unwrap();
        prop_assert!(!text.contains(&body), "{}", text);
        prop_assert!(serde_json::from_str::<Value>(text).is_ok());
        prop_assert!(matches!(decoder.redact(&record(&redacted)), std::borrow::Cow::Borrowed(_)));
    }
}

/// Whatever the bytes are, nothing panics, and redacting is done once.
fn survives(bytes: &[u8]) {
    let decoder = Decoder::new().unwrap();
    let arena = Arena::new();
    for content_type in
        [None, Some("application/json"), Some("application/avro"), Some("application/cloudevents+json")]
    {
        let record = Record { content_type, ..record(bytes) };
        let decoded = decoder.decode(record, &arena);
        if let Ok(event) = &decoded {
            assert_eq!(content_hash(event), content_hash(&event.clone()));
        }
        let refused = matches!(&decoded, Err(Error::Reject(reject)) if reject.reason == Reason::Secret);
        let redacted = decoder.redact(&record);
        assert_eq!(refused, redacted.as_ref() != bytes);
        let again = Record { value: Some(&redacted), ..record };
        assert!(matches!(decoder.redact(&again), std::borrow::Cow::Borrowed(_)));
        let peek = decoder.peek(&record);
        assert!(peek.event_id.is_none_or(|id| id.chars().count() <= 128 + 10));
    }
}

//! Holds the two published schemas to the code, field by field, and the examples to the JSON Schema.

use serde_json::Value;

use super::fixtures::fixtures;
use super::*;
use crate::event::encode_json;
use crate::event::fields::Name;

fn json_schema() -> Value {
    serde_json::from_str(include_str!("../../../events/usage.v1.json")).unwrap()
}

fn avro_schema() -> Value {
    serde_json::from_str(include_str!("../../../events/usage.v1.avsc")).unwrap()
}

fn contract() -> Vec<&'static str> {
    Name::ALL.iter().map(|name| name.name()).collect()
}

#[test]
fn an_event_with_every_field_has_the_fields_of_the_contract() {
    let arena = Arena::new();
    let json = with(
        r#""attempt":1,"attempt_kind":"retry","fallback_from":"a","team":"a","app":"a","environment":"a","customer":"a",
        "project":"a","end_user":"a","workflow":"a","tags":{"a":"b"},"alias":"a","provider_account":"a",
        "credential":"direct","route":"a","region":"a","service_tier":"a","processing":"a","speed":"a","status":1,
        "error_class":"a","outcome":"billed","stream":true,"latency_ms":1,"ttft_ms":1,"gateway_cache":"hit",
        "context":{},"usage":{},"reported_cost":{"amount":1,"currency":"USD"},"gateway":"a","gateway_seq":1"#,
    );
    let mut event = Decoder::new().unwrap().decode(record(json.as_bytes()), &arena).unwrap();
    event.units = Some(&[("a", "1")]);
    let encoded: Value = serde_json::from_slice(&encode_json(&event).unwrap()).unwrap();
    let mut names: Vec<&str> = encoded.as_object().unwrap().keys().map(String::as_str).collect();
    let mut contract = contract();
    names.sort_unstable();
    contract.sort_unstable();
    assert_eq!(names, contract);
}

#[test]
fn the_json_schema_has_every_field_and_requires_the_same_ones() {
    let schema = json_schema();
    let properties = schema["properties"].as_object().unwrap();
    let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
    let mut contract = contract();
    names.sort_unstable();
    contract.sort_unstable();
    assert_eq!(names, contract);
    let required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for name in Name::ALL {
        assert_eq!(name.is_required(), required.contains(&name.name()), "{}", name.name());
        let nullable = jsonschema::validator_for(&properties[name.name()]).unwrap().is_valid(&Value::Null);
        assert_eq!(name.is_required(), !nullable, "{}", name.name());
    }
}

#[test]
fn the_avro_schema_has_every_field_in_order_and_a_default_for_the_optional_ones() {
    let schema = avro_schema();
    let fields = schema["fields"].as_array().unwrap();
    let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names, contract());
    for (name, field) in Name::ALL.iter().zip(fields) {
        let optional = field["type"][0] == "null" && field.get("default") == Some(&Value::Null);
        assert_eq!(name.is_required(), !optional, "{}", name.name());
    }
    assert_eq!(fields[2]["type"]["logicalType"], "timestamp-millis");
}

#[test]
fn the_fingerprint_of_the_avro_schema_never_changes() {
    // By fastavro: `fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")`.
    let fingerprint = [0xF3, 0x37, 0x13, 0x10, 0x0B, 0xE0, 0xBE, 0xC7];
    let schema: serde_avro_fast::Schema = include_str!("../../../events/usage.v1.avsc").parse().unwrap();
    assert_eq!(schema.rabin_fingerprint(), &fingerprint);
}

#[test]
fn every_example_is_valid_by_the_json_schema() {
    let validator = jsonschema::options().should_validate_formats(true).build(&json_schema()).unwrap();
    for (name, bytes) in fixtures("examples") {
        let event: Value = serde_json::from_slice(&bytes).unwrap();
        let errors: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn the_json_schema_refuses_what_the_decoder_refuses_for_a_field() {
    let validator = jsonschema::options().should_validate_formats(true).build(&json_schema()).unwrap();
    for (name, bytes) in fixtures("rejected") {
        let by_field = ["missing_field", "invalid_field", "usage_and_units", "malformed_usage"];
        if by_field.iter().any(|reason| name.ends_with(&format!(".{reason}.json"))) {
            let event: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(!validator.is_valid(&event), "{name}");
        }
    }
}

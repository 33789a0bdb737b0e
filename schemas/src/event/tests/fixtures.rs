//! Goes through the fixtures: what stands in `examples` decodes and survives both encodings, what stands in
//! `rejected` is refused with the reason that its file name ends in.

use std::path::Path;

use super::*;
use crate::event::{Encoder, content_hash, encode_json};

/// Name and bytes of the fixtures in a folder, in order.
pub(super) fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_example_survives_json_and_both_avro_encodings() {
    let (decoder, encoder) = (Decoder::new().unwrap(), Encoder::new().unwrap());
    for (name, bytes) in fixtures("examples") {
        let arena = Arena::new();
        let event = decoder.decode(record(&bytes), &arena).unwrap_or_else(|error| panic!("{name}: {error}"));
        for encoded in [
            encode_json(&event).unwrap(),
            encoder.avro_single_object(&event).unwrap(),
            encoder.avro_confluent(7, &event).unwrap(),
        ] {
            let again =
                decoder.decode(record(&encoded), &arena).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(again, event, "{name}");
            assert_eq!(content_hash(&again), content_hash(&event), "{name}");
        }
        assert!(matches!(decoder.redact(&record(&bytes)), std::borrow::Cow::Borrowed(_)), "{name}");
    }
}

#[test]
fn every_rejected_fixture_is_refused_for_the_reason_in_its_name() {
    for (name, bytes) in fixtures("rejected") {
        let expected = name.trim_end_matches(".json").rsplit('.').next().and_then(Reason::parse).unwrap();
        let (reason, detail) = refusal(&bytes);
        assert_eq!(reason, expected, "{name}: {detail}");
        assert!(!detail.is_empty());
    }
}

#[test]
fn an_instant_in_milliseconds_and_with_an_offset_has_one_content_hash() {
    let decoder = Decoder::new().unwrap();
    let arena = Arena::new();
    let variants = [
        "\"2025-11-24T10:15:30.123Z\"",
        "\"2025-11-24T12:15:30.1239+02:00\"",
        "1763979330123",
        "1.763979330123e12",
    ];
    let hashes: Vec<u64> = variants
        .map(|time| {
            let json = arena.alloc_str(&replaced("occurred_at", time));
            content_hash(&decoder.decode(record(json.as_bytes()), &arena).unwrap())
        })
        .into();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}

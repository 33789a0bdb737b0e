//! Traffic in files.

use std::fs;

use traffic::{Config, FileError, Format, Traffic, to_file};

fn traffic() -> Traffic {
    Traffic::new(Config { count: 500, duplicates_per_mille: 20, ..Config::default() })
}

#[test]
fn a_file_of_lines_has_the_events_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    assert_eq!(to_file(traffic(), &path, Format::Ndjson).unwrap(), 500);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    let expected: Vec<Vec<u8>> = traffic().map(|event| event.json().unwrap().unwrap()).collect();
    assert_eq!(lines, expected);
}

#[test]
fn an_avro_file_has_the_events_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.avro");
    assert_eq!(to_file(traffic(), &path, Format::Avro).unwrap(), 500);
    let file = fs::read(&path).unwrap();
    let mut reader = serde_avro_fast::object_container_file_encoding::Reader::from_slice(&file).unwrap();
    let ids: Vec<String> = reader
        .deserialize::<serde_json::Value>()
        .map(|event| event.unwrap()["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, traffic().map(|event| event.event_id()).collect::<Vec<_>>());
    // The marker between the blocks is not random: the whole file is the same each time.
    let again = folder.path().join("again.avro");
    to_file(traffic(), &again, Format::Avro).unwrap();
    assert!(file == fs::read(&again).unwrap());
}

#[test]
fn what_a_file_cannot_hold_is_an_error_that_names_the_event() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let broken = || Traffic::new(Config { rejects_per_mille: 1_000, tombstones: true, ..Config::default() });
    for format in [Format::Ndjson, Format::Avro] {
        let error = to_file(broken(), &path, format).unwrap_err();
        assert!(matches!(error, FileError::Unfit { .. }), "{error}");
    }
    let nowhere = folder.path().join("no").join("folder");
    assert!(matches!(to_file(traffic(), &nowhere, Format::Ndjson), Err(FileError::Io { .. })));
}

//! The same seed gives the same bytes, today and in every release: measurements and fixtures rest on it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use traffic::{AvroEncoder, AvroSchema, Config, Fate, Traffic};
use xxhash_rust::xxh3::xxh3_64;

/// Everything that can happen, happens here.
fn mixed() -> Config {
    Config {
        duplicates_per_mille: 20,
        conflicts_per_mille: 5,
        rejects_per_mille: 20,
        tombstones: true,
        repeated_within: 100,
        ..Config::default()
    }
}

fn json(config: Config) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in Traffic::new(config) {
        event.append_json(&mut bytes).unwrap();
        bytes.push(b'\n');
    }
    bytes
}

fn avro(config: Config) -> Vec<u8> {
    let schema = AvroSchema::usage_v1().unwrap();
    let mut encoder = AvroEncoder::new(&schema);
    let events = Traffic::new(config).map(|event| encoder.confluent(1, &event).unwrap().unwrap_or_default());
    events.collect::<Vec<_>>().concat()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(json(mixed()), json(mixed()));
    assert_eq!(avro(mixed()), avro(mixed()));
}

#[test]
fn another_seed_gives_other_bytes() {
    assert_ne!(json(mixed()), json(Config { seed: 2, ..mixed() }));
}

/// A change here changes every traffic that somebody made from a seed before: say so in the change log.
#[test]
fn the_first_thousand_events_of_seed_1_never_change() {
    let hashes = [json(Config::default()), json(mixed()), avro(mixed())].map(|bytes| xxh3_64(&bytes));
    assert_eq!(hashes, [8833385903124892445, 18316675689457094649, 16726392393521495330]);
}

#[test]
fn attempts_start_within_the_span() {
    let config = Config { count: 20_000, spread: Duration::from_secs(60), errors_per_mille: 300, ..mixed() };
    let (start, end) = (config.start.0, config.start.0 + 60_000);
    let times: Vec<i64> = Traffic::new(config).map(|event| event.occurred_at().0).collect();
    assert!(times.iter().all(|at| (start..end).contains(at)));
    let (first, last) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    assert_eq!(first, start);
    assert!(last > end - 100, "the last starts {} ms before the end", end - last);
}

#[test]
fn a_duplicate_is_the_same_bytes_and_a_conflict_is_not() {
    let config = Config { count: 20_000, ..mixed() };
    let mut first = std::collections::HashMap::new();
    let (mut duplicates, mut conflicts) = (0, 0);
    for (position, event) in Traffic::new(config.clone()).enumerate() {
        let bytes = event.json().unwrap();
        match event.fate() {
            Fate::Accepted => {
                assert_eq!(first.insert(event.event_id(), (position, bytes)), None, "an id is taken once");
            }
            Fate::Duplicate => {
                duplicates += 1;
                let (at, original) = &first[&event.event_id()];
                assert_eq!(*original, bytes);
                assert!(position - at <= usize::try_from(config.repeated_within).unwrap() + 100);
            }
            Fate::Rejected(ledger::reject::Reason::Conflict) => {
                conflicts += 1;
                assert_ne!(first[&event.event_id()].1, bytes);
            }
            Fate::Rejected(_) => {}
        }
    }
    // 20 and 5 of a thousand of some 19,000 accepted events.
    assert!((250..550).contains(&duplicates), "{duplicates} duplicates");
    assert!((50..150).contains(&conflicts), "{conflicts} conflicts");
}

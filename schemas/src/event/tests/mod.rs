//! Holds decoding to the contract: fixtures named after their edge case, one sentence a rule, and properties
//! over generated and damaged events.

mod envelopes;
mod fixtures;
mod properties;
mod rules;
mod schema;
mod secrets;

use ledger::event::Millis;
use ledger::reject::Reason;

use super::{Arena, Decoder, Error, Record};

/// The log's time of every record in these tests: 2025-11-24T12:00:00Z.
const LOG_TIME: Millis = Millis(1_763_985_600_000);

/// The smallest event.
const SMALLEST: &str = r#"{"event_id":"e1","request_id":"r1","occurred_at":"2025-11-24T10:15:30Z","key":"k","endpoint_family":"openai","provider":"openai","model":"gpt-4o"}"#;

fn record(value: &[u8]) -> Record<'_> {
    Record { value: Some(value), content_type: None, log_time: LOG_TIME }
}

/// The smallest event with these members in front of its own.
fn with(members: &str) -> String {
    SMALLEST.replacen('{', &format!("{{{members},"), 1)
}

/// The smallest event with one member exchanged.
fn replaced(name: &str, value: &str) -> String {
    let start = SMALLEST.find(&format!("\"{name}\":")).unwrap() + name.len() + 3;
    let end = start + 1 + SMALLEST[start + 1..].find(['"']).unwrap() + 1;
    format!("{}{value}{}", &SMALLEST[..start], &SMALLEST[end..])
}

/// The reason why the decoder refuses the record, and what it says.
fn refusal(value: &[u8]) -> (Reason, String) {
    match Decoder::new().unwrap().decode(record(value), &Arena::new()) {
        Err(Error::Reject(reject)) => (reject.reason, reject.detail),
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn refuses(json: &str, reason: Reason) {
    assert_eq!(refusal(json.as_bytes()).0, reason, "{json}");
}

#[track_caller]
fn accepts(json: &str) {
    if let Err(error) = Decoder::new().unwrap().decode(record(json.as_bytes()), &Arena::new()) {
        panic!("{error}: {json}");
    }
}

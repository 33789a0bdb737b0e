//! Prints what decoding costs for one event in each encoding, and its content hash: nanoseconds on one core,
//! the best of several rounds. `cargo run --release -p schemas --example decode_speed`

use std::hint::black_box;
use std::time::Instant;

use ledger::event::Millis;
use schemas::event::{Arena, Decoder, Encoder, Record, content_hash, id_hash};

const EVENT: &str = r#"{"event_id":"01JD8Q0Z6V2C9S4T7N5M3K1H0A","request_id":"req_01JD8Q0Z6V2C9S4T7N5M3K1","occurred_at":"2025-11-24T10:15:30.123Z","attempt":1,"key":"chat-production","team":"search","app":"assistant","environment":"production","customer":"acme","tags":{"feature":"summaries","plan":"gold"},"endpoint_family":"openai","provider":"openai","model":"gpt-4o-2024-08-06","alias":"gpt-4o","service_tier":"default","status":200,"stream":true,"latency_ms":1834,"ttft_ms":312,"usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"gateway":"gw-eu-1"}"#;
const LOG_TIME: Millis = Millis(1_763_985_600_000);
const ROUNDS: u32 = 20;
const EVENTS: u32 = 20_000;

#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (decoder, encoder, arena) = (Decoder::new()?, Encoder::new()?, Arena::new());
    let record = |value| Record { value: Some(value), content_type: None, log_time: LOG_TIME };
    let event = decoder.decode(record(EVENT.as_bytes()), &arena)?;
    let avro = encoder.avro_confluent(1, &event)?;
    for (name, bytes) in [("JSON", EVENT.as_bytes()), ("Avro", avro.as_slice())] {
        let mut arena = Arena::new();
        let nanos = best(|| {
            black_box(decoder.decode(black_box(record(bytes)), &arena).is_ok());
            arena.reset();
        });
        println!("{name}: {nanos} ns to decode {} bytes", bytes.len());
    }
    println!("content hash: {} ns", best(|| _ = black_box(content_hash(black_box(&event)))));
    println!("id hash: {} ns", best(|| _ = black_box(id_hash(black_box(event.event_id)))));
    Ok(())
}

/// Nanoseconds that one call takes, in the best round.
fn best(mut call: impl FnMut()) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..EVENTS {
            call();
        }
        best = best.min(start.elapsed().as_nanos() / u128::from(EVENTS));
    }
    best
}

//! Measures how fast traffic is made on one thread: `cargo run --release -p traffic --example speed [events]`.

use std::time::Instant;

use anyhow::Context;
use traffic::{AvroEncoder, AvroSchema, Config, Prices, Traffic, Truth};

fn main() -> anyhow::Result<()> {
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse()).context("events")?;
    let config = Config { count, duplicates_per_mille: 10, rejects_per_mille: 1, ..Config::default() };
    measure("events", count, || Ok(Traffic::new(config.clone()).count()))?;
    measure("events and JSON", count, || {
        let (mut line, mut bytes) = (Vec::new(), 0);
        for event in Traffic::new(config.clone()) {
            line.clear();
            event.append_json(&mut line)?;
            bytes += line.len();
        }
        Ok(bytes)
    })?;
    let schema = AvroSchema::usage_v1()?;
    let mut encoder = AvroEncoder::new(&schema);
    measure("events and Avro", count, || {
        let mut bytes = 0;
        for event in Traffic::new(config.clone()) {
            bytes += encoder.confluent(1, &event)?.map_or(0, |value| value.len());
        }
        Ok(bytes)
    })?;
    let prices = Prices::built_in()?;
    measure("events and truth", count, || Ok(Truth::of(config.clone(), prices.clone()).by_team.len()))
}

/// Prints the events a second of some work that comes to a number.
fn measure(what: &str, count: u64, work: impl FnOnce() -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let start = Instant::now();
    let number = work()?;
    let per_second = u128::from(count) * 1_000_000 / start.elapsed().as_micros().max(1);
    eprintln!("{what}: {per_second} a second ({number})");
    Ok(())
}

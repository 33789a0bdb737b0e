//! `tollbook emit`: realistic traffic from a seed to Kafka, to the HTTP API or into a file, with the totals that a
//! ledger must find in it. Sending the same traffic again changes no total: its ids are the same.

mod file;
mod flow;
mod http;
mod kafka;
mod options;
mod truth;
mod verify;

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::Runtime;
use traffic::{PRICES_JSON, Prices};

use flow::Flow;
use options::Target;
use truth::Period;
use verify::Check;

pub(crate) use options::Options;

/// Sends the traffic, and where asked compares the ledger with it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(path) = &options.prices_file {
        std::fs::write(path, PRICES_JSON).with_context(|| format!("writing {}", path.display()))?;
        println!("{0} has the prices; publish them with `tollbook prices publish {0}`", path.display());
        return Ok(());
    }
    let config = options.traffic()?;
    let period = Period::of(&config)?;
    println!("{} by --seed {} --start {}", counted(config.count, "event"), config.seed, period.from);
    // What the ledger has before is no part of what it must find.
    let check = options
        .verify
        .then(|| Check::begin(&options.service, period, options.verify_patience))
        .transpose()?;
    let mut flow = Flow::new(config.clone(), Prices::built_in()?, options.rate);
    let begun = Instant::now();
    let resent = send(options, &mut flow)?;
    let truth = flow.finish();
    println!("{}", speed(truth.received, begun.elapsed()));
    println!("{}", truth::summary(&truth)?);
    if let Some(path) = &options.truth {
        truth::write(&truth, &config, period, path)?;
    }
    check.map_or(Ok(()), |check| check.end(&truth, resent))
}

/// Sends everything; answers how many events may be in the log twice because a request had to be repeated.
fn send(options: &Options, flow: &mut Flow) -> anyhow::Result<u64> {
    match options.target()? {
        Target::File(path) => {
            file::write(flow, &path, options.format)?;
            println!("Wrote {}", path.display());
            Ok(0)
        }
        Target::Kafka(config) => {
            let topic = &options.kafka.topic;
            Runtime::new()?.block_on(ingest::append::ensure_topics(&config, &[(topic, None)]))?;
            kafka::send(flow, &config, topic, options.format)?;
            println!("Sent to topic {topic} at {}; everything is acknowledged", config.brokers);
            Ok(0)
        }
        Target::Http => {
            let service = options.service.connect()?;
            let receipt = http::send(flow, &service, options.in_flight)?;
            println!("Sent to {}; {receipt}", service.url);
            Ok(receipt.resent)
        }
    }
}

fn speed(count: u64, took: Duration) -> String {
    let per_second = u128::from(count) * 1_000 / took.as_millis().max(1);
    format!("It took {}.{:03} s: {per_second} events a second", took.as_secs(), took.subsec_millis())
}

/// `1 event`, `2 events`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

//! `tollbook emit`: realistic traffic from a seed to Kafka, to the HTTP API or into a file, with the totals that a
//! ledger must find in it. Sending the same traffic again changes nothing: its ids are the same.

mod options;
mod flow;
mod kafka;
mod http;
mod file;
mod truth;
mod verify;

use std::time::{Duration, Instant};

use anyhow::Context;
use traffic::{PRICES_JSON, Prices, Truth};

use crate::log;
use flow::Flow;
use options::Target;
use verify::{Check, Sent};

pub(crate) use options::Options;

/// Sends the traffic, and where asked compares the ledger with it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(path) = &options.prices_file {
        std::fs::write(path, PRICES_JSON).with_context(|| format!("writing {}", path.display()))?;
        println!("The prices of the traffic's models are in {0}; `tollbook prices publish {0}` publishes them", path.display());
        return Ok(());
    }
    let config = options.traffic()?;
    let period = truth::Period::of(&config)?;
    let check = options.verify.then(|| Check::begin(&options.service, &period, options.verify_patience)).transpose()?;
    let mut flow = Flow::new(config.clone(), Prices::built_in()?, options.rate);
    let begun = Instant::now();
    let resent = send(options, &mut flow)?;
    println!("Sent {} to {}", speed(config.count, begun.elapsed()), target_name(options)?);
    let truth = flow.truth;
    println!("{}", summary(&truth));
    println!("The same again: --count {} --seed {} --start {} --spread {}s", config.count, config.seed, period.from, config.spread.as_secs());
    if let Some(path) = &options.truth {
        truth::write(&truth, &period, path)?;
    }
    match check {
        Some(check) => check.end(&truth, Sent { events: config.count, again: resent }),
        None => Ok(()),
    }
}

/// Answers how many events may be in the log more than once, because a request had to be repeated.
fn send(options: &Options, flow: &mut Flow) -> anyhow::Result<u64> {
    match options.target()? {
        Target::File(path) => file::write(flow, &path, options.format).map(|()| 0),
        Target::Kafka(config) => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(ingest::append::ensure_topics(&config, &[(&options.kafka.topic, None)]))?;
            kafka::send(flow, &config, &options.kafka.topic, options.format).map(|()| 0)
        }
        Target::Http => {
            let receipt = http::send(flow, &options.service.connect()?, options.in_flight)?;
            println!("{receipt}");
            Ok(receipt.resent)
        }
    }
}

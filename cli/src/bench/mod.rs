//! `tollbook bench`: what each stage costs on this machine, in one run over events that are already in the log. The
//! last stage is the product itself, checked against the traffic's own truth; beside it runs what one would write
//! instead in a day.

mod meter;
mod path;
mod plain;
mod reader;
mod report;
mod stages;
mod traffic;
mod unprotected;
mod world;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use ingest::metrics::Metrics;

use crate::options::{KafkaOptions, WorkerOptions};
use meter::Meter;
use report::Report;
use world::World;

/// Options of `tollbook bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events
    #[arg(long, default_value_t = 1_000_000, value_name = "COUNT")]
    count: u32,
    /// Which of many possible traffics
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Encoding of the events
    #[arg(long, value_enum, default_value_t = Encoding::Json, value_name = "ENCODING")]
    encoding: Encoding,
    /// Partitions of the topic that is measured
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    partitions: u32,
    /// Folder in which a folder for the data is made, and removed at the end; the disk that is measured
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    data: PathBuf,
    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail where a floor is missed
    #[arg(long)]
    check: bool,
    /// The engine library libchdb.so; `make setup` installs it into .tollbook/engine, where it is found
    #[arg(long, env = "TOLLBOOK_LIBRARY", value_name = "FILE")]
    library: Option<PathBuf>,
    /// Memory that the engine may use, in MiB
    #[arg(long, env = "TOLLBOOK_ENGINE_MEMORY_MIB", default_value_t = 4096, value_name = "MIB")]
    engine_memory_mib: u64,
    /// With --kafka the events lie in a topic there, whose name and group begin with --topic and --group; it is
    /// removed at the end. Without, in the embedded log.
    #[command(flatten)]
    kafka: KafkaOptions,
    #[command(flatten)]
    worker: WorkerOptions,
}

/// How an event lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// JSON text.
    Json,
    /// Avro in Confluent's wire format.
    Avro,
}

/// Runs every stage, prints the figures, and fails where the ledger does not hold exactly what was sent.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.count > 0, "--count must be at least 1");
    let config = options.worker.config()?;
    let folder =
        tempfile::Builder::new().prefix("tollbook-bench-").tempdir_in(&options.data).with_context(|| {
            format!("making a folder in {}: name another with --data", options.data.display())
        })?;
    let world = World::start(options, folder.path())?;
    let outcome = measure(options, &config, &world);
    let ended = world.end();
    let report = outcome?;
    ended?;
    report.print()?;
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    }
    let missed = report.missed();
    if options.check && !missed.is_empty() {
        bail!("missed: {}", missed.join("; "));
    }
    Ok(())
}

fn measure(options: &Options, config: &ingest::worker::Config, world: &World) -> anyhow::Result<Report> {
    tell(&format!("Writing {} events to the log", options.count));
    let sent = world.topic.fill(options, &world.runtime)?;
    let meter = Meter::new(world.engine_process()?)?;
    let mut report = Report::new(options, &sent);
    tell("Measuring: consume only");
    report.add("consume", stages::consume(world, &sent, &meter)?);
    tell("Measuring: decode only");
    report.add("decode", stages::decode(world, &sent, &meter, config)?);
    tell("Measuring: decode, normalize, price, columns");
    report.add("build", stages::build(world, &sent, &meter, config)?);
    tell("Measuring: insert of the finished blocks");
    let insert = stages::insert(world, &sent, &meter, config)?;
    report.add("build_dedup", insert.built);
    report.add("insert", insert.inserted);
    tell("Measuring: the whole path");
    let metrics = Metrics::register(&prometheus::Registry::new())?;
    report.add("path", path::run(world, &sent, &meter, config, &metrics)?);
    report.stages(&metrics);
    // After the path: whoever commits an offset by hand leaves no intent, and the worker would refuse to go on from it.
    tell("Measuring: the whole path without the protocol");
    report.add("unprotected", unprotected::run(world, &sent, &meter, config)?);
    for (name, shape) in [("plain", plain::Shape::Same), ("plain_small", plain::Shape::Small)] {
        tell(match shape {
            plain::Shape::Same => "Measuring: a plain consumer, same columns and projections",
            plain::Shape::Small => "Measuring: a plain consumer, 24 columns and no projection",
        });
        report.add(name, plain::run(world, &sent, &meter, shape, options.encoding)?);
    }
    Ok(report)
}

/// Says on standard error what takes time now.
fn tell(what: &str) {
    eprintln!("{what}");
}

//! The stages one by one, each on one thread: consume, decode, build, insert. What a stage needs from those before it
//! is made anew and not counted, so that no stage holds more than one round in memory.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ingest::batch::{Held, Maker};
use ingest::book::wall_clock;
use ingest::dedup::Window;
use ingest::events::EventMaker;
use ingest::source::Partition;
use ingest::store::{Scope, Store};
use ingest::worker;
use ledger::event::Millis;
use schemas::event::{Arena, Record};

use super::meter::{Cost, Meter};
use super::path;
use super::reader::{Reader, Terms};
use super::traffic::Sent;
use super::world::World;

/// The lease of what is inserted without the protocol: long enough for any machine.
const LEASE: Duration = Duration::from_secs(3600);

/// Reads every record and drops it.
///
/// # Errors
/// Where the log does not deliver.
pub(super) fn consume(world: &World, sent: &Sent, meter: &Meter) -> anyhow::Result<Cost> {
    let mut reader = Reader::open(world.topic.open("consume")?, sent.count)?;
    let mut cost = Cost::default();
    meter.begin();
    let start = meter.start()?;
    while !reader.is_at_end() {
        black_box(reader.poll()?).records.clear();
    }
    cost += meter.lap(&start)?;
    meter.end(sent.count, cost)
}

/// Decodes every record into the borrowed event, its usage parsed.
///
/// # Errors
/// Where the log does not deliver, or a record is no event.
pub(super) fn decode(
    world: &World,
    sent: &Sent,
    meter: &Meter,
    config: &worker::Config,
) -> anyhow::Result<Cost> {
    let mut reader = Reader::open(world.topic.open("decode")?, sent.count)?;
    let decoder = world.schemas.decoder();
    let mut arena = Arena::new();
    let mut cost = Cost::default();
    meter.begin();
    loop {
        let round = reader.round(terms(world, config))?;
        if round.is_empty() {
            return meter.end(sent.count, cost);
        }
        let start = meter.start()?;
        for record in round.iter().flat_map(|chosen| chosen.records.iter()) {
            let wire =
                Record { value: record.value, content_type: record.content_type, log_time: record.log_time };
            if let Err(error) = black_box(decoder.decode(wire, &arena)) {
                bail!("offset {} of the traffic is no event: {error}", record.offset);
            }
            arena.reset();
        }
        cost += meter.lap(&start)?;
    }
}

/// Makes the columns of every record: decode, normalize, price. Repeats are looked for in an empty window.
///
/// # Errors
/// Where the log does not deliver, or the prices cannot be read.
pub(super) fn build(
    world: &World,
    sent: &Sent,
    meter: &Meter,
    config: &worker::Config,
) -> anyhow::Result<Cost> {
    let config = worker::Config { dedup_window: 0, ..config.clone() };
    let mut builder = Builder::open(world, sent, &config, "build")?;
    let mut cost = Cost::default();
    meter.begin();
    while builder.round(meter, &mut cost)?.is_some() {}
    meter.end(sent.count, cost)
}

/// What it takes to insert, and to make what is inserted.
pub(super) struct Insert {
    /// The same as [`build`], with the repeats dropped.
    pub(super) built: Cost,
    pub(super) inserted: Cost,
}

/// Inserts the finished blocks, one after another, by the worker's own client: what the store can take.
///
/// # Errors
/// Where the store refuses a block, or does not hold what was sent afterwards.
pub(super) fn insert(
    world: &World,
    sent: &Sent,
    meter: &Meter,
    config: &worker::Config,
) -> anyhow::Result<Insert> {
    let client = world.empty("bench_insert")?;
    let store = Store::new(client.clone(), world.runtime.handle().clone());
    let mut builder = Builder::open(world, sent, config, "insert")?;
    let (mut cost, mut built) = (Cost::default(), Cost::default());
    meter.begin();
    while let Some(batches) = builder.round(meter, &mut built)? {
        let start = meter.start()?;
        for mut batch in batches {
            let scope = Scope {
                partition: &batch.partition,
                first: batch.intent.first,
                next: batch.intent.next,
                attempt: 0,
            };
            let entries =
                batch.tables.iter_mut().find(|rows| rows.table() == "entries").context("no entries")?;
            store.insert(entries.as_mut(), scope, write_before())?;
        }
        cost += meter.lap(&start)?;
    }
    let (inserted, built) = (meter.end(sent.count, cost)?, meter.end(sent.count, built)?);
    path::compare(world, &client, &sent.truth)?;
    world.drop_database(&client)?;
    Ok(Insert { built, inserted })
}

/// The end of a lease that outlasts the run.
pub(super) fn write_before() -> Millis {
    Millis(wall_clock().0 + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX))
}

/// Builds round after round.
struct Builder {
    reader: Reader,
    maker: EventMaker,
    windows: HashMap<Partition, Window>,
    terms: Terms,
}

impl Builder {
    fn open(world: &World, sent: &Sent, config: &worker::Config, stage: &str) -> anyhow::Result<Self> {
        let maker = EventMaker::new(world.store(), world.books.clone(), world.schemas.clone());
        // The book is read once per worker, not per event.
        world.books.at(world.commands_through)?;
        let reader = Reader::open(world.topic.open(stage)?, sent.count)?;
        Ok(Self { reader, maker, windows: HashMap::new(), terms: terms(world, config) })
    }

    /// The next batches; `None` when all were made. Adds what the building took, without the reading.
    fn round(&mut self, meter: &Meter, cost: &mut Cost) -> anyhow::Result<Option<Vec<ingest::batch::Batch>>> {
        let round = self.reader.round(self.terms)?;
        if round.is_empty() {
            return Ok(None);
        }
        let nothing_held = Held::default();
        let start = meter.start()?;
        let mut batches = Vec::with_capacity(round.len());
        for chosen in &round {
            let new = || Window::new(self.terms.dedup_window);
            let window = self.windows.entry(chosen.partition.clone()).or_insert_with(new);
            let batch = self.maker.make(window, chosen, &nothing_held)?;
            ensure!(batch.summary.quarantined.is_empty(), "the traffic has records for the quarantine");
            batches.push(batch);
        }
        *cost += meter.lap(&start)?;
        Ok(Some(batches))
    }
}

/// What batches of that world are made under.
pub(super) fn terms(world: &World, config: &worker::Config) -> Terms {
    Terms {
        rows_max: config.round_rows_max,
        commands_through: world.commands_through,
        dedup_window: config.dedup_window,
    }
}

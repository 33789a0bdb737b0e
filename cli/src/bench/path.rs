//! The whole path: the real worker from a full log and an empty ledger until everything is durable and can be
//! queried, then a comparison with the traffic's own truth, to the last digit.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clickhouse::Client;
use ingest::events::EventMaker;
use ingest::metrics::Metrics;
use ingest::source::{self, Announcer, Bounds, Committed, Inbox, Partition, Records, Source};
use ingest::worker::{self, Parts};
use traffic::Truth;

use super::meter::{Cost, Meter};
use super::traffic::Sent;
use super::world::{Worker, World};

const POSTED: &str = include_str!("posted.sql");
const TOTALS: &str = include_str!("totals.sql");

/// Pause between two looks at the worker's counter.
const LOOK: Duration = Duration::from_millis(5);
/// How long no further batch may be closed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the closed batches of a topic add up to.
#[derive(Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
struct Posted {
    received: u64,
    duplicates: u64,
    quarantined: u64,
}

/// What the entries add up to, amounts in 10^-18 of the currency.
#[derive(Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
struct Totals {
    entries: u64,
    attempts: i64,
    requests: i64,
    unpriced: i64,
    cost: String,
    cost_avoided: String,
}

/// Runs the worker over the whole topic.
///
/// # Errors
/// Where the worker ends or stands still, or the ledger does not hold exactly what was sent.
pub(super) fn run(
    world: &World,
    sent: &Sent,
    meter: &Meter,
    config: &worker::Config,
    metrics: &Metrics,
) -> anyhow::Result<Cost> {
    let client = world.store().client().clone();
    let mut cost = Cost::default();
    meter.begin();
    let start = meter.start()?;
    let joined = Arc::new(OnceLock::new());
    let worker = Worker::start(config.clone(), parts(world, metrics, &joined)?)?;
    let closed = wait(metrics, sent.count, &worker);
    // As for the plain consumer, the clock runs from the first assignment: a broker takes its time to form a group.
    cost += meter.lap(&start.from(joined.get().copied()))?;
    let cost = meter.end(sent.count, cost)?;
    worker.end()?;
    closed?;
    let query = client.query(POSTED).param("topic", &world.topic.name);
    let posted: Posted = world.runtime.block_on(query.fetch_one()).context("asking how much is posted")?;
    let wanted =
        Posted { received: u64::from(sent.count), duplicates: sent.truth.duplicates, quarantined: 0 };
    ensure!(posted == wanted, "the closed batches hold {posted:?}, the traffic is {wanted:?}");
    compare(world, &client, &sent.truth)?;
    Ok(cost)
}

/// Compares the entries with the truth.
///
/// # Errors
/// Where they differ in anything.
pub(super) fn compare(world: &World, client: &Client, truth: &Truth) -> anyhow::Result<()> {
    let found: Totals = world.runtime.block_on(client.query(TOTALS).fetch_one())?;
    let total = &truth.total;
    let wanted = Totals {
        entries: truth.accepted,
        attempts: i64::try_from(total.attempts)?,
        requests: i64::try_from(total.requests)?,
        unpriced: i64::try_from(total.unpriced)?,
        cost: total.cost_atto.to_string(),
        cost_avoided: total.cost_avoided_atto.to_string(),
    };
    ensure!(found == wanted, "the ledger is wrong: it holds {found:?}, the traffic's truth is {wanted:?}");
    Ok(())
}

fn parts(
    world: &World,
    metrics: &Metrics,
    joined: &Arc<OnceLock<Instant>>,
) -> anyhow::Result<Parts<EventMaker>> {
    let (topic, joined) = (world.topic.opener("path"), joined.clone());
    Ok(Parts {
        open: Box::new(move || Ok(Box::new(Watched { source: topic()?, joined: joined.clone() }))),
        store: world.store(),
        maker: Arc::new(EventMaker::new(world.store(), world.books.clone(), world.schemas.clone())),
        books: Some(world.books.clone()),
        metrics: Arc::new(metrics.clone()),
        stop: Arc::default(),
        health: Arc::default(),
    })
}

/// Waits until the worker has closed batches of that many records: by its own counter, so that looking costs the engine
/// nothing.
fn wait(metrics: &Metrics, count: u32, worker: &Worker) -> anyhow::Result<()> {
    let (mut received, mut since) = (0.0, Instant::now());
    loop {
        let now = metrics.batch_rows.get_sample_sum();
        if now >= f64::from(count) {
            return Ok(());
        }
        if now > received {
            (received, since) = (now, Instant::now());
        }
        if worker.has_ended() {
            bail!("the worker ended after {received} of {count} records");
        }
        ensure!(since.elapsed() < PATIENCE, "the worker stands still after {received} of {count} records");
        std::thread::sleep(LOOK);
    }
}

/// A source that notes when it first had a partition assigned.
struct Watched {
    source: Box<dyn Source>,
    joined: Arc<OnceLock<Instant>>,
}

impl Source for Watched {
    fn poll(&mut self, wait: Duration, inbox: &mut Inbox) -> Result<(), source::Error> {
        self.source.poll(wait, inbox)?;
        if !inbox.changes.is_empty() {
            self.joined.get_or_init(Instant::now);
        }
        Ok(())
    }

    fn start(&mut self, partition: &Partition, offset: u64) -> Result<(), source::Error> {
        self.source.start(partition, offset)
    }

    fn hold(&mut self, held: bool) -> Result<(), source::Error> {
        self.source.hold(held)
    }

    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, source::Error> {
        self.source.committed(partition)
    }

    fn bounds(&self, partition: &Partition) -> Result<Bounds, source::Error> {
        self.source.bounds(partition)
    }

    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, source::Error> {
        self.source.read(partition, first, last)
    }

    fn partitions(&self) -> Result<u32, source::Error> {
        self.source.partitions()
    }

    fn announcer(&self) -> Arc<dyn Announcer> {
        self.source.announcer()
    }

    fn may_have_zombies(&self) -> bool {
        self.source.may_have_zombies()
    }
}

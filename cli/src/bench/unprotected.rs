//! The whole path without its promises: the same threads, rows and inserts, but no intent is announced, no lease is
//! read and no batch is closed. Offsets are committed once their rows are in. What is missing to the whole path is
//! what exactly-once costs.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use anyhow::Context;
use ingest::batch::{Batch, Chosen, Held, Maker};
use ingest::dedup::Window;
use ingest::events::EventMaker;
use ingest::source::Partition;
use ingest::store::{Scope, Store};
use ingest::worker;

use super::meter::{Cost, Meter};
use super::path;
use super::reader::{Reader, Terms};
use super::stages::{terms, write_before};
use super::traffic::Sent;
use super::world::World;

/// Where each partition of a round ends.
type Reached = BTreeMap<Partition, u64>;

/// Runs the pipeline over the whole topic.
///
/// # Errors
/// Where a stage fails, or the table does not hold what was sent afterwards.
pub(super) fn run(
    world: &World,
    sent: &Sent,
    meter: &Meter,
    config: &worker::Config,
) -> anyhow::Result<Cost> {
    let client = world.empty("bench_unprotected")?;
    let store = Store::new(client.clone(), world.runtime.handle().clone());
    let maker = EventMaker::new(world.store(), world.books.clone(), world.schemas.clone());
    let terms = terms(world, config);
    let mut cost = Cost::default();
    meter.begin();
    let mut reader = Reader::open(world.topic.open("unprotected")?, sent.count)?;
    let start = meter.start()?;
    // Channels without room, as in the worker: each thread holds one round.
    let (store, inserts_at_once) = (&store, config.inserts_at_once);
    let (jobs, chosen) = mpsc::sync_channel(0);
    let (built, rounds) = mpsc::sync_channel(0);
    let (ended, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        let building = scope.spawn(move || build(&maker, terms, &chosen, &built));
        let inserting = scope.spawn(move || insert(store, inserts_at_once, rounds, &ended));
        let read = read(&mut reader, terms, &jobs, &ends);
        drop(jobs);
        // What a later stage failed for is why an earlier one could not hand on its work.
        join(inserting)?;
        join(building)?;
        read
    })?;
    for reached in ends {
        reader.commit(&reached)?;
    }
    cost += meter.lap(&start)?;
    let cost = meter.end(sent.count, cost)?;
    path::compare(world, &client, &sent.truth)?;
    world.drop_database(&client)?;
    Ok(cost)
}

fn read(
    reader: &mut Reader,
    terms: Terms,
    jobs: &SyncSender<Vec<Chosen>>,
    ends: &Receiver<Reached>,
) -> anyhow::Result<()> {
    loop {
        let round = reader.round(terms)?;
        if round.is_empty() {
            return Ok(());
        }
        jobs.send(round).ok().context("the building thread has ended")?;
        for reached in ends.try_iter() {
            reader.commit(&reached)?;
        }
    }
}

fn build(
    maker: &EventMaker,
    terms: Terms,
    chosen: &Receiver<Vec<Chosen>>,
    built: &SyncSender<Vec<Batch>>,
) -> anyhow::Result<()> {
    let mut windows = HashMap::new();
    let nothing_held = Held::default();
    for round in chosen {
        let mut batches = Vec::with_capacity(round.len());
        for chosen in &round {
            let new = || Window::new(terms.dedup_window);
            let window = windows.entry(chosen.partition.clone()).or_insert_with(new);
            batches.push(maker.make(window, chosen, &nothing_held)?);
        }
        built.send(batches).ok().context("the inserting thread has ended")?;
    }
    Ok(())
}

fn insert(
    store: &Store,
    inserts_at_once: usize,
    rounds: Receiver<Vec<Batch>>,
    ended: &Sender<Reached>,
) -> anyhow::Result<()> {
    for mut batches in rounds {
        for group in batches.chunks_mut(inserts_at_once.max(1)) {
            std::thread::scope(|scope| {
                let running: Vec<_> =
                    group.iter_mut().map(|batch| scope.spawn(|| insert_one(store, batch))).collect();
                running.into_iter().try_for_each(join)
            })?;
        }
        let reached =
            batches.into_iter().map(|batch| (batch.partition, batch.intent.next)).collect::<Reached>();
        ended.send(reached).ok().context("the reading thread has ended")?;
    }
    Ok(())
}

fn insert_one(store: &Store, batch: &mut Batch) -> anyhow::Result<()> {
    let Batch { partition, intent, tables, .. } = batch;
    let scope = Scope { partition, first: intent.first, next: intent.next, attempt: 0 };
    for rows in tables {
        store.insert(rows.as_mut(), scope, write_before())?;
    }
    Ok(())
}

fn join(thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

//! What an engineer would build in a day, to compare with: records through serde into structs, a price looked up and
//! multiplied, rows of the client crate in inserts of 10,000, a commit after each. It reads by the same source and
//! writes to the same engine, and promises nothing: no repeat is dropped, nothing is read back, no price has a time.

mod event;
mod prices;
mod rows;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use clickhouse::insert::Insert;
use clickhouse::{Client, RowWrite};
use ingest::source::{Partition, Record};
use serde_avro_fast::Schema;

use super::Encoding;
use super::meter::{Cost, Meter};
use super::reader::Reader;
use super::stages::write_before;
use super::traffic::Sent;
use super::world::World;
use event::Event;
use prices::Prices;
use rows::{Common, Entry, Small};

const SMALL: &str = include_str!("small.sql");
const SCHEMA: &str = include_str!("../../../../schemas/events/usage.v1.avsc");
/// Rows of one insert.
const ROWS: usize = 10_000;

/// Which table the consumer fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The ledger's own: the same columns and projections.
    Same,
    /// 24 columns, no projection.
    Small,
}

/// Runs the consumer over the whole topic.
///
/// # Errors
/// Where it fails, or the table does not hold a row for each record afterwards.
pub(super) fn run(
    world: &World,
    sent: &Sent,
    meter: &Meter,
    shape: Shape,
    encoding: Encoding,
) -> anyhow::Result<Cost> {
    // The crate's check of types against the table is left out, in the consumer's favor.
    let client = world.empty("bench_plain")?.with_validation(false);
    if shape == Shape::Small {
        world.create(&client, "small", SMALL)?;
    }
    let stage = if shape == Shape::Same { "plain" } else { "plain-small" };
    let mut consumer = Consumer {
        reader: Reader::open(world.topic.open(stage)?, sent.count)?,
        schema: (encoding == Encoding::Avro).then(|| SCHEMA.parse()).transpose()?,
        prices: Prices::built_in()?,
        client: client.clone(),
    };
    let mut cost = Cost::default();
    meter.begin();
    let start = meter.start()?;
    let table = match shape {
        Shape::Same => world.runtime.block_on(consumer.run::<Entry<'static>>("entries"))?,
        Shape::Small => world.runtime.block_on(consumer.run::<Small<'static>>("small"))?,
    };
    cost += meter.lap(&start)?;
    let cost = meter.end(sent.count, cost)?;
    let count: u64 =
        world.runtime.block_on(client.query(&format!("SELECT count() FROM {table}")).fetch_one())?;
    ensure!(count == u64::from(sent.count), "the plain consumer wrote {count} rows of {}", sent.count);
    world.drop_database(&client)?;
    Ok(cost)
}

struct Consumer {
    reader: Reader,
    schema: Option<Schema>,
    prices: Prices,
    client: Client,
}

/// A row that is made of an event.
trait FromEvent: clickhouse::Row {
    fn from_event<'a>(common: Common<'a>) -> Self::Value<'a>;
}

impl FromEvent for Entry<'static> {
    fn from_event<'a>(common: Common<'a>) -> Entry<'a> {
        Entry::new(common)
    }
}

impl FromEvent for Small<'static> {
    fn from_event<'a>(common: Common<'a>) -> Small<'a> {
        Small::new(common)
    }
}

impl Consumer {
    async fn run<T: FromEvent + RowWrite>(&mut self, table: &'static str) -> anyhow::Result<&'static str> {
        let write_before = write_before().0;
        let mut reached: BTreeMap<Partition, u64> = BTreeMap::new();
        let mut insert: Option<Insert<T>> = None;
        let mut rows = 0;
        while !self.reader.is_at_end() {
            let inbox = std::mem::take(&mut self.reader.poll()?.records);
            for (partition, records) in inbox {
                for record in records.iter() {
                    let event = decode(&record, self.schema.as_ref())?;
                    let common = Common::new(&event, &partition, &record, &self.prices, write_before)
                        .context("no time")?;
                    let writing = match &mut insert {
                        Some(writing) => writing,
                        none => none.insert(self.client.insert::<T>(table).await?),
                    };
                    writing.write(&T::from_event(common)).await?;
                    reached.insert(partition.clone(), record.offset + 1);
                    rows += 1;
                    if rows % ROWS == 0 {
                        self.end(insert.take(), &reached).await?;
                    }
                }
            }
        }
        self.end(insert.take(), &reached).await?;
        Ok(table)
    }

    async fn end<T>(
        &self,
        insert: Option<Insert<T>>,
        reached: &BTreeMap<Partition, u64>,
    ) -> anyhow::Result<()> {
        let Some(insert) = insert else { return Ok(()) };
        insert.end().await?;
        tokio::task::block_in_place(|| self.reader.commit(reached))
    }
}

fn decode(record: &Record<'_>, schema: Option<&Schema>) -> anyhow::Result<Event> {
    let value = record.value.context("a record without a value")?;
    let event = match schema {
        None => serde_json::from_slice(value)?,
        Some(schema) => {
            let datum = value.get(5..).context("a record that is too short")?;
            serde_avro_fast::from_datum_slice::<Event>(datum, schema)?.with_parsed_usage()?
        }
    };
    Ok(event)
}

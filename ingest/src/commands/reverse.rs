//! Takes back repeats that were posted because their first lay beyond the window. Each pair that the command names is
//! checked against the ledger; the rows that take back are made by the store from the rows that they take back, so
//! that they are the same to the last column.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use ledger::event::Millis;
use ledger::unit::Unit;
use schemas::columns::Fetched;
use schemas::command::{REPEATS_MAX, RecordAt, ReverseRepeats};
use schemas::digest::DigestedEntry;

use super::{CommandMaker, Effect, Place, Refusal};
use crate::batch::MakeError;
use crate::store::Rows;

const ENTRIES: &str = include_str!("../../../schemas/clickhouse/queries/repeat_entries.sql");
const REVERSED: &str = include_str!("../../../schemas/clickhouse/queries/repeats_reversed.sql");
const REVERSALS: &str = include_str!("../../../schemas/clickhouse/queries/reversals.sql");

/// The table that reversals are posted to.
const TABLE: &str = "entries";
/// Ordinals that each repeat of a command has for its entries, whose own ordinals have 16 bits. A repeat's place does
/// not depend on what became of the others.
const ORDINALS_EACH: u32 = 1 << 16;

/// Rows that take back entries.
#[derive(Default)]
pub(super) struct Reversals {
    block: Fetched,
}

impl Rows for Reversals {
    fn table(&self) -> &'static str {
        TABLE
    }

    fn rows(&self) -> usize {
        self.block.rows()
    }

    fn take_block(&mut self, write_before: Millis) -> Vec<Bytes> {
        let block = std::mem::take(&mut self.block);
        block.with_constant("write_before", "DateTime64(3, 'UTC')", &write_before.0.to_le_bytes())
    }
}

/// A usage entry as far as a reversal needs to know it.
#[derive(clickhouse::Row, serde::Deserialize)]
struct Posted {
    record_topic: String,
    record_partition: u32,
    record_offset: u64,
    record_ordinal: u32,
    /// Whether the event made it, not an operation.
    is_usage: u8,
    /// Whether no operation made it anew.
    is_live: u8,
    entry_topic: String,
    entry_partition: u32,
    entry_offset: u64,
    entry_ordinal: u32,
    event_hash: u128,
    content_hash: u64,
    log_ms: i64,
    occurred_ms: i64,
    attempts: i8,
    requests: i8,
    unpriced: i8,
    fixed_quantities: Vec<i64>,
    amounts: Vec<i128>,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Reversed {
    record_topic: String,
    record_partition: u32,
    record_offset: u64,
}

/// Entries by record.
type Ledger = HashMap<RecordAt, Vec<Posted>>;

/// Some records or entries as the parallel arrays that a query takes.
#[derive(Default)]
struct Places {
    topics: Vec<String>,
    partitions: Vec<u32>,
    offsets: Vec<u64>,
    ordinals: Vec<u32>,
    slots: Vec<u32>,
    reasons: Vec<&'static str>,
}

/// What became of the named repeats.
#[derive(Default, serde::Serialize)]
struct Outcome {
    /// Taken back by this command.
    reversed: usize,
    /// Taken back by an earlier one.
    reversed_before: usize,
    /// No repeats, as far as the ledger knows.
    refused: usize,
}

impl CommandMaker {
    pub(super) fn reverse(&self, place: &Place<'_>, command: &ReverseRepeats) -> Result<Effect, Refusal> {
        if command.repeats.len() > REPEATS_MAX {
            return Err(Refusal::Refused(format!(
                "the command names {} repeats; send at most {REPEATS_MAX} in one",
                command.repeats.len()
            )));
        }
        let history = self.operations_before(place, place.offset)?;
        if !command.repeats.is_empty()
            && let Some(open) = history.open_in(i64::MIN, i64::MAX)
        {
            return Err(Refusal::Refused(format!(
                "operation {} is not finished; repeats are looked for again after it",
                open.id
            )));
        }
        let ledger = self.entries_of(command, &history.counted())?;
        let mut reversed = self.reversed_before(place, command)?;
        let before = reversed.clone();
        let mut effect = Effect::default();
        let mut outcome = Outcome::default();
        let mut places = Places::default();
        for (index, pair) in (0_u32..).zip(&command.repeats) {
            let (repeat, first) = (ledger.get(&pair.repeat), ledger.get(&pair.first));
            let Some(reason) = repeat.zip(first).and_then(|(repeat, first)| reason(repeat, first)) else {
                outcome.refused += 1;
                continue;
            };
            if !reversed.insert(pair.repeat.clone()) {
                outcome.reversed_before += usize::from(before.contains(&pair.repeat));
                continue;
            }
            outcome.reversed += 1;
            for entry in repeat.into_iter().flatten().filter(|entry| entry.is_live != 0) {
                let ordinal = index * ORDINALS_EACH + entry.record_ordinal;
                effect.entry_rows.add(digested(entry, place.offset, ordinal)?.digest());
                if !place.is_held(TABLE, ordinal) {
                    places.push(entry, ordinal, reason);
                }
            }
        }
        effect.reversals.block = self.take_back(place, &places)?;
        let Outcome { reversed, reversed_before, refused } = outcome;
        effect.detail = format!(
            "{reversed} repeats reversed; {reversed_before} were reversed before, {refused} are no repeats"
        );
        effect.result = serde_json::json!({
            "reversed": reversed, "reversed_before": reversed_before, "refused": refused, "swept": command.swept,
        })
        .to_string();
        Ok(effect)
    }

    /// The entries of all records that the command names.
    fn entries_of(&self, command: &ReverseRepeats, operations: &[u64]) -> Result<Ledger, Refusal> {
        let records = command.repeats.iter().flat_map(|pair| [&pair.repeat, &pair.first]);
        let places = Places::of(records);
        let mut ledger = Ledger::new();
        if places.offsets.is_empty() {
            return Ok(ledger);
        }
        let query = self.store.sequential(ENTRIES);
        let entries: Vec<Posted> = self.store.block_on(
            query
                .param("operations", operations)
                .param("topics", places.topics)
                .param("partitions", places.partitions)
                .param("offsets", places.offsets)
                .fetch_all(),
        )?;
        for entry in entries {
            let (topic, partition, offset) =
                (entry.record_topic.clone(), entry.record_partition, entry.record_offset);
            ledger.entry(RecordAt { topic, partition, offset }).or_default().push(entry);
        }
        Ok(ledger)
    }

    /// The named repeats that commands before this one took back.
    fn reversed_before(
        &self,
        place: &Place<'_>,
        command: &ReverseRepeats,
    ) -> Result<HashSet<RecordAt>, Refusal> {
        let places = Places::of(command.repeats.iter().map(|pair| &pair.repeat));
        if places.offsets.is_empty() {
            return Ok(HashSet::new());
        }
        let query = self.store.sequential(REVERSED);
        let reversed: Vec<Reversed> = self.store.block_on(
            query
                .param("topic", place.partition.topic.as_ref())
                .param("before", place.offset)
                .param("topics", places.topics)
                .param("partitions", places.partitions)
                .param("offsets", places.offsets)
                .fetch_all(),
        )?;
        Ok(reversed
            .into_iter()
            .map(|Reversed { record_topic: topic, record_partition: partition, record_offset: offset }| {
                RecordAt { topic, partition, offset }
            })
            .collect())
    }

    /// The rows that take back those entries, made by the store.
    fn take_back(&self, place: &Place<'_>, places: &Places) -> Result<Fetched, Refusal> {
        if places.offsets.is_empty() {
            return Ok(Fetched::default());
        }
        let query = self
            .store
            .sequential(REVERSALS)
            // The block goes back as it comes: plain strings, which the table's types are cast from.
            .with_setting("low_cardinality_allow_in_native_format", "0")
            .param("recorded_ms", place.recorded_at.0)
            .param("log_ms", place.log_time.0)
            .param("topic", place.partition.topic.as_ref())
            .param("partition", place.partition.number)
            .param("offset", place.offset)
            .param("batch_first", place.batch_first)
            .param("topics", &places.topics)
            .param("partitions", &places.partitions)
            .param("offsets", &places.offsets)
            .param("ordinals", &places.ordinals)
            .param("slots", &places.slots)
            .param("reasons", &places.reasons);
        let answer = self.store.block_on(async { query.fetch_bytes("Native")?.collect().await })?;
        let rows = places.offsets.len();
        Fetched::new(&answer, rows)
            .map_err(|error| Refusal::Store(MakeError::State { detail: error.to_string() }))
    }
}

impl Places {
    fn of<'a>(records: impl Iterator<Item = &'a RecordAt>) -> Self {
        let mut places = Self::default();
        for record in records {
            places.topics.push(record.topic.clone());
            places.partitions.push(record.partition);
            places.offsets.push(record.offset);
        }
        places
    }

    fn push(&mut self, entry: &Posted, slot: u32, reason: &'static str) {
        self.topics.push(entry.entry_topic.clone());
        self.partitions.push(entry.entry_partition);
        self.offsets.push(entry.entry_offset);
        self.ordinals.push(entry.entry_ordinal);
        self.slots.push(slot);
        self.reasons.push(reason);
    }
}

/// Why a record repeats an earlier one; `None` where it does not: another id, or not the later of the two.
fn reason(repeat: &[Posted], first: &[Posted]) -> Option<&'static str> {
    let usage = |entries: &'_ [Posted]| entries.iter().position(|entry| entry.is_usage != 0);
    let (repeat, first) = (repeat.get(usage(repeat)?)?, first.get(usage(first)?)?);
    let is_repeat = repeat.event_hash == first.event_hash && order(first) < order(repeat);
    let reason = if repeat.content_hash == first.content_hash { "duplicate" } else { "conflict" };
    is_repeat.then_some(reason)
}

/// The order in which the first of several records with one id is found.
fn order(entry: &Posted) -> (i64, &str, u32, u64) {
    (entry.log_ms, &entry.entry_topic, entry.entry_partition, entry.entry_offset)
}

/// What the digest covers of the row that takes an entry back.
fn digested(entry: &Posted, offset: u64, ordinal: u32) -> Result<DigestedEntry, Refusal> {
    let unreadable =
        || Refusal::Store(MakeError::State { detail: "the store answered an entry of another form".into() });
    let quantities: [i64; Unit::FIXED.len()] =
        entry.fixed_quantities.as_slice().try_into().map_err(|_| unreadable())?;
    let [list_cost, cost, charge, cost_avoided] =
        entry.amounts.as_slice().try_into().map_err(|_| unreadable())?;
    Ok(DigestedEntry {
        offset,
        ordinal,
        event_hash: entry.event_hash,
        content_hash: entry.content_hash,
        occurred_at: Millis(entry.occurred_ms),
        attempts: entry.attempts.wrapping_neg(),
        requests: entry.requests.wrapping_neg(),
        unpriced: entry.unpriced.wrapping_neg(),
        quantities: quantities.map(i64::wrapping_neg),
        list_cost: i128::wrapping_neg(list_cost),
        cost: i128::wrapping_neg(cost),
        charge: i128::wrapping_neg(charge),
        cost_avoided: i128::wrapping_neg(cost_avoided),
    })
}

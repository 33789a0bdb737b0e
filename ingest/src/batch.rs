//! A batch on its way: chosen records, then the rows that they make. The same choice always makes the same rows.

use std::collections::{BTreeSet, HashMap};

use ledger::event::Millis;
use ledger::reject::Reason;
use schemas::digest::{self, Digest};
use schemas::tables::{BatchRow, Batches};

use crate::intent::{DECODER, Intent};
use crate::source::{Partition, Records};
use crate::store::{Present, Rows};

/// The table of records that were not posted.
pub const QUARANTINE: &str = "quarantine";

/// Records of one partition with all that their outcome depends on.
#[derive(Debug)]
pub struct Chosen {
    /// The partition.
    pub partition: Partition,
    /// Epoch of the assignment under which they were read.
    pub epoch: u64,
    /// What is announced before any row is written.
    pub intent: Intent,
    /// The records of `[first, next)`; none for an empty intent.
    pub records: Records,
}

/// The rows of one batch, in the order in which they are inserted, and what closes it.
pub struct Batch {
    /// The partition.
    pub partition: Partition,
    /// Epoch of the assignment.
    pub epoch: u64,
    /// What was announced.
    pub intent: Intent,
    /// What became of the records, counting also rows that were in the store already.
    pub summary: Summary,
    /// The rows that are not in the store yet, by table.
    pub tables: Vec<Box<dyn Rows>>,
}

/// What became of a batch's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records that were read.
    pub received: u64,
    /// Records that made entries, or for commands, that were carried out or kept.
    pub posted: u64,
    /// Rows that those made.
    pub entries: u64,
    /// Rows without a price for all that they bill.
    pub unpriced: u64,
    /// Offsets of dropped repeats.
    pub duplicates_at: Vec<u64>,
    /// Records in quarantine, by the reason's name.
    pub quarantined: HashMap<&'static str, u64>,
    /// The rows of `entries`, also those that the store has already.
    pub entry_rows: Digest,
    /// The rows of `quarantine`, likewise.
    pub quarantine_rows: Digest,
    /// The latest log time of a record.
    pub log_time_max: Option<Millis>,
}

impl Summary {
    /// All records in quarantine.
    #[must_use]
    pub fn quarantined_total(&self) -> u64 {
        self.quarantined.values().sum()
    }

    /// Counts a record in quarantine.
    pub fn quarantine(&mut self, offset: u64, reason: Reason) {
        *self.quarantined.entry(reason.name()).or_default() += 1;
        self.quarantine_rows.add(digest::quarantined(offset, reason.name()));
    }
}

/// What of a batch is not to be made or sent: nothing, where it is made for the first time.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Rows that tables hold already, by table.
    pub present: HashMap<&'static str, Present>,
    /// Records that the store has refused, each alone.
    pub refused: BTreeSet<u64>,
    /// Records from this offset on are left for a later attempt.
    pub later_from: Option<u64>,
}

impl Held {
    /// Whether the row is not to be sent: the table has it, or its turn comes later.
    #[must_use]
    pub fn is_held(&self, table: &str, offset: u64, ordinal: u32) -> bool {
        self.later_from.is_some_and(|from| offset >= from)
            || self.present.get(table).is_some_and(|present| present.contains(&(offset, ordinal)))
    }

    /// Whether the store refuses the record's rows, or did so in an earlier run: then it is in quarantine.
    #[must_use]
    pub fn is_refused(&self, offset: u64) -> bool {
        self.refused.contains(&offset)
            || self.present.get(QUARANTINE).is_some_and(|present| present.contains(&(offset, 0)))
    }

    /// Whether no table has any row of the record.
    #[must_use]
    pub fn lacks(&self, offset: u64) -> bool {
        // A record's first row has ordinal 0.
        !self.present.values().any(|present| present.contains(&(offset, 0)))
    }
}

/// Why a batch could not be made. Nothing is wrong with the records: those always end as rows.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The store was asked and did not answer.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The price book of that position cannot be had.
    #[error("the price book as of command {through} cannot be read: {detail}")]
    Book {
        /// Offset before which commands are in force.
        through: u64,
        /// Why not.
        detail: String,
    },
    /// The schema registry did not answer.
    #[error("schema {id} cannot be fetched from the registry at {url}: {detail}")]
    Registry {
        /// Where the registry is.
        url: String,
        /// Id of the schema.
        id: u32,
        /// Why not.
        detail: String,
    },
    /// The state that a command is carried out against cannot be read.
    #[error("the state that the command is carried out against cannot be read: {detail}")]
    State {
        /// Why not.
        detail: String,
    },
}

/// Makes rows of records. One for usage events, one for commands; the protocol around them is the same.
pub trait Maker: Send + Sync + 'static {
    /// What is carried from one batch of a partition to the next.
    type State: Send + 'static;

    /// The tables that it writes, in the order of the inserts.
    fn tables(&self) -> &'static [&'static str];

    /// The state of a partition as of an offset, from the store.
    ///
    /// # Errors
    /// Where the store does not answer.
    fn prepare(&self, partition: &Partition, first: u64, window: u64) -> Result<Self::State, MakeError>;

    /// The rows of a batch, without those that are held already.
    ///
    /// # Errors
    /// Where what the outcome depends on cannot be had.
    fn make(&self, state: &mut Self::State, chosen: &Chosen, held: &Held) -> Result<Batch, MakeError>;
}

impl Batch {
    /// The row that closes the batch.
    #[must_use]
    pub fn closing(&self, worker: &str, healed: bool) -> Batches {
        let Self { partition, intent, summary, .. } = self;
        let last = intent.mark_after();
        let mut rows = Batches::default();
        rows.push(&BatchRow {
            topic: &partition.topic,
            partition: partition.number,
            first: intent.first,
            next: intent.next,
            received: summary.received,
            posted: summary.posted,
            entries: summary.entries,
            duplicates_at: &summary.duplicates_at,
            quarantined: summary.quarantined_total(),
            entry_rows: summary.entry_rows,
            quarantine_rows: summary.quarantine_rows,
            last_offset: last.map_or(0, |mark| mark.offset),
            last_digest: last.map_or(0, |mark| mark.digest),
            log_time_max: summary.log_time_max.unwrap_or(intent.recorded_at),
            recorded_at: intent.recorded_at,
            commands_through: intent.commands_through,
            dedup_window: intent.dedup_window,
            decoder: intent.decoder,
            decoder_closed: DECODER,
            worker,
            healed,
        });
        rows
    }
}

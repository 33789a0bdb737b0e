//! What must hold whatever happens.

use std::fmt;

use crate::world::{Intent, Offsets, Record, Scenario, World, each};

/// What kind of promise did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A record has two rows.
    Doubled,
    /// A record of a closed batch has no row.
    Lost,
    /// A batch does not begin where the one before it ends.
    Untiled,
    /// A batch was closed that is not the announced one.
    Unannounced,
    /// A worker refuses to go on.
    DeadEnd,
    /// The work does not end.
    Stuck,
}

/// Something that the protocol promises and that did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A record has two rows.
    Doubled {
        /// Its partition.
        partition: u8,
        /// Its offset.
        offset: u8,
    },
    /// A record of a closed batch has no row.
    Lost {
        /// Its partition.
        partition: u8,
        /// Its offset.
        offset: u8,
    },
    /// A batch does not begin where the one before it ends.
    Untiled {
        /// Its partition.
        partition: u8,
        /// Its first offset.
        first: u8,
        /// Where the batches before it end.
        reaches: u8,
    },
    /// A batch was closed that is not the announced one.
    Unannounced {
        /// Its partition.
        partition: u8,
        /// Its first offset.
        first: u8,
        /// Where it ends.
        next: u8,
    },
    /// A worker finds log and ledger in disagreement and refuses to go on.
    DeadEnd {
        /// The worker.
        worker: u8,
        /// The partition.
        partition: u8,
    },
    /// No more faults happened, and yet the work did not end.
    Stuck,
}

impl Violation {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Doubled { .. } => Kind::Doubled,
            Self::Lost { .. } => Kind::Lost,
            Self::Untiled { .. } => Kind::Untiled,
            Self::Unannounced { .. } => Kind::Unannounced,
            Self::DeadEnd { .. } => Kind::DeadEnd,
            Self::Stuck => Kind::Stuck,
        }
    }

    /// Whether the ledger can go on although this did not hold.
    pub(crate) fn is_passed_over(&self) -> bool {
        matches!(self, Self::Untiled { .. } | Self::Unannounced { .. })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubled { partition, offset } => {
                write!(formatter, "doubled: the record at {partition}/{offset} has two rows")
            }
            Self::Lost { partition, offset } => {
                write!(
                    formatter,
                    "lost: the record at {partition}/{offset} is in a closed batch and has no row"
                )
            }
            Self::Untiled { partition, first, reaches } => {
                write!(
                    formatter,
                    "untiled: a batch of partition {partition} begins at {first}, those before it end at {reaches}"
                )
            }
            Self::Unannounced { partition, first, next } => {
                write!(
                    formatter,
                    "unannounced: the batch [{first}, {next}) of partition {partition} is closed, another is committed"
                )
            }
            Self::DeadEnd { worker, partition } => {
                write!(formatter, "dead end: W{worker} refuses to go on with partition {partition}")
            }
            Self::Stuck => write!(formatter, "stuck: no more faults happen, and the work does not end"),
        }
    }
}

impl World {
    /// Rows become visible: none of their records may have one already.
    pub(crate) fn check_new_rows(&self, partition: u8, rows: Offsets) -> Result<(), Violation> {
        let there = self.partitions[usize::from(partition)].rows.all();
        match each(there & rows).next() {
            Some(offset) => Err(Violation::Doubled { partition, offset }),
            None => Ok(()),
        }
    }

    /// A row of `batches` becomes visible: it continues those that reached so far, says what the intent says, and all rows are
    /// there. Lost rows come first, for the rest can be passed over.
    pub(crate) fn check_new_batch(
        &self,
        scenario: &Scenario,
        partition: u8,
        batch: Intent,
        reaches: u8,
    ) -> Result<(), Violation> {
        self.check_rows(scenario, partition, batch)?;
        let state = &self.partitions[usize::from(partition)];
        if batch.first != reaches {
            return Err(Violation::Untiled { partition, first: batch.first, reaches });
        }
        if state.committed != Some(batch) {
            return Err(Violation::Unannounced { partition, first: batch.first, next: batch.next });
        }
        Ok(())
    }

    /// Each record of a closed batch has its row, in the table where it belongs.
    pub(crate) fn check_rows(
        &self,
        scenario: &Scenario,
        partition: u8,
        batch: Intent,
    ) -> Result<(), Violation> {
        let rows = self.partitions[usize::from(partition)].rows;
        let entries = scenario.find(partition, batch, |record| matches!(record, Record::Entry { .. }));
        let kept =
            scenario.find(partition, batch, |record| matches!(record, Record::Bad | Record::Unpostable));
        match each((entries & !rows.entries) | (kept & !rows.quarantine)).next() {
            Some(offset) => Err(Violation::Lost { partition, offset }),
            None => Ok(()),
        }
    }
}

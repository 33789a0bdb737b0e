//! One transaction in the making: what a group of requests adds to each partition, and who is to be told.

use std::collections::BTreeMap;

use redb::WriteTransaction;

use crate::Error;
use crate::block::{Builder, Encoded};
use crate::handle::{Appended, Cursor, Shared};
use crate::partition::{OldestBlock, Partition};
use crate::queue::{Answer, Request};
use crate::retention;
use crate::tables::{self, BLOCKS, CURSORS};

/// A group of requests on its way into the store.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The partitions as they will be.
    pub(crate) partitions: Vec<Partition>,
    pub(crate) answers: Answers,
    now_ms: u64,
    additions: BTreeMap<usize, Addition>,
    cursors: Vec<(String, usize, Cursor)>,
}

/// What is added to one partition.
#[derive(Debug)]
struct Addition {
    first_offset: u64,
    timestamp_ms: u64,
    blocks: Builder,
}

/// Whom to tell what once the transaction is durable, or that it is not.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    appends: Vec<(Answer<Appended>, Appended)>,
    commits: Vec<Answer<()>>,
    trims: Vec<Answer<u64>>,
}

impl Plan {
    /// An empty plan over the partitions as they are, at the clock's time.
    pub(crate) fn new(partitions: Vec<Partition>, now_ms: u64) -> Plan {
        Plan {
            partitions,
            answers: Answers::default(),
            now_ms,
            additions: BTreeMap::new(),
            cursors: Vec::new(),
        }
    }

    /// Takes a request in. One that cannot be granted is answered at once and leaves the others alone.
    pub(crate) fn add(&mut self, request: Request) {
        match request {
            Request::Append { place, records, answer } => {
                let appended = self.append(place, &records);
                self.answers.appends.push((answer, appended));
            }
            Request::Commit { group, cursors, answer } => match self.check_cursors(&cursors) {
                Ok(()) => {
                    self.move_cursors(&group, cursors);
                    self.answers.commits.push(answer);
                }
                Err(error) => tell(answer, Err(error)),
            },
            Request::Trim { answer } => self.answers.trims.push(answer),
        }
    }

    fn append(&mut self, place: usize, records: &Encoded) -> Appended {
        let partition = &mut self.partitions[place];
        let first_offset = partition.end;
        partition.timestamp_ms = partition.timestamp_ms.max(self.now_ms);
        partition.end += records.count();
        let timestamp_ms = partition.timestamp_ms;
        let addition = self.additions.entry(place).or_insert_with(|| Addition {
            first_offset,
            timestamp_ms,
            blocks: Builder::default(),
        });
        addition.blocks.push(records, timestamp_ms);
        Appended { first_offset, timestamp_ms }
    }

    fn check_cursors(&self, cursors: &[(usize, Cursor)]) -> Result<(), Error> {
        for (place, cursor) in cursors {
            let end = self.partitions[*place].end;
            if cursor.offset > end {
                let Cursor { topic, partition, offset, .. } = cursor.clone();
                return Err(Error::BeyondEnd { topic, partition, offset, end });
            }
        }
        Ok(())
    }

    fn move_cursors(&mut self, group: &str, cursors: Vec<(usize, Cursor)>) {
        for (place, cursor) in cursors {
            self.partitions[place].cursors.insert(group.to_owned(), cursor.offset);
            self.cursors.push((group.to_owned(), place, cursor));
        }
    }

    /// Makes it durable, `before` being the partitions as they are. Tells how many blocks retention dropped.
    pub(crate) fn write(&mut self, shared: &Shared, before: &[Partition]) -> Result<u64, Error> {
        let is_trim_due = retention::is_due(&self.partitions, &shared.config, self.now_ms);
        if self.additions.is_empty() && self.cursors.is_empty() && !is_trim_due {
            return Ok(0);
        }
        shared.store.write("write", |txn| {
            self.add_blocks(txn)?;
            self.put_cursors(txn)?;
            let dropped = retention::trim(txn, &mut self.partitions, &shared.config, self.now_ms)?;
            for (partition, before) in self.partitions.iter().zip(before) {
                if (partition.low, partition.end) != (before.low, before.end) {
                    tables::put_partition(txn, partition)?;
                }
            }
            Ok(dropped)
        })
    }

    fn add_blocks(&mut self, txn: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = txn.open_table(BLOCKS)?;
        for (place, addition) in std::mem::take(&mut self.additions) {
            let partition = &mut self.partitions[place];
            let (topic, number) = partition.key;
            let (mut offset, timestamp_ms) = (addition.first_offset, addition.timestamp_ms);
            for block in addition.blocks.finish(timestamp_ms) {
                table.insert((topic, number, offset), &block.bytes[..])?;
                offset += block.count;
                let bytes = u64::try_from(block.bytes.len()).unwrap_or(u64::MAX);
                partition.bytes = partition.bytes.saturating_add(bytes);
                partition.oldest.get_or_insert(OldestBlock { next: offset, timestamp_ms, bytes });
            }
        }
        Ok(())
    }

    fn put_cursors(&self, txn: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = txn.open_table(CURSORS)?;
        for (group, place, cursor) in &self.cursors {
            let (topic, number) = self.partitions[*place].key;
            table.insert((group.as_str(), topic, number), (cursor.offset, cursor.metadata.as_str()))?;
        }
        Ok(())
    }
}

impl Answers {
    /// Tells everyone that it is done.
    pub(crate) fn succeed(self, dropped_blocks: u64) {
        self.appends.into_iter().for_each(|(answer, appended)| tell(answer, Ok(appended)));
        self.commits.into_iter().for_each(|answer| tell(answer, Ok(())));
        self.trims.into_iter().for_each(|answer| tell(answer, Ok(dropped_blocks)));
    }

    /// Tells everyone that it is not.
    pub(crate) fn fail(self, error: &Error) {
        self.appends.into_iter().for_each(|(answer, _)| tell(answer, Err(error.clone())));
        self.commits.into_iter().for_each(|answer| tell(answer, Err(error.clone())));
        self.trims.into_iter().for_each(|answer| tell(answer, Err(error.clone())));
    }
}

/// Answers a request. Whoever asked may have gone, which is no concern of the writer's.
fn tell<T>(answer: Answer<T>, outcome: Result<T, Error>) {
    drop(answer.send(outcome));
}

//! What is known of each partition: as the writer sees it (`Partition`), as everyone sees it (`Live`), and where
//! it is found by name (`Directory`).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use event_listener::Event;

use crate::Error;

/// Topic id and partition number: the place of a partition in every table.
pub(crate) type Key = (u32, u32);

/// A partition as the last transaction left it, or as the one being prepared will.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) key: Key,
    /// The oldest offset kept; equal to `end` where nothing is.
    pub(crate) low: u64,
    /// The offset that the next record will have.
    pub(crate) end: u64,
    /// The timestamp of the last record ever.
    pub(crate) timestamp_ms: u64,
    /// What all its blocks take.
    pub(crate) bytes: u64,
    /// Present where `low < end`.
    pub(crate) oldest: Option<OldestBlock>,
    /// Where each group stands.
    pub(crate) cursors: BTreeMap<String, u64>,
}

/// The block that retention would drop first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldestBlock {
    /// The offset after its last record.
    pub(crate) next: u64,
    pub(crate) timestamp_ms: u64,
    pub(crate) bytes: u64,
}

/// What readers and waiters know of a partition, set after the transaction is durable.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) key: Key,
    low: AtomicU64,
    end: AtomicU64,
    /// Notified when `end` grows and when the journal closes or stops.
    pub(crate) changed: Event,
}

impl Live {
    pub(crate) fn of(partition: &Partition) -> Live {
        Live {
            key: partition.key,
            low: AtomicU64::new(partition.low),
            end: AtomicU64::new(partition.end),
            changed: Event::new(),
        }
    }

    pub(crate) fn low(&self) -> u64 {
        self.low.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Shows what is durable now.
    pub(crate) fn publish(&self, partition: &Partition) {
        self.low.store(partition.low, Ordering::Release);
        if self.end.swap(partition.end, Ordering::AcqRel) != partition.end {
            self.changed.notify(usize::MAX);
        }
    }
}

/// Topics by name. Fixed when the journal is opened.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    topics: HashMap<String, Topic>,
    partitions: usize,
}

/// A topic's place: partition `p` is at `first + p` in every list of partitions.
#[derive(Clone, Copy, Debug)]
struct Topic {
    first: usize,
    partitions: u32,
}

impl Directory {
    /// Adds a topic whose partitions follow those of the topics before.
    pub(crate) fn add(&mut self, name: String, partitions: u32) {
        self.topics.insert(name, Topic { first: self.partitions, partitions });
        self.partitions += usize::try_from(partitions).unwrap_or(usize::MAX);
    }

    /// The place of a partition in every list of partitions.
    pub(crate) fn find(&self, topic: &str, partition: u32) -> Result<usize, Error> {
        let found = self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })?;
        if partition >= found.partitions {
            let partitions = found.partitions;
            return Err(Error::UnknownPartition { topic: topic.to_owned(), partition, partitions });
        }
        Ok(found.first + usize::try_from(partition).unwrap_or(usize::MAX))
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, topic: &str) -> Result<u32, Error> {
        let found = self.topics.get(topic).ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })?;
        Ok(found.partitions)
    }
}

//! Where records come from: a Kafka topic or the embedded journal, behind one trait. A source delivers, keeps the
//! intents, and reads again what a recovery asks for; it knows nothing of what a record means.

pub mod embedded;
pub mod kafka;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ledger::event::Millis;
use schemas::columns::Buffer;

use crate::intent::METADATA_BYTES_MAX;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub number: u32,
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.number)
    }
}

/// One record as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: u64,
    /// The log's own time of the record.
    pub log_time: Millis,
    /// Its bytes; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The `content-type` header.
    pub content_type: Option<&'a str>,
    /// Whether the intake redacted a secret before it logged the record.
    pub redacted: bool,
    /// What the record was before the intake cut it short.
    pub truncated: Option<Truncated>,
}

/// A record that the intake cut short, because it is larger than an event may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// Length of the whole, in bytes.
    pub length: u64,
    /// SHA-256 of the whole.
    pub sha256: [u8; 32],
}

impl Truncated {
    /// Reads the header's text: the length and the hexadecimal SHA-256, with a space between.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (length, sha256) = text.split_once(' ')?;
        Some(Self { length: length.parse().ok()?, sha256: parse_sha256(sha256)? })
    }
}

/// 32 bytes from 64 hexadecimal digits.
#[must_use]
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Records of one partition, in order, in one piece of memory, which the next ones use again.
#[derive(Debug)]
pub struct Records {
    bytes: Buffer,
    slots: Vec<Slot>,
    content_types: Vec<String>,
}

#[derive(Clone, Debug)]
struct Slot {
    offset: u64,
    log_time: Millis,
    end: usize,
    is_null: bool,
    redacted: bool,
    /// Rare, and large.
    truncated: Option<Box<Truncated>>,
    content_type: Option<usize>,
}

impl Default for Records {
    fn default() -> Self {
        Self { bytes: Buffer::take(("records", 0), 0), slots: Vec::new(), content_types: Vec::new() }
    }
}

impl Records {
    /// Appends a copy of the record.
    pub fn push(&mut self, record: Record<'_>) {
        let content_type = record.content_type.map(|name| self.content_type_index(name));
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        self.slots.push(Slot {
            offset: record.offset,
            log_time: record.log_time,
            end: self.bytes.len(),
            is_null: record.value.is_none(),
            redacted: record.redacted,
            truncated: record.truncated.map(Box::new),
            content_type,
        });
    }

    /// Appends records that come after these.
    pub fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        let names: Vec<usize> =
            other.content_types.iter().map(|name| self.content_type_index(name)).collect();
        self.bytes.extend_from_slice(&other.bytes);
        self.slots.extend(other.slots.iter().map(|slot| Slot {
            end: start + slot.end,
            content_type: slot.content_type.and_then(|index| names.get(index).copied()),
            ..slot.clone()
        }));
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of all values together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The record at that index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        let slot = self.slots.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.slots.get(before)?.end,
            None => 0,
        };
        Some(Record {
            offset: slot.offset,
            log_time: slot.log_time,
            value: if slot.is_null { None } else { self.bytes.get(start..slot.end) },
            content_type: slot
                .content_type
                .and_then(|index| self.content_types.get(index))
                .map(String::as_str),
            redacted: slot.redacted,
            truncated: slot.truncated.as_deref().copied(),
        })
    }

    /// All records in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Record<'_>> + ExactSizeIterator {
        (0..self.slots.len()).map(|index| match self.get(index) {
            Some(record) => record,
            None => unreachable!("the index is below the length"),
        })
    }

    /// The last record.
    #[must_use]
    pub fn last(&self) -> Option<Record<'_>> {
        self.get(self.slots.len().checked_sub(1)?)
    }

    fn content_type_index(&mut self, name: &str) -> usize {
        match self.content_types.iter().position(|known| known == name) {
            Some(index) => index,
            None => {
                self.content_types.push(name.to_owned());
                self.content_types.len() - 1
            }
        }
    }
}

/// 64-bit digest of a record's bytes: tells whether the log still holds the record that it held before.
#[must_use]
pub fn digest(value: Option<&[u8]>) -> u64 {
    value.map_or(0, xxhash_rust::xxh3::xxh3_64)
}

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Records by partition, for started partitions only; each continues where the last poll ended.
    pub records: HashMap<Partition, Records>,
    /// Where a partition continues, where that is farther than its last record tells: the offsets up to there hold
    /// markers of transactions and aborted records, and nothing of them will be delivered.
    pub reached: HashMap<Partition, u64>,
    /// Partitions that came or went, in order.
    pub changes: Vec<Change>,
}

/// A partition came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The partition is ours now, under that epoch; it delivers nothing until it is started.
    Assigned(Partition, u64),
    /// The partition is not ours any more.
    Revoked(Partition),
}

/// What the source keeps for the worker: the offset that a partition continues at, and the intent beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The committed offset: `first` of the intent.
    pub offset: u64,
    /// The intent as text; empty where something else committed.
    pub metadata: String,
}

/// The offsets that a log holds of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest offset that can be read.
    pub low: u64,
    /// The offset that the next record will get.
    pub end: u64,
}

/// One partition's intent on its way to the source.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The partition.
    pub partition: Partition,
    /// Epoch of the assignment under which the batch was chosen.
    pub epoch: u64,
    /// `first` of the intent.
    pub offset: u64,
    /// The intent as text.
    pub metadata: String,
}

/// Why the source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker or the journal said no.
    #[error("{what} failed: {detail}")]
    Failed {
        /// What was tried.
        what: String,
        /// What the source said.
        detail: String,
    },
    /// The log no longer has records that were not posted.
    #[error(
        "{partition}: offsets {from} to {low} are gone from the log and were not posted: retention overtook the reader. \
         Stop the workers and run `tollbook audit --repair`, which closes them as lost and says so; a longer retention \
         of the topic keeps it from happening again"
    )]
    Overtaken {
        /// The partition.
        partition: Partition,
        /// The first offset that was wanted.
        from: u64,
        /// The first offset that the log still has.
        low: u64,
    },
    /// The log does not hold the records that an intent names.
    #[error(
        "{partition}: the log holds {found} records of the batch up to offset {last}, the intent names {wanted}"
    )]
    Changed {
        /// The partition.
        partition: Partition,
        /// Last offset of the batch.
        last: u64,
        /// Records that the intent names.
        wanted: u64,
        /// Records that were found.
        found: u64,
    },
}

/// Why an intent is not known to be announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// A partition of the round is not ours any more; nothing was sent.
    #[error("{0} was revoked")]
    Revoked(Partition),
    /// The source answered with an error; the intent may be there all the same.
    #[error("the intent was answered with an error: {0}")]
    Refused(String),
    /// The broker keeps less beside an offset than the intent has; nothing is lost, but nothing goes on either.
    #[error(
        "the intent has {0} bytes, more than the broker keeps beside an offset: set the broker's \
         offset.metadata.max.bytes to {METADATA_BYTES_MAX}, its default"
    )]
    TooLarge(usize),
    /// No answer came within the deadline: the group must be left and joined anew.
    #[error("no answer to the intent within {0:?}")]
    NoAnswer(Duration),
}

/// Keeps the intents of a source. Separate from it, because intents are announced beside the polling.
pub trait Announcer: Send + Sync + fmt::Debug {
    /// Announces the intents of a round, all in one commit. The check that every partition is still ours and the
    /// commit are under one lock, which the revocation of a partition takes too.
    ///
    /// # Errors
    /// See [`AnnounceError`]; only after `Ok` is the intent known to be there.
    fn announce(&self, round: &[Announcement]) -> Result<(), AnnounceError>;

    /// Whether the partition is still ours under that epoch.
    fn owns(&self, partition: &Partition, epoch: u64) -> bool;
}

/// A log that is read: what arrives, and what is read again.
pub trait Source: Send {
    /// Waits at most `wait`, serves the group, and adds what arrived to `inbox`.
    ///
    /// # Errors
    /// Where the source cannot go on without a new start.
    fn poll(&mut self, wait: Duration, inbox: &mut Inbox) -> Result<(), Error>;

    /// Lets an assigned partition deliver from that offset on.
    ///
    /// # Errors
    /// Where the source refuses, or no longer has that offset.
    fn start(&mut self, partition: &Partition, offset: u64) -> Result<(), Error>;

    /// Stops or resumes the delivery of all started partitions; the group is served all the same.
    ///
    /// # Errors
    /// Where the source refuses.
    fn hold(&mut self, held: bool) -> Result<(), Error>;

    /// What is committed for the partition.
    ///
    /// # Errors
    /// Where the source does not answer.
    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, Error>;

    /// The offsets that the log holds of the partition, asked now.
    ///
    /// # Errors
    /// Where the source does not answer.
    fn bounds(&self, partition: &Partition) -> Result<Bounds, Error>;

    /// Reads the records from `first` up to and including `last` again.
    ///
    /// # Errors
    /// Where the log no longer has them.
    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, Error>;

    /// How many partitions the topic has.
    ///
    /// # Errors
    /// Where the source does not answer, or has no such topic.
    fn partitions(&self) -> Result<u32, Error>;

    /// The announcer of this source's intents.
    fn announcer(&self) -> Arc<dyn Announcer>;

    /// Whether an old writer may still be running when a partition is assigned. `false` where a lock proves that
    /// it is gone, so that no lease has to be waited for.
    fn may_have_zombies(&self) -> bool;
}

/// A log and what a group keeps of it, from outside: without being a member of the group.
pub trait Outside {
    /// Who reads under the group now, each by a name that an operator recognizes. While there is anybody, nothing
    /// may be repaired.
    ///
    /// # Errors
    /// Where the source does not answer.
    fn readers(&self) -> Result<Vec<String>, Error>;

    /// As [`Source::partitions`]; 0 where there is no such topic.
    ///
    /// # Errors
    /// Where the source does not answer.
    fn partitions(&self) -> Result<u32, Error>;

    /// As [`Source::committed`].
    ///
    /// # Errors
    /// Where the source does not answer.
    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, Error>;

    /// As [`Source::bounds`].
    ///
    /// # Errors
    /// Where the source does not answer.
    fn bounds(&self, partition: &Partition) -> Result<Bounds, Error>;

    /// As [`Source::read`].
    ///
    /// # Errors
    /// Where the log no longer has the records.
    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, Error>;

    /// Sets the group to an offset, with an intent beside it.
    ///
    /// # Errors
    /// Where the source refuses, as Kafka does while the group has a member.
    fn commit(&self, partition: &Partition, offset: u64, metadata: &str) -> Result<(), Error>;

    /// As [`Source::may_have_zombies`].
    fn may_have_zombies(&self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64, value: &'static [u8], content_type: Option<&'static str>) -> Record<'static> {
        Record {
            offset,
            log_time: Millis(1),
            value: Some(value),
            content_type,
            redacted: false,
            truncated: None,
        }
    }

    #[test]
    fn appended_records_are_those_that_were_pushed_one_by_one() {
        let all = [
            record(3, b"a", Some("application/json")),
            record(4, b"", None),
            record(7, b"bc", Some("application/avro")),
            record(8, b"d", Some("application/json")),
        ];
        let (mut first, mut second) = (Records::default(), Records::default());
        all[..2].iter().for_each(|record| first.push(*record));
        all[2..].iter().for_each(|record| second.push(*record));
        first.append(&second);
        assert_eq!(first.iter().collect::<Vec<_>>(), all);
        assert_eq!(first.bytes(), 4);
    }
}

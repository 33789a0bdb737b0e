//! The embedded journal as a source. Its lock proves that no other reader lives, so every partition is ours from
//! the start to the end; its cursors keep the same intents that a broker keeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Cursor, Journal};
use ledger::event::Millis;
use schemas::log::{CONTENT_TYPE_HEADER, REDACTED_HEADER, TRUNCATED_HEADER};

use super::{
    AnnounceError, Announcement, Announcer, Bounds, Change, Committed, Error, Inbox, Outside, Partition,
    Record, Records, Source, Truncated,
};

/// Group under which the ledger keeps its cursors; retention never passes them.
pub const GROUP: &str = "tollbook";
/// The epoch of every assignment: there is only one.
const EPOCH: u64 = 0;
/// Stored bytes that one read takes at most.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Whether an insert of an earlier process may still reach the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldWriters {
    /// The engine is our own child and died with the process before.
    Gone,
    /// The store is another one: what was sent to it may still be on its way, though the journal's lock is free.
    MayLinger,
}

/// One topic of the journal.
pub struct Embedded {
    journal: Journal,
    topic: Arc<str>,
    old_writers: OldWriters,
    assigned: bool,
    held: bool,
    positions: BTreeMap<u32, u64>,
}

impl Embedded {
    /// Reads that topic of the journal.
    #[must_use]
    pub fn new(journal: Journal, topic: &str, old_writers: OldWriters) -> Self {
        Self {
            journal,
            topic: topic.into(),
            old_writers,
            assigned: false,
            held: false,
            positions: BTreeMap::new(),
        }
    }

    fn partition(&self, number: u32) -> Partition {
        Partition { topic: self.topic.clone(), number }
    }

    /// Reads what is there of every partition; answers whether anything was.
    fn read_all(&mut self, inbox: &mut Inbox) -> Result<bool, Error> {
        let mut any = false;
        for (number, position) in &mut self.positions {
            let records =
                self.journal.read(&self.topic, *number, *position, READ_BYTES_MAX).map_err(failed)?;
            let Some(last) = records.last() else { continue };
            *position = last.offset + 1;
            any = true;
            let partition = Partition { topic: self.topic.clone(), number: *number };
            let into = inbox.records.entry(partition).or_default();
            for record in &records {
                push(into, record);
            }
        }
        Ok(any)
    }
}

impl Source for Embedded {
    fn poll(&mut self, wait: Duration, inbox: &mut Inbox) -> Result<(), Error> {
        if !self.assigned {
            self.assigned = true;
            for number in 0..Source::partitions(self)? {
                inbox.changes.push(Change::Assigned(self.partition(number), EPOCH));
            }
            return Ok(());
        }
        if self.held || self.positions.is_empty() {
            std::thread::park_timeout(wait);
            return Ok(());
        }
        if self.read_all(inbox)? {
            return Ok(());
        }
        let deadline = Instant::now() + wait;
        // Several partitions cannot be waited for at once: each gets its share of the time.
        let share = wait / u32::try_from(self.positions.len()).unwrap_or(1).max(1);
        for (number, position) in self.positions.clone() {
            let until = deadline.min(Instant::now() + share);
            if self.journal.wait(&self.topic, number, position, until).map_err(failed)? {
                break;
            }
        }
        self.read_all(inbox)?;
        Ok(())
    }

    fn start(&mut self, partition: &Partition, offset: u64) -> Result<(), Error> {
        let Bounds { low, .. } = Source::bounds(self, partition)?;
        if low > offset {
            return Err(Error::Overtaken { partition: partition.clone(), from: offset, low });
        }
        self.positions.insert(partition.number, offset);
        Ok(())
    }

    fn hold(&mut self, held: bool) -> Result<(), Error> {
        self.held = held;
        Ok(())
    }

    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, Error> {
        let committed = self.journal.committed(GROUP, &partition.topic, partition.number).map_err(failed)?;
        Ok(committed.map(|(offset, metadata)| Committed { offset, metadata }))
    }

    fn bounds(&self, partition: &Partition) -> Result<Bounds, Error> {
        Ok(Bounds {
            low: self.journal.low(&partition.topic, partition.number).map_err(failed)?,
            end: self.journal.end(&partition.topic, partition.number).map_err(failed)?,
        })
    }

    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, Error> {
        let mut records = Records::default();
        let mut from = first;
        while from <= last {
            let read = self
                .journal
                .read(&partition.topic, partition.number, from, READ_BYTES_MAX)
                .map_err(failed)?;
            if read.is_empty() {
                break;
            }
            for record in read.iter().filter(|record| record.offset <= last) {
                push(&mut records, record);
                from = record.offset + 1;
            }
            if read.last().is_some_and(|record| record.offset > last) {
                break;
            }
        }
        Ok(records)
    }

    fn partitions(&self) -> Result<u32, Error> {
        self.journal.partitions(&self.topic).map_err(failed)
    }

    fn announcer(&self) -> Arc<dyn Announcer> {
        Arc::new(Cursors { journal: self.journal.clone() })
    }

    fn may_have_zombies(&self) -> bool {
        self.old_writers == OldWriters::MayLinger
    }
}

/// Whoever holds the journal is alone with it, which its lock proves.
impl Outside for Embedded {
    fn readers(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn partitions(&self) -> Result<u32, Error> {
        match self.journal.partitions(&self.topic) {
            Err(journal::Error::UnknownTopic { .. }) => Ok(0),
            partitions => partitions.map_err(failed),
        }
    }

    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, Error> {
        Source::committed(self, partition)
    }

    fn bounds(&self, partition: &Partition) -> Result<Bounds, Error> {
        Source::bounds(self, partition)
    }

    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, Error> {
        Source::read(self, partition, first, last)
    }

    fn commit(&self, partition: &Partition, offset: u64, metadata: &str) -> Result<(), Error> {
        let cursor = Cursor::new(partition.topic.as_ref(), partition.number, offset, metadata);
        self.journal.commit(GROUP, vec![cursor]).map_err(failed)
    }

    fn may_have_zombies(&self) -> bool {
        Source::may_have_zombies(self)
    }
}

fn push(records: &mut Records, record: &journal::Record) {
    let header = |name: &str| record.headers.get(name).and_then(|value| std::str::from_utf8(value).ok());
    records.push(Record {
        offset: record.offset,
        log_time: Millis(i64::try_from(record.timestamp_ms).unwrap_or(i64::MAX)),
        value: record.value.as_deref(),
        content_type: header(CONTENT_TYPE_HEADER),
        redacted: header(REDACTED_HEADER).is_some(),
        truncated: header(TRUNCATED_HEADER).and_then(Truncated::parse),
    });
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn failed(error: journal::Error) -> Error {
    Error::Failed { what: "reading the embedded log".into(), detail: error.to_string() }
}

/// Commits to the journal's cursors.
#[derive(Debug)]
struct Cursors {
    journal: Journal,
}

impl Announcer for Cursors {
    fn announce(&self, round: &[Announcement]) -> Result<(), AnnounceError> {
        let cursors = round
            .iter()
            .map(|announcement| {
                let Partition { topic, number } = &announcement.partition;
                Cursor::new(topic.as_ref(), *number, announcement.offset, announcement.metadata.as_str())
            })
            .collect();
        self.journal.commit(GROUP, cursors).map_err(|error| AnnounceError::Refused(error.to_string()))
    }

    fn owns(&self, _: &Partition, _: u64) -> bool {
        true
    }
}

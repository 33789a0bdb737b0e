//! The journal as its users hold it. Reads go straight to the store; appends and commits go through the writer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use event_listener::Listener;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use crate::Error;
use crate::backend::SyncFailure;
use crate::block;
use crate::config::{Clock, Config, system_clock};
use crate::folder;
use crate::partition::{Directory, Live};
use crate::queue::{Queue, Request};
use crate::record::{NewRecord, Record};
use crate::store::{Named, Opened, Store};
use crate::writer::{self, Writer};

/// The longest metadata of a cursor, in bytes.
const METADATA_BYTES_MAX: usize = 4_096;
const GROUP_BYTES_MAX: usize = 255;

/// An open journal. Clones share it; the last one to be dropped closes it.
///
/// The methods without `async` in their name block and are for plain threads: called from within an
/// asynchronous task of tokio, those that wait for the writer panic.
#[derive(Clone, Debug)]
pub struct Journal {
    opened: Arc<OpenJournal>,
}

/// Where an append ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record; the others follow without a hole.
    pub first_offset: u64,
    /// The timestamp that all its records bear, in milliseconds since 1970, UTC.
    pub timestamp_ms: u64,
}

/// How far a group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// The next offset that the group wants; from here on nothing is dropped.
    pub offset: u64,
    /// Whatever the group wants to find beside the offset, at most 4,096 bytes.
    pub metadata: String,
}

impl Cursor {
    /// A cursor of these four.
    pub fn new(topic: impl Into<String>, partition: u32, offset: u64, metadata: impl Into<String>) -> Cursor {
        Cursor { topic: topic.into(), partition, offset, metadata: metadata.into() }
    }
}

/// What the handles of one journal and its writer thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) queue: Queue,
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) live: Vec<Live>,
    /// Why nothing works any more, once that is so.
    ended: RwLock<Option<Error>>,
}

impl Shared {
    /// Tells everyone who waits, now or later, that the journal has come to an end. The first reason stands.
    pub(crate) fn end(&self, reason: Error) {
        self.ended.write().get_or_insert(reason);
        for partition in &self.live {
            partition.changed.notify(usize::MAX);
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.ended.read().clone().map_or(Ok(()), Err)
    }

    fn why_closed(&self) -> Error {
        self.check().err().unwrap_or_else(|| Error::Closed { folder: self.config.path.clone() })
    }
}

#[derive(Debug)]
struct OpenJournal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in `config.path` with these topics and their numbers of partitions. A topic that is
    /// there already may grow and keeps its records; topics not named stay as they are.
    ///
    /// Fails where another process has it open ([`Error::InUse`]), where a topic would shrink
    /// ([`Error::FewerPartitions`]), and where the folder or file cannot be used.
    pub fn open(config: Config, topics: &[(&str, u32)]) -> Result<Journal, Error> {
        Journal::open_with_clock(config, topics, system_clock())
    }

    /// As [`Journal::open`], with another source of timestamps.
    pub fn open_with_clock(config: Config, topics: &[(&str, u32)], clock: Clock) -> Result<Journal, Error> {
        Journal::open_on(config, topics, clock, Arc::default())
    }

    pub(crate) fn open_on(
        config: Config,
        topics: &[(&str, u32)],
        clock: Clock,
        failure: Arc<SyncFailure>,
    ) -> Result<Journal, Error> {
        let Opened { store, directory, partitions } = Store::open(&config.path, topics, failure)?;
        let live = partitions.iter().map(Live::of).collect();
        let shared = Arc::new(Shared {
            config,
            queue: Queue::default(),
            store,
            directory,
            live,
            ended: RwLock::new(None),
        });
        let writer = writer::spawn(Writer::new(Arc::clone(&shared), partitions, clock))
            .map_err(|error| folder::failed("start a writer thread for", &shared.config.path, error))?;
        Ok(Journal { opened: Arc::new(OpenJournal { shared, writer: Mutex::new(Some(writer)) }) })
    }

    /// Stores records at the end of a partition, all or none, and returns when they are on disk.
    pub fn append(&self, topic: &str, partition: u32, records: Vec<NewRecord>) -> Result<Appended, Error> {
        let (request, answer) = self.append_request(topic, partition, &records)?;
        drop(records);
        self.ask(request, answer)
    }

    /// As [`Journal::append`], for tasks. Where the future is dropped, the records may or may not be stored.
    pub async fn append_async(
        &self,
        topic: &str,
        partition: u32,
        records: Vec<NewRecord>,
    ) -> Result<Appended, Error> {
        let (request, answer) = self.append_request(topic, partition, &records)?;
        drop(records);
        self.ask_async(request, answer).await
    }

    /// The records of a partition from offset `from` on, as many as fit `bytes_max` as stored, but at least one
    /// if there is one. Empty at the end.
    ///
    /// Fails with [`Error::BelowLow`] where `from` is no longer kept, with [`Error::BeyondEnd`] where it is
    /// past the end, and with [`Error::Damaged`] where the disk gives back other bytes than were written.
    pub fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<Record>, Error> {
        let key = self.live(topic, partition)?.key;
        self.shared().check()?;
        self.shared().store.read(Named { topic, partition, key }, from, bytes_max)
    }

    /// The offset that the next record of a partition will have. All before it is durable.
    pub fn end(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        Ok(self.live(topic, partition)?.end())
    }

    /// The oldest offset that a partition still has; its end where it has none.
    pub fn low(&self, topic: &str, partition: u32) -> Result<u64, Error> {
        Ok(self.live(topic, partition)?.low())
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.shared().directory.partitions(topic)
    }

    /// Waits until the record at `offset` exists, at most until `deadline`; tells whether it does.
    /// Fails where the journal closes or stops meanwhile.
    pub fn wait(&self, topic: &str, partition: u32, offset: u64, deadline: Instant) -> Result<bool, Error> {
        let live = self.live(topic, partition)?;
        loop {
            let changed = live.changed.listen();
            if live.end() > offset {
                return Ok(true);
            }
            self.shared().check()?;
            if changed.wait_deadline(deadline).is_none() {
                return Ok(live.end() > offset);
            }
        }
    }

    /// As [`Journal::wait`], for tasks, without a deadline: drop the future to give up.
    pub async fn wait_async(&self, topic: &str, partition: u32, offset: u64) -> Result<(), Error> {
        let live = self.live(topic, partition)?;
        loop {
            let changed = live.changed.listen();
            if live.end() > offset {
                return Ok(());
            }
            self.shared().check()?;
            changed.await;
        }
    }

    /// Moves a group's cursors, all or none, and returns when that is on disk. A cursor may move back.
    ///
    /// Fails with [`Error::BeyondEnd`] where an offset is past the end of its partition, and with
    /// [`Error::TooLarge`] where metadata has more than 4,096 bytes.
    pub fn commit(&self, group: &str, cursors: Vec<Cursor>) -> Result<(), Error> {
        let (request, answer) = self.commit_request(group, cursors)?;
        self.ask(request, answer)
    }

    /// As [`Journal::commit`], for tasks. Where the future is dropped, the cursors may or may not have moved.
    pub async fn commit_async(&self, group: &str, cursors: Vec<Cursor>) -> Result<(), Error> {
        let (request, answer) = self.commit_request(group, cursors)?;
        self.ask_async(request, answer).await
    }

    /// Where a group stands in a partition, with the metadata it left; `None` before its first commit.
    pub fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: u32,
    ) -> Result<Option<(u64, String)>, Error> {
        let key = self.live(topic, partition)?.key;
        self.shared().check()?;
        self.shared().store.committed(group, key)
    }

    /// Drops now what retention allows, which otherwise happens along with appends and every half minute.
    /// Tells how many blocks went.
    pub fn trim(&self) -> Result<u64, Error> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Request::Trim { answer }, receiver)
    }

    /// Takes no more requests, finishes those under way, and gives up the folder. Returns when that is done;
    /// every other call fails with [`Error::Closed`] from then on. Closing again does nothing.
    pub fn close(&self) {
        self.opened.close();
    }

    fn shared(&self) -> &Shared {
        &self.opened.shared
    }

    fn live(&self, topic: &str, partition: u32) -> Result<&Live, Error> {
        let shared = self.shared();
        let place = shared.directory.find(topic, partition)?;
        shared.live.get(place).ok_or_else(|| Error::UnknownTopic { topic: topic.to_owned() })
    }

    fn append_request(
        &self,
        topic: &str,
        partition: u32,
        records: &[NewRecord],
    ) -> Result<(Request, Receiver<Appended>), Error> {
        let place = self.shared().directory.find(topic, partition)?;
        let records = block::encode(records)?;
        let (answer, receiver) = oneshot::channel();
        Ok((Request::Append { place, records, answer }, receiver))
    }

    fn commit_request(&self, group: &str, cursors: Vec<Cursor>) -> Result<(Request, Receiver<()>), Error> {
        block::check_size("a group's name in bytes", group.len(), GROUP_BYTES_MAX)?;
        let placed = cursors.into_iter().map(|cursor| {
            block::check_size("a cursor's metadata in bytes", cursor.metadata.len(), METADATA_BYTES_MAX)?;
            Ok((self.shared().directory.find(&cursor.topic, cursor.partition)?, cursor))
        });
        let cursors = placed.collect::<Result<Vec<_>, Error>>()?;
        let (answer, receiver) = oneshot::channel();
        Ok((Request::Commit { group: group.to_owned(), cursors, answer }, receiver))
    }

    fn ask<T>(&self, request: Request, answer: Receiver<T>) -> Result<T, Error> {
        let shared = self.shared();
        shared.queue.push(request).map_err(|_| shared.why_closed())?;
        answer.blocking_recv().unwrap_or_else(|_| Err(shared.why_closed()))
    }

    async fn ask_async<T>(&self, request: Request, answer: Receiver<T>) -> Result<T, Error> {
        let shared = self.shared();
        shared.queue.push_async(request).await.map_err(|_| shared.why_closed())?;
        answer.await.unwrap_or_else(|_| Err(shared.why_closed()))
    }
}

type Receiver<T> = oneshot::Receiver<Result<T, Error>>;

impl OpenJournal {
    fn close(&self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.lock().take() {
            // A writer that panicked has left the journal ended, which every later call reports.
            drop(writer.join());
        }
    }
}

impl Drop for OpenJournal {
    fn drop(&mut self) {
        self.close();
    }
}

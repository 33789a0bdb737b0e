//! The store: one redb file, opened, read, written in durable transactions, and opened anew after one has failed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use redb::{Builder, Database, Durability, ReadableDatabase, WriteTransaction};

use crate::Error;
use crate::backend::{DiskFile, SyncFailure};
use crate::block;
use crate::folder::{self, Held};
use crate::partition::{Directory, Key, Partition};
use crate::record::Record;
use crate::tables::{self, BLOCKS, LAYOUT, Topic};

/// Memory for pages of the file, read or about to be written.
const CACHE_BYTES: usize = 128 << 20;

const OPEN: &str = "open its file";
const READ: &str = "read";

/// The store of a journal.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    failure: Arc<SyncFailure>,
    state: RwLock<State>,
}

#[derive(Debug)]
enum State {
    Open {
        database: Database,
        held: Held,
    },
    /// The last attempt to open it anew failed like this.
    Broken {
        error: Error,
        held: Held,
    },
    Closed,
}

/// A store just opened and what it holds.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) partitions: Vec<Partition>,
}

/// A partition with its names, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) key: Key,
}

impl Store {
    /// Takes hold of the folder, opens the file, and adds what is missing of the topics.
    pub(crate) fn open(
        folder: &Path,
        topics: &[(&str, u32)],
        failure: Arc<SyncFailure>,
    ) -> Result<Opened, Error> {
        let held = folder::hold(folder)?;
        let database = open_database(folder, &failure)?;
        let state = RwLock::new(State::Open { database, held });
        let store = Store { folder: folder.to_owned(), failure, state };
        store.check_layout()?;
        store.add_topics(topics)?;
        let (directory, partitions) = store.query(tables::load)?;
        Ok(Opened { store, directory, partitions })
    }

    /// Opens the file anew after a failed transaction and gives what it holds.
    pub(crate) fn reopen(&self) -> Result<Vec<Partition>, Error> {
        let mut state = self.state.write();
        *state = match std::mem::replace(&mut *state, State::Closed) {
            State::Open { database, held } => {
                drop(database);
                self.open_again(held)
            }
            State::Broken { held, .. } => self.open_again(held),
            State::Closed => State::Closed,
        };
        drop(state);
        let (_, partitions) = self.query(tables::load)?;
        Ok(partitions)
    }

    fn open_again(&self, held: Held) -> State {
        match open_database(&self.folder, &self.failure) {
            Ok(database) => State::Open { database, held },
            Err(error) => State::Broken { error, held },
        }
    }

    /// Whether the last attempt to open the file anew failed.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(&*self.state.read(), State::Broken { .. })
    }

    /// The sync that failed, if one did: this process must not acknowledge anything after it.
    pub(crate) fn stopped(&self) -> Option<Error> {
        stopped(&self.folder, &self.failure)
    }

    /// Closes the file and gives up the folder.
    pub(crate) fn close(&self) {
        let state = std::mem::replace(&mut *self.state.write(), State::Closed);
        if let State::Open { database, held } = state {
            if let Err(error) = database.close() {
                // All that was acknowledged is on disk already; the next start repairs the rest.
                let folder = self.folder.display();
                tracing::warn!(%folder, %error, "The journal's file in {folder} did not close cleanly");
            }
            drop(held);
        }
    }

    /// Runs one transaction, durable when this returns. After an error the file has to be opened anew.
    pub(crate) fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, Error> {
        self.with_database(|database| {
            run_transaction(database, change).map_err(|error| self.failed(action, error))
        })
    }

    /// The records from offset `from` on; at least one if there is one, and no more than `bytes_max` otherwise.
    pub(crate) fn read(&self, at: Named<'_>, from: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        self.with_database(|database| {
            let txn = database.begin_read().map_err(|error| self.failed(READ, error))?;
            let (low, end) = tables::bounds(&txn, at.key).map_err(|error| self.failed(READ, error))?;
            check_kept(at, from, low, end)?;
            let blocks = txn.open_table(BLOCKS).map_err(|error| self.failed(READ, error))?;
            let (topic, number) = at.key;
            let failed = |error: redb::StorageError| self.failed(READ, error);

            let holding =
                blocks.range((topic, number, 0)..=(topic, number, from)).map_err(failed)?.next_back();
            let Some(holding) = holding else { return Ok(Vec::new()) };
            let start = holding.map_err(failed)?.0.value().2;
            let mut page = Page { bytes_max, ..Page::default() };
            for entry in blocks.range((topic, number, start)..=(topic, number, u64::MAX)).map_err(failed)? {
                let (key, value) = entry.map_err(failed)?;
                let block = Bytes::copy_from_slice(value.value());
                page.add(&block, key.value().2, from).ok_or_else(|| damaged(at, key.value().2))?;
                if page.is_full {
                    break;
                }
            }
            Ok(page.records)
        })
    }

    /// Where a group stands.
    pub(crate) fn committed(&self, group: &str, key: Key) -> Result<Option<(u64, String)>, Error> {
        self.query(|database| tables::cursor(database, group, key))
    }

    fn check_layout(&self) -> Result<(), Error> {
        match self.query(tables::layout)? {
            Some(LAYOUT) => Ok(()),
            Some(found) => Err(Error::Layout { folder: self.folder.clone(), found, known: LAYOUT }),
            None => self.write("make its tables", tables::create),
        }
    }

    /// Writes nothing where nothing is missing, so that a full disk does not keep a journal from being read.
    fn add_topics(&self, wanted: &[(&str, u32)]) -> Result<(), Error> {
        let mut changed = Vec::new();
        let mut topics = self.query(tables::topics)?;
        for (name, partitions) in wanted {
            let id = u32::try_from(topics.len()).unwrap_or(u32::MAX);
            match topics.iter_mut().find(|topic| topic.name == *name) {
                Some(topic) if *partitions < topic.partitions => {
                    let topic = topic.clone();
                    return Err(Error::FewerPartitions {
                        topic: topic.name,
                        partitions: topic.partitions,
                        wanted: *partitions,
                    });
                }
                Some(topic) if *partitions == topic.partitions => {}
                Some(topic) => {
                    topic.partitions = *partitions;
                    changed.push(topic.clone());
                }
                None => {
                    let topic = Topic { name: (*name).to_owned(), id, partitions: *partitions };
                    topics.push(topic.clone());
                    changed.push(topic);
                }
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        self.write("add its topics", |txn| changed.iter().try_for_each(|topic| tables::put_topic(txn, topic)))
    }

    fn query<T>(&self, run: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, Error> {
        self.with_database(|database| run(database).map_err(|error| self.failed(READ, error)))
    }

    fn with_database<T>(&self, run: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        match &*self.state.read() {
            State::Open { database, .. } => run(database),
            State::Broken { error, .. } => Err(error.clone()),
            State::Closed => Err(Error::Closed { folder: self.folder.clone() }),
        }
    }

    fn failed(&self, action: &'static str, error: impl Into<redb::Error>) -> Error {
        failed(&self.folder, &self.failure, action, error.into())
    }
}

fn open_database(folder: &Path, failure: &Arc<SyncFailure>) -> Result<Database, Error> {
    let path = folder::data_file(folder);
    let file =
        DiskFile::open(&path, Arc::clone(failure)).map_err(|error| folder::failed("open", &path, error))?;
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(file)
        .map_err(|error| failed(folder, failure, OPEN, error.into()))
}

fn run_transaction<T>(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
) -> Result<T, redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    txn.set_quick_repair(true);
    let outcome = change(&txn)?;
    txn.commit()?;
    Ok(outcome)
}

fn stopped(folder: &Path, failure: &SyncFailure) -> Option<Error> {
    let source = Arc::clone(failure.first()?);
    Some(Error::Stopped { folder: folder.to_owned(), source })
}

/// A failed sync outweighs what came of it; a lack of room is told apart from the rest.
fn failed(folder: &Path, failure: &SyncFailure, action: &'static str, error: redb::Error) -> Error {
    if let Some(stopped) = stopped(folder, failure) {
        return stopped;
    }
    let folder = folder.to_owned();
    match error {
        redb::Error::Io(source) if is_lack_of_room(&source) => {
            Error::Full { folder, source: Arc::new(source) }
        }
        source => Error::Store { action, folder, source: Arc::new(source) },
    }
}

fn is_lack_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn check_kept(at: Named<'_>, from: u64, low: u64, end: u64) -> Result<(), Error> {
    let (topic, partition) = (at.topic.to_owned(), at.partition);
    if from < low {
        return Err(Error::BelowLow { topic, partition, from, low });
    }
    if from > end {
        return Err(Error::BeyondEnd { topic, partition, offset: from, end });
    }
    Ok(())
}

fn damaged(at: Named<'_>, offset: u64) -> Error {
    Error::Damaged { topic: at.topic.to_owned(), partition: at.partition, offset }
}

/// The records of one read, gathered until `bytes_max`.
#[derive(Debug, Default)]
struct Page {
    records: Vec<Record>,
    bytes: usize,
    bytes_max: usize,
    is_full: bool,
}

impl Page {
    /// Adds the records of a block from offset `from` on that still fit. `None` where the block is damaged.
    fn add(&mut self, block: &Bytes, first_offset: u64, from: u64) -> Option<()> {
        let Page { records, bytes, bytes_max, is_full } = self;
        let fits = |size: usize| {
            *is_full = *bytes > 0 && bytes.saturating_add(size) > *bytes_max;
            *bytes = bytes.saturating_add(size);
            !*is_full
        };
        block::decode(block, first_offset, from, records, fits)
    }
}

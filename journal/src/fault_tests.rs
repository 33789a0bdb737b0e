//! Takes the disk away: writes that find no room, syncs that fail, and power lost between any two writes or in
//! the middle of one. `Disk` stands under the store's file in tests and does as it is told.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::backend::SyncFailure;
use crate::config::{Config, system_clock};
use crate::{Cursor, Error, Journal, NewRecord, folder};

/// What the file's next operations meet, and what they were.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    has_no_room: AtomicBool,
    fails_to_sync: AtomicBool,
    /// Nothing is lost with this file, and the test opens many.
    only_pretends_to_sync: AtomicBool,
    recorded: Mutex<Vec<Operation>>,
}

#[derive(Clone, Debug)]
enum Operation {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
    Sync,
}

impl Disk {
    pub(crate) fn before_write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_room()?;
        self.recorded.lock().push(Operation::Write { offset, data: data.to_vec() });
        Ok(())
    }

    pub(crate) fn before_set_len(&self, len: u64) -> io::Result<()> {
        self.check_room()?;
        self.recorded.lock().push(Operation::SetLen(len));
        Ok(())
    }

    /// Tells whether the file is really to be synced.
    pub(crate) fn before_sync(&self) -> io::Result<bool> {
        if self.fails_to_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk has gone"));
        }
        self.recorded.lock().push(Operation::Sync);
        Ok(!self.only_pretends_to_sync.load(Ordering::SeqCst))
    }

    fn check_room(&self) -> io::Result<()> {
        if self.has_no_room.load(Ordering::SeqCst) { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn open_on(folder: &Path, failure: &Arc<SyncFailure>) -> Journal {
    let config = Config { group_commit_wait: std::time::Duration::ZERO, ..Config::new(folder) };
    Journal::open_on(config, &[("events", 2)], system_clock(), Arc::clone(failure)).unwrap()
}

/// `count` records that tell their number, of very different sizes.
fn numbered(first: u64, count: u64) -> Vec<NewRecord> {
    (first..first + count).map(|number| NewRecord::of_value(value(number))).collect()
}

fn value(number: u64) -> Vec<u8> {
    let filler = usize::try_from(number * number % 3_000).unwrap();
    let mut value = number.to_le_bytes().to_vec();
    value.resize(8 + filler, u8::try_from(number % 251).unwrap());
    value
}

fn assert_holds(journal: &Journal, count: u64) {
    let records = journal.read("events", 0, 0, usize::MAX).unwrap();
    assert!(u64::try_from(records.len()).unwrap() >= count, "{} of {count} are there", records.len());
    for (number, record) in (0..).zip(&records) {
        assert_eq!(record.offset, number);
        assert_eq!(record.value.as_deref(), Some(&value(number)[..]), "record {number}");
    }
}

#[test]
fn a_full_disk_refuses_the_append_and_the_next_one_succeeds_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let failure = Arc::<SyncFailure>::default();
    let journal = open_on(folder.path(), &failure);
    journal.append("events", 0, numbered(0, 10)).unwrap();

    failure.disk.has_no_room.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let refused = journal.append("events", 0, numbered(10, 500)).unwrap_err();
        assert!(matches!(refused, Error::Full { .. }), "{refused:?}");
        assert_eq!(journal.end("events", 0).unwrap(), 10);
    }

    failure.disk.has_no_room.store(false, Ordering::SeqCst);
    assert_eq!(journal.append("events", 0, numbered(10, 5)).unwrap().first_offset, 10);
    assert_holds(&journal, 15);
    journal.close();
    drop(journal);
    assert_holds(&open_on(folder.path(), &Arc::default()), 15);
}

#[test]
fn a_failed_sync_stops_the_journal_until_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let failure = Arc::<SyncFailure>::default();
    let journal = open_on(folder.path(), &failure);
    journal.append("events", 0, numbered(0, 10)).unwrap();

    failure.disk.fails_to_sync.store(true, Ordering::SeqCst);
    let refused = journal.append("events", 0, numbered(10, 1)).unwrap_err();
    assert!(matches!(refused, Error::Stopped { .. }), "{refused:?}");

    failure.disk.fails_to_sync.store(false, Ordering::SeqCst);
    let (waiting, deadline) =
        (journal.clone(), std::time::Instant::now() + std::time::Duration::from_secs(60));
    for stopped in [
        journal.append("events", 0, numbered(10, 1)).map(|_| ()),
        journal.commit("billing", vec![Cursor::new("events", 0, 1, "")]),
        journal.read("events", 0, 0, 1).map(|_| ()),
        journal.committed("billing", "events", 0).map(|_| ()),
        waiting.wait("events", 0, 10, deadline).map(|_| ()),
    ] {
        assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    }
    drop((journal, waiting));
    let reopened = open_on(folder.path(), &Arc::default());
    assert_holds(&reopened, 10);
    let end = reopened.end("events", 0).unwrap();
    reopened.append("events", 0, numbered(end, 1)).unwrap();
    assert_holds(&reopened, end + 1);
}

/// Goal: no acknowledged record is lost, and both cursors of a commit move together, wherever power is lost.
/// Method: record every operation on the file, and when each acknowledgment came. For many points in that
/// history, build the file as a disk might have left it: everything up to the last sync, and of what came after
/// it some writes whole, some cut short, some not at all. Open it and compare.
#[test]
fn power_lost_at_any_write_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let failure = Arc::<SyncFailure>::default();
    let journal = open_on(folder.path(), &failure);
    let mut acknowledged = vec![(failure.disk.recorded.lock().len(), 0, 0)];
    for round in 0..40 {
        let end = journal.end("events", 0).unwrap();
        journal.append("events", 0, numbered(end, 1 + round * 7 % 30)).unwrap();
        let end = journal.end("events", 0).unwrap();
        acknowledged.push((failure.disk.recorded.lock().len(), end, acknowledged[acknowledged.len() - 1].2));
        let cursors = vec![
            Cursor::new("events", 0, end, end.to_string()),
            Cursor::new("events", 1, 0, end.to_string()),
        ];
        journal.commit("billing", cursors).unwrap();
        acknowledged.push((failure.disk.recorded.lock().len(), end, end));
    }
    let history = failure.disk.recorded.lock().clone();
    drop(journal);

    let after_open = acknowledged[0].0;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for point in 0..150 {
        let crash = after_open + random.below(history.len() - after_open + 1);
        let (_, end, cursor) = *acknowledged.iter().rev().find(|(length, ..)| *length <= crash).unwrap();
        let image = image_after(&history[..crash], &mut random);
        let left = tempfile::tempdir().unwrap();
        std::fs::write(folder::data_file(left.path()), image).unwrap();
        let reopened = open_on(left.path(), &Arc::default());
        assert!(reopened.end("events", 0).unwrap() >= end, "power loss {point}, after operation {crash}");
        assert_holds(&reopened, end);
        let committed = [0, 1].map(|partition| reopened.committed("billing", "events", partition).unwrap());
        let metadata =
            committed.map(|cursor| cursor.map_or(0, |(_, metadata)| metadata.parse::<u64>().unwrap()));
        assert_eq!(metadata[0], metadata[1], "power loss {point}, after operation {crash}");
        assert!(metadata[0] >= cursor, "power loss {point}, after operation {crash}");
    }
}

/// Goal: the accepted appends survive wherever in a write the process or the machine stops, byte by byte.
/// Method: of the transaction of one append, cut each write short at every byte near its ends and at many between
/// them, with everything before it written and nothing after it. Open and compare.
#[test]
fn a_write_that_is_cut_short_at_any_byte_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let failure = Arc::<SyncFailure>::default();
    let journal = open_on(folder.path(), &failure);
    for round in 0..5 {
        journal.append("events", 0, numbered(round * 4, 4)).unwrap();
    }
    let acknowledged = failure.disk.recorded.lock().len();
    journal.append("events", 0, numbered(20, 4)).unwrap();
    let history = failure.disk.recorded.lock().clone();
    drop(journal);

    let mut cuts = 0;
    for place in acknowledged..history.len() {
        let Operation::Write { offset, data } = &history[place] else { continue };
        let mut before = Vec::new();
        history[..place].iter().for_each(|operation| carry_out(&mut before, operation));
        for length in lengths(data.len()) {
            let mut image = before.clone();
            write(&mut image, *offset, &data[..length]);
            let left = tempfile::tempdir().unwrap();
            std::fs::write(folder::data_file(left.path()), image).unwrap();
            let reopened = open_on(left.path(), &pretending());
            let end = reopened.end("events", 0).unwrap();
            assert!(end == 20 || end == 24, "operation {place} cut at {length}: the end is {end}");
            assert_holds(&reopened, end);
            cuts += 1;
        }
    }
    assert!(cuts > 100, "only {cuts} cuts were tried");
}

fn pretending() -> Arc<SyncFailure> {
    let failure = Arc::<SyncFailure>::default();
    failure.disk.only_pretends_to_sync.store(true, Ordering::SeqCst);
    failure
}

/// Each length near both ends, and every 499th between them.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    const NEAR: usize = 12;
    (0..=whole).filter(move |length| *length < NEAR || whole - length < NEAR || length % 499 == 0)
}

fn carry_out(image: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Sync => {}
        Operation::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Operation::Write { offset, data } => write(image, *offset, data),
    }
}

/// A disk that loses what it had acknowledged is beyond any log. It must be told, never read as if it were whole.
#[test]
fn a_file_that_lost_its_tail_is_refused_and_never_read_as_if_it_were_whole() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open_on(folder.path(), &Arc::default());
    journal.append("events", 0, numbered(0, 200)).unwrap();
    journal.close();
    drop(journal);
    let whole = std::fs::read(folder::data_file(folder.path())).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for part in 1..100 {
        let left = tempfile::tempdir().unwrap();
        std::fs::write(folder::data_file(left.path()), &whole[..used * part / 100]).unwrap();
        let config = Config::new(left.path());
        match Journal::open_on(config, &[("events", 2)], system_clock(), pretending()) {
            Err(error) => assert!(matches!(error, Error::Store { .. } | Error::Io { .. }), "{error:?}"),
            Ok(reopened) => match reopened.read("events", 0, 0, usize::MAX) {
                Err(_) => {}
                Ok(_) => assert_holds(&reopened, 200),
            },
        }
    }
}

/// A file as it may be found after power is lost behind the last of these operations.
fn image_after(history: &[Operation], random: &mut Random) -> Vec<u8> {
    let synced = history.iter().rposition(|operation| matches!(operation, Operation::Sync)).unwrap_or(0);
    let mut image = Vec::new();
    for (position, operation) in history.iter().enumerate() {
        let luck = if position <= synced { 3 } else { random.below(4) };
        match (operation, luck) {
            (_, 0) | (Operation::Sync, _) => {}
            (Operation::SetLen(len), _) => image.resize(usize::try_from(*len).unwrap(), 0),
            (Operation::Write { offset, data }, 1) => {
                write(&mut image, *offset, &data[..random.below(data.len() + 1)]);
            }
            (Operation::Write { offset, data }, _) => write(&mut image, *offset, data),
        }
    }
    image
}

fn write(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).unwrap();
    let end = start + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[start..end].copy_from_slice(data);
}

/// A generator of numbers that are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

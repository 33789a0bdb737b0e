//! Compares a journal with the plainest model of one: a list of records per partition and a map of cursors.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use journal::{Config, Cursor, Error, Journal, NewRecord, Record};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest, test_runner::TestCaseError};

const PARTITIONS: u32 = 2;

#[derive(Clone, Debug)]
enum Step {
    Append {
        partition: u32,
        records: Vec<NewRecord>,
    },
    /// Moves the cursors of a group to this many hundredths of each partition.
    Commit {
        group: &'static str,
        hundredths: u64,
    },
    Read {
        partition: u32,
        from_hundredths: u64,
        bytes_max: usize,
    },
    PassTime {
        ms: u64,
    },
    Trim,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let partition = 0..PARTITIONS;
    let group = prop_oneof![Just("billing"), Just("audit")];
    vec(
        prop_oneof![
            4 => (partition.clone(), vec(record(), 1..20))
                .prop_map(|(partition, records)| Step::Append { partition, records }),
            2 => (group, 0..=100_u64).prop_map(|(group, hundredths)| Step::Commit { group, hundredths }),
            4 => (partition, 0..=100_u64, 0..100_000_usize).prop_map(|(partition, from_hundredths, bytes_max)|
                Step::Read { partition, from_hundredths, bytes_max }),
            1 => (0..2_000_u64).prop_map(|ms| Step::PassTime { ms }),
            1 => Just(Step::Trim),
            1 => Just(Step::Reopen),
        ],
        1..40,
    )
}

fn record() -> impl Strategy<Value = NewRecord> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..50), vec(any::<u8>(), 3_000..30_000)];
    let optional = || proptest::option::of(bytes().prop_map(bytes::Bytes::from));
    let headers = vec((".{0,10}", vec(any::<u8>(), 0..10)), 0..3);
    (optional(), optional(), headers).prop_map(|(key, value, headers)| NewRecord { key, value, headers })
}

#[derive(Default)]
struct Model {
    records: [Vec<NewRecord>; 2],
    cursors: BTreeMap<(&'static str, u32), u64>,
}

impl Model {
    fn end(&self, partition: u32) -> u64 {
        self.records[usize::try_from(partition).unwrap()].len().try_into().unwrap()
    }

    fn slowest_cursor(&self, partition: u32) -> u64 {
        let of_partition = self.cursors.iter().filter(|((_, other), _)| *other == partition);
        of_partition.map(|(_, offset)| *offset).min().unwrap_or(0)
    }

    fn is_same(&self, partition: u32, record: &Record) -> bool {
        let offset = usize::try_from(record.offset).unwrap();
        let sent = &self.records[usize::try_from(partition).unwrap()][offset];
        let headers = sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        record.key == sent.key && record.value == sent.value && record.headers.iter().eq(headers)
    }
}

/// A journal under a clock that stands still unless told, which keeps 1 s and 100 kB.
struct Subject {
    folder: tempfile::TempDir,
    now_ms: Arc<AtomicU64>,
    journal: Journal,
}

impl Subject {
    fn new() -> Subject {
        let folder = tempfile::tempdir().unwrap();
        let now_ms = Arc::default();
        let journal = Self::open(&folder, &now_ms);
        Subject { folder, now_ms, journal }
    }

    fn open(folder: &tempfile::TempDir, now_ms: &Arc<AtomicU64>) -> Journal {
        let config = Config {
            retention_age_ms_max: 1_000,
            retention_bytes_max: 100_000,
            group_commit_wait: Duration::ZERO,
            ..Config::new(folder.path())
        };
        let now_ms = Arc::clone(now_ms);
        let clock = Arc::new(move || now_ms.load(Ordering::SeqCst));
        Journal::open_with_clock(config, &[("events", PARTITIONS)], clock).unwrap()
    }
}

fn take(step: Step, subject: &mut Subject, model: &mut Model) -> Result<(), TestCaseError> {
    let journal = &subject.journal;
    match step {
        Step::Append { partition, records } => {
            let appended = journal.append("events", partition, records.clone()).unwrap();
            prop_assert_eq!(appended.first_offset, model.end(partition));
            model.records[usize::try_from(partition).unwrap()].extend(records);
        }
        Step::Commit { group, hundredths } => {
            let offsets = [0, 1].map(|partition| model.end(partition) * hundredths / 100);
            let cursors =
                (0..).zip(offsets).map(|(partition, offset)| Cursor::new("events", partition, offset, group));
            journal.commit(group, cursors.collect()).unwrap();
            model.cursors.extend((0..).zip(offsets).map(|(partition, offset)| ((group, partition), offset)));
        }
        Step::Read { partition, from_hundredths, bytes_max } => {
            let from = model.end(partition) * from_hundredths / 100;
            check_read(journal, model, partition, from, bytes_max)?;
        }
        Step::PassTime { ms } => {
            subject.now_ms.fetch_add(ms, Ordering::SeqCst);
        }
        Step::Trim => {
            journal.trim().unwrap();
        }
        Step::Reopen => {
            journal.close();
            subject.journal = Subject::open(&subject.folder, &subject.now_ms);
        }
    }
    Ok(())
}

fn check_read(
    journal: &Journal,
    model: &Model,
    partition: u32,
    from: u64,
    bytes_max: usize,
) -> Result<(), TestCaseError> {
    let low = journal.low("events", partition).unwrap();
    let read = match journal.read("events", partition, from, bytes_max) {
        Err(Error::BelowLow { low: named, .. }) => {
            prop_assert!(from < low && low == named);
            return Ok(());
        }
        read => read.unwrap(),
    };
    prop_assert!(from >= low);
    prop_assert_eq!(read.is_empty(), from == model.end(partition));
    for (record, offset) in read.iter().zip(from..) {
        prop_assert_eq!(record.offset, offset);
        prop_assert!(model.is_same(partition, record), "offset {}", offset);
    }
    Ok(())
}

fn check_partitions(journal: &Journal, model: &Model, lows: &mut [u64; 2]) -> Result<(), TestCaseError> {
    for partition in 0..PARTITIONS {
        let low = journal.low("events", partition).unwrap();
        let last = &mut lows[usize::try_from(partition).unwrap()];
        // A cursor may move back, but then it finds what retention had left until then.
        prop_assert!(low == *last || low <= model.slowest_cursor(partition));
        prop_assert!(low >= *last);
        *last = low;
        prop_assert_eq!(journal.end("events", partition).unwrap(), model.end(partition));
        for group in ["billing", "audit"] {
            let committed = journal.committed(group, "events", partition).unwrap();
            let offset = model.cursors.get(&(group, partition));
            prop_assert_eq!(committed, offset.map(|offset| (*offset, group.to_owned())));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 40, ..Default::default() })]

    #[test]
    fn a_journal_is_a_list_per_partition(steps in steps()) {
        let (mut subject, mut model) = (Subject::new(), Model::default());
        let mut lows = [0, 0];
        for step in steps {
            take(step, &mut subject, &mut model)?;
            check_partitions(&subject.journal, &model, &mut lows)?;
        }
        for partition in 0..PARTITIONS {
            check_read(&subject.journal, &model, partition, lows[usize::try_from(partition).unwrap()], usize::MAX)?;
        }
    }
}

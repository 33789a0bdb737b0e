//! The journal as its users see it: records go in and come out, cursors hold, readers wait, folders are held.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use journal::{Clock, Config, Cursor, Error, Journal, NewRecord};
use tempfile::TempDir;

const TOPICS: &[(&str, u32)] = &[("events", 2), ("commands", 1)];

fn open(folder: &TempDir) -> Journal {
    Journal::open(Config::new(folder.path()), TOPICS).unwrap()
}

fn values(values: &[&str]) -> Vec<NewRecord> {
    values.iter().map(|value| NewRecord::of_value(value.as_bytes().to_vec())).collect()
}

/// A clock that shows what it is set to.
fn settable_clock(start_ms: u64) -> (Clock, Arc<AtomicU64>) {
    let now_ms = Arc::new(AtomicU64::new(start_ms));
    let shown = Arc::clone(&now_ms);
    (Arc::new(move || shown.load(Ordering::SeqCst)), now_ms)
}

#[test]
fn records_come_back_as_they_went_in_also_after_reopening() {
    let folder = TempDir::new().unwrap();
    let records = vec![
        NewRecord {
            key: Some(Bytes::from_static(b"key")),
            value: Some(Bytes::from_static(b"value")),
            headers: vec![("a".into(), b"1".to_vec()), ("a".into(), Vec::new()), ("ü".into(), vec![0, 255])],
        },
        NewRecord { key: Some(Bytes::new()), value: None, headers: Vec::new() },
        NewRecord { key: None, value: Some(Bytes::new()), headers: Vec::new() },
        NewRecord::of_value(vec![7; 1 << 20]),
    ];
    let journal = open(&folder);
    let appended = journal.append("events", 1, records.clone()).unwrap();
    assert_eq!(appended.first_offset, 0);
    journal.close();

    let journal = open(&folder);
    let read = journal.read("events", 1, 0, usize::MAX).unwrap();
    assert_eq!(read.len(), records.len());
    for (offset, (read, record)) in (0..).zip(read.iter().zip(&records)) {
        assert_eq!((read.offset, read.timestamp_ms), (offset, appended.timestamp_ms));
        assert_eq!((&read.key, &read.value), (&record.key, &record.value));
        let headers: Vec<_> =
            read.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        assert_eq!(headers, record.headers);
    }
    assert_eq!(read[0].headers.get("a"), Some(&b"1"[..]));
    assert_eq!(read[0].headers.get("b"), None);
    assert_eq!(journal.append("events", 1, values(&["next"])).unwrap().first_offset, 4);
    assert_eq!(journal.read("events", 0, 0, usize::MAX).unwrap(), []);
}

#[test]
fn a_read_stops_before_its_bound_but_gives_at_least_one_record() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let thousand = vec![NewRecord::of_value(vec![1; 1_000]); 1_000];
    journal.append("events", 0, thousand).unwrap();
    assert_eq!(journal.read("events", 0, 0, 0).unwrap().len(), 1);
    // A record takes 1,009 bytes as stored: length, flags, length of no headers, value.
    assert_eq!(journal.read("events", 0, 998, 1_009).unwrap().len(), 1);
    assert_eq!(journal.read("events", 0, 500, 10_090).unwrap().len(), 10);
    assert_eq!(journal.read("events", 0, 500, 10_089).unwrap().len(), 9);
    assert_eq!(journal.read("events", 0, 0, usize::MAX).unwrap().len(), 1_000);
    assert_eq!(journal.read("events", 0, 1_000, usize::MAX).unwrap(), []);
    let beyond = journal.read("events", 0, 1_001, 1).unwrap_err();
    assert!(matches!(beyond, Error::BeyondEnd { offset: 1_001, end: 1_000, .. }), "{beyond:?}");
}

#[test]
fn concurrent_appends_get_offsets_without_holes() {
    const THREADS: u64 = 16;
    const APPENDS: u64 = 25;
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = &journal;
            scope.spawn(move || {
                for append in 0..APPENDS {
                    let value = format!("{thread} {append}");
                    let appended = journal.append("events", 0, values(&[&value, &value])).unwrap();
                    let read = journal.read("events", 0, appended.first_offset, usize::MAX).unwrap();
                    assert_eq!(read[0].value.as_deref(), Some(value.as_bytes()));
                    assert_eq!(read[1].value.as_deref(), Some(value.as_bytes()));
                }
            });
        }
    });
    let read = journal.read("events", 0, 0, usize::MAX).unwrap();
    assert_eq!(read.len(), usize::try_from(THREADS * APPENDS * 2).unwrap());
    assert!(read.iter().zip(0..).all(|(record, offset)| record.offset == offset));
    assert!(read.is_sorted_by_key(|record| record.timestamp_ms));
}

#[test]
fn timestamps_do_not_go_back_with_the_clock() {
    let folder = TempDir::new().unwrap();
    let (clock, now_ms) = settable_clock(5_000);
    let open = || Journal::open_with_clock(Config::new(folder.path()), TOPICS, Arc::clone(&clock)).unwrap();
    let journal = open();
    let append = |at_ms, journal: &Journal| {
        now_ms.store(at_ms, Ordering::SeqCst);
        journal.append("events", 0, values(&["x"])).unwrap().timestamp_ms
    };
    assert_eq!(append(5_000, &journal), 5_000);
    assert_eq!(append(4_000, &journal), 5_000);
    drop(journal);
    let journal = open();
    assert_eq!(append(4_500, &journal), 5_000);
    assert_eq!(append(6_000, &journal), 6_000);
    let read = journal.read("events", 0, 0, usize::MAX).unwrap();
    assert_eq!(
        read.iter().map(|record| record.timestamp_ms).collect::<Vec<_>>(),
        [5_000, 5_000, 5_000, 6_000]
    );
}

#[test]
fn cursors_are_kept_by_group_and_partition() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    journal.append("events", 0, values(&["a", "b"])).unwrap();
    assert_eq!(journal.committed("billing", "events", 0).unwrap(), None);
    let cursors = vec![Cursor::new("events", 0, 2, "through b"), Cursor::new("commands", 0, 0, "none")];
    journal.commit("billing", cursors).unwrap();
    journal.commit("audit", vec![Cursor::new("events", 0, 1, "")]).unwrap();
    drop(journal);
    let journal = open(&folder);
    assert_eq!(journal.committed("billing", "events", 0).unwrap(), Some((2, "through b".into())));
    assert_eq!(journal.committed("billing", "commands", 0).unwrap(), Some((0, "none".into())));
    assert_eq!(journal.committed("audit", "events", 0).unwrap(), Some((1, String::new())));
    assert_eq!(journal.committed("audit", "events", 1).unwrap(), None);
}

#[test]
fn a_refused_commit_moves_none_of_its_cursors() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    journal.append("events", 0, values(&["a"])).unwrap();
    let cursors = vec![Cursor::new("events", 0, 1, ""), Cursor::new("events", 1, 1, "")];
    let refused = journal.commit("billing", cursors).unwrap_err();
    assert!(matches!(refused, Error::BeyondEnd { partition: 1, offset: 1, end: 0, .. }), "{refused:?}");
    assert_eq!(journal.committed("billing", "events", 0).unwrap(), None);

    let longest = "x".repeat(4_096);
    journal.commit("billing", vec![Cursor::new("events", 0, 1, longest.clone())]).unwrap();
    let refused = journal.commit("billing", vec![Cursor::new("events", 0, 0, longest.clone() + "x")]);
    assert!(matches!(refused, Err(Error::TooLarge { size: 4_097, .. })), "{refused:?}");
    assert_eq!(journal.committed("billing", "events", 0).unwrap(), Some((1, longest)));
}

/// Ten blocks of one record each, at 1 s, 2 s … 10 s; everything is beyond both bounds at 100 s.
fn ten_old_blocks(folder: &TempDir) -> Journal {
    let (clock, now_ms) = settable_clock(0);
    let config = Config { retention_age_ms_max: 50_000, ..Config::new(folder.path()) };
    let journal = Journal::open_with_clock(config, TOPICS, clock).unwrap();
    for second in 1..=10 {
        now_ms.store(second * 1_000, Ordering::SeqCst);
        journal.append("events", 0, values(&["x"])).unwrap();
    }
    now_ms.store(100_000, Ordering::SeqCst);
    journal
}

#[test]
fn retention_never_passes_the_slowest_cursor() {
    let folder = TempDir::new().unwrap();
    let journal = ten_old_blocks(&folder);
    assert_eq!(journal.trim().unwrap(), 0);
    assert_eq!(journal.low("events", 0).unwrap(), 0);

    journal.commit("billing", vec![Cursor::new("events", 0, 7, "")]).unwrap();
    assert_eq!(journal.low("events", 0).unwrap(), 7);
    journal.commit("audit", vec![Cursor::new("events", 0, 3, "")]).unwrap();
    journal.commit("billing", vec![Cursor::new("events", 0, 10, "")]).unwrap();
    assert_eq!(journal.low("events", 0).unwrap(), 7);
    journal.commit("audit", vec![Cursor::new("events", 0, 8, "")]).unwrap();
    assert_eq!(journal.low("events", 0).unwrap(), 8);

    let missing = journal.read("events", 0, 5, usize::MAX).unwrap_err();
    assert_eq!(missing.to_string(), "offsets 5 to 7 of events/0 are no longer kept; the oldest one is 8");
    assert_eq!(journal.read("events", 0, 8, usize::MAX).unwrap().len(), 2);
}

#[test]
fn offsets_go_on_after_everything_was_dropped() {
    let folder = TempDir::new().unwrap();
    let journal = ten_old_blocks(&folder);
    journal.commit("billing", vec![Cursor::new("events", 0, 10, "")]).unwrap();
    assert_eq!((journal.low("events", 0).unwrap(), journal.end("events", 0).unwrap()), (10, 10));
    assert_eq!(journal.read("events", 0, 10, usize::MAX).unwrap(), []);
    drop(journal);
    let journal = open(&folder);
    assert_eq!((journal.low("events", 0).unwrap(), journal.end("events", 0).unwrap()), (10, 10));
    assert_eq!(journal.append("events", 0, values(&["x"])).unwrap().first_offset, 10);
    assert_eq!(journal.read("events", 0, 10, usize::MAX).unwrap().len(), 1);
}

#[test]
fn the_bound_on_bytes_drops_the_oldest_blocks_of_all_partitions() {
    let folder = TempDir::new().unwrap();
    let (clock, now_ms) = settable_clock(0);
    // A block of one record of 1,000 bytes takes 1,029 with its head and the record's: three fit, four do not.
    let config = Config { retention_bytes_max: 4_000, ..Config::new(folder.path()) };
    let journal = Journal::open_with_clock(config, TOPICS, clock).unwrap();
    for (second, partition) in (1..).zip([1, 0, 1, 0, 0, 1]) {
        now_ms.store(second, Ordering::SeqCst);
        journal.append("events", partition, vec![NewRecord::of_value(vec![0; 1_000])]).unwrap();
    }
    let lows = || [0, 1].map(|partition| journal.low("events", partition).unwrap());
    assert_eq!(lows(), [0, 0]);
    journal
        .commit("billing", vec![Cursor::new("events", 0, 3, ""), Cursor::new("events", 1, 3, "")])
        .unwrap();
    // Of the blocks at 1 to 6 ms the last three stay: partition 0 has those at 4 and 5, partition 1 that at 6.
    assert_eq!(lows(), [1, 2]);
}

#[test]
fn a_topic_may_grow_but_not_shrink() {
    let folder = TempDir::new().unwrap();
    let open =
        |partitions| Journal::open(Config::new(folder.path()), &[("other", 1), ("events", partitions)]);
    let journal = open(2).unwrap();
    journal.append("events", 1, values(&["kept"])).unwrap();
    let unknown = journal.append("events", 2, values(&["x"])).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no partition 2 in topic events, which has 2");
    drop(journal);
    let journal = open(4).unwrap();
    assert_eq!(journal.append("events", 3, values(&["x"])).unwrap().first_offset, 0);
    assert_eq!(journal.append("events", 1, values(&["x"])).unwrap().first_offset, 1);
    drop(journal);
    let refused = open(3).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "topic events has 4 partitions and cannot shrink to 3; ask for at least 4"
    );
    // The refusal gave the folder up again.
    let journal = Journal::open(Config::new(folder.path()), &[]).unwrap();
    assert_eq!(journal.partitions("events").unwrap(), 4);
    assert_eq!(journal.end("events", 1).unwrap(), 2);
}

#[test]
fn a_second_opener_is_told_who_holds_the_folder() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let refused = Journal::open(Config::new(folder.path()), TOPICS).unwrap_err().to_string();
    assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
    assert!(refused.contains(&format!("in use by process {} (journal-", std::process::id())), "{refused}");
    journal.close();
    open(&folder);
}

#[test]
fn a_waiting_thread_and_a_waiting_task_wake_when_the_record_is_there() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let far = Instant::now() + Duration::from_secs(600);
    assert!(!journal.wait("events", 0, 0, Instant::now()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| journal.wait("events", 0, 1, far).unwrap());
        let task = scope.spawn(|| runtime.block_on(journal.wait_async("events", 0, 1)).unwrap());
        journal.append("events", 1, values(&["elsewhere", "elsewhere"])).unwrap();
        journal.append("events", 0, values(&["first"])).unwrap();
        assert!(!thread.is_finished() && !task.is_finished());
        journal.append("events", 0, values(&["second"])).unwrap();
        assert!(thread.join().unwrap());
        task.join().unwrap();
    });
    assert!(journal.wait("events", 0, 1, Instant::now()).unwrap());
}

#[test]
fn tasks_append_and_commit_together() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut offsets: Vec<u64> = runtime.block_on(async {
        let appends: Vec<_> = (0..200)
            .map(|_| {
                let journal = journal.clone();
                tokio::spawn(async move { journal.append_async("events", 0, values(&["x"])).await.unwrap() })
            })
            .collect();
        let mut offsets = Vec::new();
        for append in appends {
            offsets.push(append.await.unwrap().first_offset);
        }
        journal.commit_async("billing", vec![Cursor::new("events", 0, 200, "all")]).await.unwrap();
        offsets
    });
    offsets.sort_unstable();
    assert!(offsets.into_iter().eq(0..200));
    assert_eq!(journal.committed("billing", "events", 0).unwrap(), Some((200, "all".into())));
}

#[test]
fn closing_wakes_who_waits_and_refuses_who_comes_later() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    let far = Instant::now() + Duration::from_secs(600);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| journal.wait("events", 0, 0, far));
        journal.close();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Closed { .. })));
    });
    let closed = [
        journal.append("events", 0, values(&["x"])).map(|_| ()),
        journal.commit("billing", Vec::new()),
        journal.read("events", 0, 0, 1).map(|_| ()),
    ];
    assert!(closed.iter().all(|outcome| matches!(outcome, Err(Error::Closed { .. }))), "{closed:?}");
    journal.close();
}

#[test]
fn what_cannot_be_stored_is_refused_before_it_is_queued() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder);
    assert!(matches!(journal.append("events", 0, Vec::new()), Err(Error::Empty)));
    assert!(matches!(journal.append("nothing", 0, values(&["x"])), Err(Error::UnknownTopic { .. })));
    let large = Bytes::from(vec![0; 17 << 20]);
    let four = vec![NewRecord::of_value(large.clone()); 4];
    assert!(matches!(journal.append("events", 0, four), Err(Error::TooLarge { .. })));
    let name = NewRecord { headers: vec![("n".repeat(65_536), Vec::new())], ..NewRecord::default() };
    assert!(matches!(journal.append("events", 0, vec![name]), Err(Error::TooLarge { .. })));
    assert_eq!(journal.append("events", 0, vec![NewRecord::of_value(large); 3]).unwrap().first_offset, 0);
}

//! Measures how many records of 650 bytes a second a journal takes and gives, in the folder given or a temporary
//! one: appended in batches, appended one by one from 64 threads, and read from start to end.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use journal::{Config, Journal, NewRecord};

const RECORD_BYTES: usize = 650;
const BATCH_RECORDS: usize = 5_000;
const THREADS: usize = 64;
const DURATION: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let journal = Journal::open(Config::new(&folder), &[("batches", 2), ("singles", 1)])?;
    let record = NewRecord::of_value(noise(RECORD_BYTES));

    let start = Instant::now();
    std::thread::scope(|scope| {
        for partition in 0..2 {
            let (journal, record) = (&journal, &record);
            scope.spawn(move || {
                append_until(journal, "batches", partition, &vec![record.clone(); BATCH_RECORDS]);
            });
        }
    });
    let batches = journal.end("batches", 0)? + journal.end("batches", 1)?;
    report("appended in batches of 5,000 from 2 threads", batches, start.elapsed());

    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| append_until(&journal, "singles", 0, std::slice::from_ref(&record)));
        }
    });
    report("appended one by one from 64 threads", journal.end("singles", 0)?, start.elapsed());

    journal.close();
    drop(journal);
    let start = Instant::now();
    let journal = Journal::open(Config::new(folder), &[])?;
    println!("reopened in {:?}", start.elapsed());
    for pass in ["read for the first time", "read again"] {
        let start = Instant::now();
        let mut next = 0;
        while let Some(last) = journal.read("batches", 0, next, 4 << 20)?.last() {
            next = last.offset + 1;
        }
        report(pass, next, start.elapsed());
    }
    Ok(())
}

/// Appends the same records again and again; a failure ends the measurement with a message.
fn append_until(journal: &Journal, topic: &str, partition: u32, records: &[NewRecord]) {
    let deadline = Instant::now() + DURATION;
    while Instant::now() < deadline {
        if let Err(error) = journal.append(topic, partition, records.to_vec()) {
            println!("cannot append: {error}");
            return;
        }
    }
}

fn report(what: &str, records: u64, took: Duration) {
    let per_second = u128::from(records) * 1_000_000 / took.as_micros().max(1);
    println!("{what}: {records} records in {took:.1?}, {per_second} records/s");
}

/// Bytes that do not compress (xorshift).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

//! Goal: a process that is killed at any moment loses nothing that it was told is stored.
//! Method: this binary starts itself as a child that appends from several threads and moves two cursors in one
//! commit, and prints each acknowledgment. The parent kills it in the middle of that, again and again over the
//! same folder, and looks for everything that was printed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use journal::{Config, Cursor, Journal, NewRecord};

const FOLDER: &str = "JOURNAL_KILL_TEST_FOLDER";
const TOPICS: &[(&str, u32)] = &[("events", 2)];
const KILLS: u64 = 25;

/// What the child was told.
#[derive(Clone, Debug)]
enum Acknowledged {
    /// `append <partition> <first offset> <count> <writer> <serial>`
    Append { partition: u32, first_offset: u64, count: u64, tag: String },
    /// `commit <number>`
    Commit { number: u64 },
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        // From the very first acknowledgment to some hundred later, in an order that looks random.
        acknowledged.extend(run_and_kill(folder.path(), kill * 7_919 % 151));
        let journal = Journal::open(Config::new(folder.path()), TOPICS).unwrap();
        assert_holds(&journal, &acknowledged);
    }
    assert!(acknowledged.len() > 1_000, "only {} acknowledgments were seen", acknowledged.len());
}

/// Not a test by itself: the child of the one above, which does nothing without the folder it is given there.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let journal = Journal::open(Config::new(folder), TOPICS).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let journal = &journal;
            scope.spawn(move || append_for_ever(journal, writer));
        }
        commit_for_ever(&journal);
    });
}

fn append_for_ever(journal: &Journal, writer: u32) {
    let partition = writer % 2;
    let start = journal.end("events", partition).unwrap();
    for serial in 0.. {
        let tag = format!("{writer}-{start}-{serial}");
        let count = 1 + serial % 40;
        let records = (0..count).map(|number| record(&tag, number)).collect();
        let first_offset = journal.append("events", partition, records).unwrap().first_offset;
        println!("append {partition} {first_offset} {count} {tag}");
    }
}

/// Both cursors move in one commit and bear its number.
fn commit_for_ever(journal: &Journal) {
    let last = journal.committed("billing", "events", 0).unwrap();
    let last = last.map_or(0, |(_, metadata)| metadata.parse::<u64>().unwrap());
    for number in last + 1.. {
        let cursors = [0, 1].map(|partition| Cursor::new("events", partition, 0, number.to_string()));
        journal.commit("billing", cursors.to_vec()).unwrap();
        println!("commit {number}");
    }
}

fn record(tag: &str, number: u64) -> NewRecord {
    let filler = "x".repeat(usize::try_from(number * 97 % 2_000).unwrap());
    NewRecord {
        key: Some(tag.to_owned().into()),
        value: Some(format!("{tag} {number} {filler}").into()),
        headers: vec![("number".to_owned(), number.to_le_bytes().to_vec())],
    }
}

/// Lets a child run until it has printed this many acknowledgments, and then kills it. Tells all that it printed.
fn run_and_kill(folder: &Path, acknowledgments: u64) -> Vec<Acknowledged> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    let mut seen = 0;
    while seen <= acknowledgments {
        let start = lines.len();
        assert_ne!(output.read_line(&mut lines).unwrap(), 0, "the child ended by itself, after: {lines}");
        seen += u64::from(parse(&lines[start..]).is_some());
    }
    kill(&mut child);
    output.read_to_string(&mut lines).unwrap();
    lines.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(parse).collect()
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// `None` for a line of the test harness.
fn parse(line: &str) -> Option<Acknowledged> {
    let words: Vec<_> = line.split_whitespace().collect();
    match words[..] {
        ["append", partition, first_offset, count, tag] => Some(Acknowledged::Append {
            partition: partition.parse().ok()?,
            first_offset: first_offset.parse().ok()?,
            count: count.parse().ok()?,
            tag: tag.to_owned(),
        }),
        ["commit", number] => Some(Acknowledged::Commit { number: number.parse().ok()? }),
        _ => None,
    }
}

fn assert_holds(journal: &Journal, acknowledged: &[Acknowledged]) {
    let read = [0, 1].map(|partition| journal.read("events", partition, 0, usize::MAX).unwrap());
    for (partition, read) in (0..).zip(&read) {
        assert!(read.iter().zip(0..).all(|(record, offset)| record.offset == offset), "there is a hole");
        assert_eq!(u64::try_from(read.len()).unwrap(), journal.end("events", partition).unwrap());
    }
    let mut last_commit = 0;
    for acknowledgment in acknowledged {
        match acknowledgment {
            Acknowledged::Commit { number } => last_commit = last_commit.max(*number),
            Acknowledged::Append { partition, first_offset, count, tag } => {
                for number in 0..*count {
                    let offset = usize::try_from(first_offset + number).unwrap();
                    let stored = read[usize::try_from(*partition).unwrap()].get(offset);
                    let stored = stored.unwrap_or_else(|| panic!("{acknowledgment:?} is lost"));
                    let sent = record(tag, number);
                    assert_eq!((&stored.key, &stored.value), (&sent.key, &sent.value), "{acknowledgment:?}");
                    assert_eq!(stored.headers.get("number"), Some(&number.to_le_bytes()[..]));
                }
            }
        }
    }
    let cursors = [0, 1].map(|partition| journal.committed("billing", "events", partition).unwrap());
    assert_eq!(cursors[0], cursors[1], "one cursor moved without the other");
    let last_kept = cursors[0].as_ref().map_or(0, |(_, metadata)| metadata.parse::<u64>().unwrap());
    assert!(last_kept >= last_commit, "commit {last_commit} is lost, {last_kept} is the last one kept");
}

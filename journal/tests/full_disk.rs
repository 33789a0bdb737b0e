//! Goal: where the system has no room left, appends fail with a clear error, nothing half-written shows, and what
//! was acknowledged stays readable; with room again, the journal goes on.
//! Method: a file system of 24 MB in memory, where this process may mount one; everywhere, a child process that
//! the shell allows only files of 24 MB.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::fs;
use std::path::Path;
use std::process::Command;

use journal::{Config, Error, Journal, NewRecord};

const FOLDER: &str = "JOURNAL_FULL_DISK_TEST_FOLDER";
const ROOM_BYTES: u64 = 24 << 20;

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    // `ulimit` counts blocks of 512 bytes; an ignored signal stays ignored in the program that replaces the shell.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", ROOM_BYTES / 512);
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_fills_its_disk", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let end = printed.lines().find_map(|line| line.strip_prefix("acknowledged ")).unwrap();

    // Without the limit it goes on where it stood.
    let journal = open(folder.path());
    let end: u64 = end.parse().unwrap();
    assert_holds(&journal, end);
    assert_eq!(append(&journal, end).unwrap(), end);
}

/// Not a test by itself: the child of the one above, which does nothing without the folder it is given there.
#[test]
fn child_that_fills_its_disk() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let journal = open(Path::new(&folder));
    println!("acknowledged {}", fill(&journal));
}

#[test]
fn a_full_file_system_takes_appends_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::over(folder.path()) else {
        println!("may not mount: the limit on the size of files has to do");
        return;
    };
    let filler = folder.path().join("filler");
    fs::write(&filler, vec![1; 8 << 20]).unwrap();
    let data = folder.path().join("data");
    let journal = open(&data);
    let end = fill(&journal);

    fs::remove_file(filler).unwrap();
    assert_eq!(append(&journal, end).unwrap(), end);
    let end = fill(&journal);
    journal.close();
    drop(journal);
    // A full disk does not keep the journal from being opened and read.
    assert_holds(&open(&data), end);
}

fn open(folder: &Path) -> Journal {
    Journal::open(Config::new(folder), &[("events", 1)]).unwrap()
}

/// Appends until there is no room, and tells the end of what was acknowledged.
fn fill(journal: &Journal) -> u64 {
    let mut end = journal.end("events", 0).unwrap();
    let refused = loop {
        match append(journal, end) {
            Ok(_) => end += 100,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused:?}");
    assert!(end > 0);
    assert_eq!(journal.end("events", 0).unwrap(), end);
    assert_holds(journal, end);
    assert!(matches!(append(journal, end), Err(Error::Full { .. })));
    end
}

/// Appends 100 records of 4 kB that tell their offset.
fn append(journal: &Journal, first_offset: u64) -> Result<u64, Error> {
    let records =
        (first_offset..first_offset + 100).map(|offset| NewRecord::of_value(value(offset))).collect();
    journal.append("events", 0, records).map(|appended| appended.first_offset)
}

fn value(offset: u64) -> Vec<u8> {
    let mut value = offset.to_le_bytes().to_vec();
    value.resize(4_000, u8::try_from(offset % 251).unwrap());
    value
}

fn assert_holds(journal: &Journal, end: u64) {
    let read = journal.read("events", 0, 0, usize::MAX).unwrap();
    assert_eq!(u64::try_from(read.len()).unwrap(), end);
    for (record, offset) in read.iter().zip(0..) {
        assert_eq!(record.value.as_deref(), Some(&value(offset)[..]));
    }
}

/// A small file system in memory over a folder, taken away when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn over(folder: &'a Path) -> Option<Mounted<'a>> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={ROOM_BYTES}"), "tmpfs"]).arg(folder);
        mount.status().is_ok_and(|status| status.success()).then_some(Mounted(folder))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

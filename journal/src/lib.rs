//! An embedded durable log: topics of one or more partitions, and a cursor per reader group and partition.
//! It serves one process, knows nothing of what its records mean, and speaks no network protocol.
//!
//! - **An acknowledged append is on disk.** One writer thread gathers what arrives within a few milliseconds
//!   from any number of threads and tasks, writes it as one transaction over all topics, and answers when that
//!   is synced. An append is stored whole or not at all.
//! - **Offsets have no holes.** They start at 0 in each partition. Timestamps are the log's own and never go
//!   back within a partition, even where the clock does.
//! - **Retention never passes a cursor.** What a group has not committed stays, whatever the bounds say, and so
//!   does everything in a partition for which no group has committed yet.
//! - **A failed disk is never talked over.** Where a write fails (the disk is full, say), the appends of that
//!   transaction get an error, the store is opened anew, and the next append tries again. Where a sync fails,
//!   nobody knows what is on disk: the journal stops until it is opened again.
//!
//! ```no_run
//! # fn main() -> Result<(), journal::Error> {
//! use journal::{Config, Cursor, Journal, NewRecord};
//! let journal = Journal::open(Config::new("./data"), &[("events", 4)])?;
//! let appended = journal.append("events", 0, vec![NewRecord::of_value("hello")])?;
//! for record in journal.read("events", 0, appended.first_offset, 1 << 20)? {
//!     println!("{} {:?}", record.offset, record.value);
//! }
//! journal.commit("billing", vec![Cursor::new("events", 0, appended.first_offset + 1, "")])?;
//! # Ok(()) }
//! ```
//!
//! # How it is stored
//! Everything is one [`redb`] file. The records that one transaction adds to a partition are concatenated into
//! blocks of at most 256 KiB, each one value under its first offset, so a transaction costs a few B-tree
//! inserts however many records it holds, and a reader shares one buffer among all records of a block.
//!
//! redb was weighed against the LSM tree fjall. Both commit a few hundred times a second on a plain disk and
//! 150 to 300 MB/s of large blocks, which is far above what is needed, so other properties decided. redb writes
//! a block once, where a log-structured tree writes it to its journal and again to a table, and frees it
//! without compaction; its copy-on-write commit needs no log to replay; and it takes its file through a trait, which is how a failed
//! sync is told from a failed write here, and how the tests lose power at any write. Commits are two-phase with
//! the allocator's state included (`quick_repair`): the second sync halves the number of commits per second,
//! which group commit makes up for, and a start after `kill -9` takes milliseconds at any size of the file.
//!
//! The file keeps the size it once had: freed pages are used again, not returned to the file system.

mod backend;
mod block;
mod config;
mod error;
mod folder;
mod handle;
mod partition;
mod plan;
mod queue;
mod record;
mod retention;
mod store;
mod tables;
mod writer;

#[cfg(test)]
mod fault_tests;

pub use config::{Clock, Config};
pub use error::Error;
pub use handle::{Appended, Cursor, Journal};
pub use record::{Headers, NewRecord, Record};

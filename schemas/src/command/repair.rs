//! The command that records a repair: it was carried out offline, where no command could be, and changes nothing any
//! more.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Body of `record_repair`: what `tollbook audit --repair` did to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRepair {
    /// Why, in the words of who did it.
    pub reason: String,
    /// When, in milliseconds since 1970, by the store's clock.
    pub repaired_at: i64,
    /// Topic of the partition.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// `point`, `complete` or `lose`.
    pub action: String,
    /// First offset of the range that it is about.
    pub first: u64,
    /// Where the range ends.
    pub next: u64,
    /// Offsets of the range that are in neither log nor ledger.
    pub lost: u64,
    /// What group, ledger and log said before, as JSON.
    pub seen: String,
}

impl fmt::Display for RecordRepair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, action, first, next, lost, .. } = self;
        write!(formatter, "repair of {topic}/{partition}: {action} [{first}, {next})")?;
        if *lost > 0 { write!(formatter, ", {lost} offsets lost") } else { Ok(()) }
    }
}

//! The intent: what a batch is and all that its outcome depends on, kept beside the committed offset before any
//! row is written, so that whoever continues makes the same rows.

use ledger::event::Millis;
use serde::{Deserialize, Serialize};

/// Bytes that a broker keeps beside an offset.
pub const METADATA_BYTES_MAX: usize = 4096;
/// Version of the decoder and of all that follows it up to the rows. A change that can turn the same record into
/// other rows takes the next number.
pub const DECODER: u32 = 2;

/// The format that this version writes. The first knew no batch of holes alone, the second no lease.
const FORMAT: u32 = 3;

/// One batch of a partition: `[first, next)` and what its outcome depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// First offset of the batch; the committed offset.
    pub first: u64,
    /// Where the next batch begins.
    pub next: u64,
    /// Records in the batch; 0 also where every offset of it is a hole.
    pub count: u64,
    /// The last record of the batch.
    pub last: Option<Mark>,
    /// The last record before the batch, which tells whether the log is still the same.
    pub before: Option<Mark>,
    /// Commands with a smaller offset are in force.
    pub commands_through: u64,
    /// When the rows say that they were recorded.
    pub recorded_at: Millis,
    /// Offsets back within which a repeat is dropped.
    pub dedup_window: u64,
    /// Version of the decoder that chose the batch.
    pub decoder: u32,
    /// How long a lease its writer takes, in milliseconds; 0 where an earlier format does not say. A new owner waits
    /// that long, whatever its own lease is.
    pub lease_ms: u64,
}

/// A record by its place and the digest of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its offset.
    pub offset: u64,
    /// Digest of its bytes.
    pub digest: u64,
}

/// Why the metadata beside an offset is no intent of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there, or something else wrote it.
    #[error("the metadata beside the committed offset is not Tollbook's: {0:?}")]
    Foreign(String),
    /// A later version wrote it.
    #[error("the intent has format {0}, this version reads format {FORMAT}: use the tollbook that wrote it")]
    Later(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    tollbook: u32,
    next: u64,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Mark>,
    commands_through: u64,
    recorded_at: i64,
    dedup_window: u64,
    decoder: u32,
    #[serde(default)]
    lease_ms: u64,
}

#[derive(Deserialize)]
struct Format {
    tollbook: u32,
}

impl Intent {
    /// The intent as the text that is committed beside `first`.
    #[must_use]
    pub fn metadata(&self) -> String {
        let wire = Wire {
            tollbook: FORMAT,
            next: self.next,
            count: self.count,
            last: self.last,
            before: self.before,
            commands_through: self.commands_through,
            recorded_at: self.recorded_at.0,
            dedup_window: self.dedup_window,
            decoder: self.decoder,
            lease_ms: self.lease_ms,
        };
        // A struct of numbers always serializes.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads the intent back from what is committed.
    ///
    /// # Errors
    /// Where the metadata is foreign or of a later format.
    pub fn parse(first: u64, metadata: &str) -> Result<Self, Error> {
        let foreign = |_| Error::Foreign(metadata.chars().take(80).collect());
        let format: Format = serde_json::from_str(metadata).map_err(foreign)?;
        if format.tollbook > FORMAT {
            return Err(Error::Later(format.tollbook));
        }
        let wire: Wire = serde_json::from_str(metadata).map_err(foreign)?;
        Ok(Self {
            first,
            next: wire.next,
            count: wire.count,
            last: wire.last,
            before: wire.before,
            commands_through: wire.commands_through,
            recorded_at: Millis(wire.recorded_at),
            dedup_window: wire.dedup_window,
            decoder: wire.decoder,
            lease_ms: wire.lease_ms,
        })
    }

    /// Whether it names no offset, and only says how far the partition is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.first == self.next
    }

    /// The mark that the batch after this one names as the record before it.
    #[must_use]
    pub fn mark_after(&self) -> Option<Mark> {
        self.last.or(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Intent {
        Intent {
            first: u64::MAX - 9,
            next: u64::MAX,
            count: u64::MAX,
            last: Some(Mark { offset: u64::MAX, digest: u64::MAX }),
            before: Some(Mark { offset: u64::MAX, digest: u64::MAX }),
            commands_through: u64::MAX,
            recorded_at: Millis(i64::MIN),
            dedup_window: u64::MAX,
            decoder: u32::MAX,
            lease_ms: u64::MAX,
        }
    }

    #[test]
    fn an_intent_reads_back_and_fits_beside_an_offset_however_large_its_numbers() {
        let metadata = intent().metadata();
        assert!(metadata.len() < METADATA_BYTES_MAX, "{}", metadata.len());
        assert_eq!(Intent::parse(u64::MAX - 9, &metadata).unwrap(), intent());
    }

    #[test]
    fn a_batch_of_holes_alone_is_not_empty_and_one_of_no_offsets_is() {
        let holes = Intent { first: 4, next: 6, count: 0, last: None, ..intent() };
        assert!(!holes.is_empty());
        assert_eq!(Intent::parse(4, &holes.metadata()).unwrap(), holes);
        assert!(Intent { next: 4, ..holes }.is_empty());
    }

    #[test]
    fn an_intent_of_an_earlier_format_says_nothing_of_its_lease() {
        let text = intent().metadata().replace("\"tollbook\":3", "\"tollbook\":1");
        let earlier = text.replace(&format!(",\"lease_ms\":{}", u64::MAX), "");
        assert_eq!(Intent::parse(u64::MAX - 9, &earlier).unwrap(), Intent { lease_ms: 0, ..intent() });
    }

    #[test]
    fn foreign_metadata_is_told_from_a_later_format() {
        assert!(matches!(Intent::parse(0, ""), Err(Error::Foreign(_))));
        assert!(matches!(Intent::parse(0, "connect-cluster"), Err(Error::Foreign(_))));
        assert!(matches!(Intent::parse(0, "{\"tollbook\":4}"), Err(Error::Later(4))));
    }
}

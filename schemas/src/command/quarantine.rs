//! Commands about records in quarantine: what becomes of them, and where the event of a replay lies.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A record of the log by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordId {
    /// Topic of the record.
    pub topic: String,
    /// Partition of the topic.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
}

impl RecordId {
    /// Reads `topic/partition/offset`; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let offset = whole(parts.next()?)?;
        let partition = u32::try_from(whole(parts.next()?)?).ok()?;
        let topic = parts.next().filter(|topic| !topic.is_empty())?;
        Some(Self { topic: topic.to_owned(), partition, offset })
    }
}

/// A number in its one spelling, so that a record has one id.
fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// What becomes of records in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// They are sent again.
    Replay,
    /// They are let go.
    Discard,
}

/// Body of [`Command::ResolveQuarantine`](super::Command::ResolveQuarantine). A record that an earlier command
/// resolved stays as that one left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveQuarantine {
    /// What becomes of the records.
    pub resolution: Resolution,
    /// The records; none twice.
    pub records: Vec<ResolvedRecord>,
    /// Why, in words; empty for nothing said.
    pub note: String,
}

/// One record of [`ResolveQuarantine`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedRecord {
    /// Which record.
    pub record: RecordId,
    /// The JSON text of the event that a replay sends in its place; `None` where the stored bytes are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

/// Body of [`Command::ConfirmReplays`](super::Command::ConfirmReplays): the events of replays lie in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmReplays {
    /// The replays.
    pub replays: Vec<LoggedReplay>,
}

/// One replay of [`ConfirmReplays`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedReplay {
    /// The record in quarantine.
    pub record: RecordId,
    /// The record that was appended for it.
    pub logged: RecordId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling_and_reads_back() {
        let id = RecordId::parse("usage.events/3/17").unwrap();
        assert_eq!(id, RecordId { topic: "usage.events".to_owned(), partition: 3, offset: 17 });
        assert_eq!(id.to_string(), "usage.events/3/17");
        for text in ["", "a/1", "/1/2", "a/01/2", "a/1/+2", "a/1/-2", "a/4294967296/0", "a/1/2/"] {
            assert_eq!(RecordId::parse(text), None, "{text}");
        }
    }
}

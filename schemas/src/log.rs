//! What a log is to those who append to it: the Kafka cluster or the embedded journal. An append is answered
//! once it is durable; reading belongs to the worker's sources.

use std::fmt;

use futures::future::BoxFuture;

/// The default topic of usage events.
pub const USAGE_TOPIC: &str = "usage.events";
/// The topic of commands; it has one partition, so commands have one total order.
pub const COMMANDS_TOPIC: &str = "tollbook.commands";
/// Header of a record whose secrets were redacted before it was logged.
pub const REDACTED_HEADER: &str = "tollbook-redacted";
/// Header of a record that was cut short before it was logged, because it is larger than an event may be: the
/// length of the whole in bytes, a space, and its SHA-256 in hexadecimal.
pub const TRUNCATED_HEADER: &str = "tollbook-truncated";
/// Header of a record that was sent again from quarantine: the `topic/partition/offset` that it replays.
pub const REPLAYS_HEADER: &str = "tollbook-replays";
/// Header that names the encoding of a record's value.
pub const CONTENT_TYPE_HEADER: &str = "content-type";

/// A record on its way to the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// Decides the partition; records with one key stay in order.
    pub key: Option<Vec<u8>>,
    /// The record itself; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Header names and values.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Where a record is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Partition of the topic.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
}

/// Why an append was not acknowledged. The records may still be in the log: send them again, a repeat is
/// recognized by its id.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot take records now.
    #[error("the log did not accept the records: {detail}")]
    Unavailable {
        /// What the log said.
        detail: String,
    },
    /// A record is larger than the log takes.
    #[error("a record of {bytes} bytes is larger than the log accepts ({bytes_max} bytes)")]
    TooLarge {
        /// Size of the record.
        bytes: usize,
        /// The log's limit.
        bytes_max: usize,
    },
}

/// A log that records can be appended to.
pub trait Log: fmt::Debug + Send + Sync {
    /// Appends the records and answers where each is, in the order given, once all are durable.
    fn append<'a>(
        &'a self,
        topic: &'a str,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>>;

    /// Answers whether the log can be reached; the text of the error names the log and what it said.
    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), Error>>;
}

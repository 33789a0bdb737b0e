//! What the intake is to those who send an event on behalf of somebody: it says what would become of it, and makes
//! the record that may be logged. Appends nothing.

use std::borrow::Cow;
use std::fmt;

use futures::future::BoxFuture;

use crate::caller::Caller;
use crate::log::NewRecord;

/// An event as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Its bytes.
    pub value: Vec<u8>,
    /// How it says it is encoded.
    pub content_type: Option<String>,
}

/// An event that breaks no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub event_id: String,
    /// The record for the log, with what the caller's token fills in.
    pub record: NewRecord,
}

/// Why an event must not be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The reason's name, or `forbidden` where the caller may not send it.
    pub reason: Cow<'static, str>,
    /// What exactly, and what to do.
    pub detail: String,
}

/// The reason of an event that the caller may not send; it is in no log and in no quarantine.
pub const FORBIDDEN: &str = "forbidden";

/// What is needed to judge does not answer now; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// One verdict for each event, in order.
pub type Verdicts = Vec<Result<Accepted, Rejected>>;

/// Judges events by the rules of the worker.
pub trait Judge: fmt::Debug + Send + Sync {
    /// The topic that events are logged to.
    fn topic(&self) -> &str;

    /// Judges events that would be logged now, one after another.
    fn judge<'a>(
        &'a self,
        caller: &'a Caller,
        events: Vec<Sent>,
    ) -> BoxFuture<'a, Result<Verdicts, Unavailable>>;
}

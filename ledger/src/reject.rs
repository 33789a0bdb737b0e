//! Why an event does not become entries: it goes to quarantine with one reason of a closed list.

use crate::event::names;

names! {
    /// The reasons.
    Reason {
        /// The record cannot be read.
        Decode = "decode",
        /// The record is larger than an event may be.
        TooLarge = "too_large",
        /// A required field is absent.
        MissingField = "missing_field",
        /// A field has a type or value that the schema forbids.
        InvalidField = "invalid_field",
        /// The event's time cannot be right.
        InvalidTime = "invalid_time",
        /// The event carries both usage and units.
        UsageAndUnits = "usage_and_units",
        /// A quantity is wrong.
        MalformedUsage = "malformed_usage",
        /// No accounting is known for usage of that endpoint family.
        UnknownFamily = "unknown_family",
        /// The event carries what looks like a live credential.
        Secret = "secret",
        /// The id is already taken by an event with other content.
        Conflict = "conflict",
        /// The record has a key but no value.
        Tombstone = "tombstone",
        /// The event fits the schema but not the ledger.
        Unpostable = "unpostable",
    }
}

/// An event that does not become entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.name())]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// What exactly, and what to do.
    pub detail: String,
}

impl From<crate::usage::Error> for Reject {
    fn from(error: crate::usage::Error) -> Self {
        use crate::usage::Error;
        let reason = match &error {
            Error::MalformedUsage { .. } => Reason::MalformedUsage,
            Error::UnknownFamily { .. } => Reason::UnknownFamily,
            Error::Unpostable { .. } => Reason::Unpostable,
        };
        Self { reason, detail: error.to_string() }
    }
}

impl Reject {
    /// A reject for that reason; the detail is a sentence for whoever fixes the event.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

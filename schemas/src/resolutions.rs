//! Rows of `quarantine_resolutions` as they are written: what was decided about a record in quarantine.

use ledger::event::Millis;

use crate::columns::{Fixed, Text, table};
use crate::command::RecordId;
use crate::tables::Origin;

table! {
    /// Rows of `quarantine_resolutions`.
    Resolutions = "quarantine_resolutions" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        record_topic: Text = "String",
        record_partition: Fixed<4> = "UInt32",
        record_offset: Fixed<8> = "UInt64",
        state: Text = "String",
        event: Text = "String",
        logged_topic: Text = "String",
        logged_partition: Fixed<4> = "UInt32",
        logged_offset: Fixed<8> = "UInt64",
        command_id: Text = "String",
        actor: Text = "String",
        note: Text = "String",
        resolved_at: Fixed<8> = "DateTime64(3, 'UTC')",
    }
}

/// What a row says of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// It is sent again, corrected where there is an event.
    Replayed {
        /// The corrected event; `None` where the stored bytes are sent.
        event: Option<&'a str>,
    },
    /// It is let go.
    Discarded,
    /// What the replay sent lies in the log at that place.
    Logged(&'a RecordId),
}

impl Resolved<'_> {
    /// The name in the store.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self {
            Self::Replayed { .. } => "replayed",
            Self::Discarded => "discarded",
            Self::Logged(_) => "logged",
        }
    }
}

/// One decision.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0015_quarantine_resolutions.sql explains")]
pub struct ResolutionRow<'a> {
    pub origin: Origin<'a>,
    pub record: &'a RecordId,
    pub resolved: Resolved<'a>,
    pub command_id: &'a str,
    pub actor: &'a str,
    pub note: &'a str,
    pub resolved_at: Millis,
}

impl Resolutions {
    /// Appends one row.
    pub fn push(&mut self, row: &ResolutionRow<'_>) {
        let nowhere = RecordId { topic: String::new(), partition: 0, offset: 0 };
        let (event, logged) = match row.resolved {
            Resolved::Replayed { event } => (event, &nowhere),
            Resolved::Discarded => (None, &nowhere),
            Resolved::Logged(logged) => (None, logged),
        };
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.record_topic.push(&row.record.topic);
        self.record_partition.push(row.record.partition.to_le_bytes());
        self.record_offset.push(row.record.offset.to_le_bytes());
        self.state.push(row.resolved.state());
        self.event.push_or_empty(event);
        self.logged_topic.push(&logged.topic);
        self.logged_partition.push(logged.partition.to_le_bytes());
        self.logged_offset.push(logged.offset.to_le_bytes());
        self.command_id.push(row.command_id);
        self.actor.push(row.actor);
        self.note.push(row.note);
        self.resolved_at.push(row.resolved_at.0.to_le_bytes());
    }
}

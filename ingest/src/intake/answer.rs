//! What became of the events of a request, as far as it can be told before they are posted.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use schemas::judge::FORBIDDEN;

/// The answer once everything that was logged is durable. The three add up to the events that were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// Events that break no rule. They may still turn out to repeat, or to conflict with, what was sent before.
    pub accepted: usize,
    /// Events with the id and the content of one before them in this request.
    pub duplicates: usize,
    /// Events that go to quarantine, or that the token may not send.
    pub rejected: Vec<Rejected>,
}

/// An event that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejected {
    /// Which event of the request, counted from 0; blank lines do not count.
    pub index: usize,
    /// Its id, where one can be read.
    pub event_id: Option<String>,
    /// The rule that it breaks.
    #[schema(value_type = String, examples("missing_field", "forbidden"))]
    pub reason: Cow<'static, str>,
    /// What exactly, and what to do.
    pub detail: String,
}

impl Answer {
    /// How many events it speaks of.
    #[must_use]
    pub fn events(&self) -> usize {
        self.accepted + self.duplicates + self.rejected.len()
    }
}

//! Turns a provider's usage object into disjoint units. Knows nothing of prices.

mod context;
mod cost;
mod counted;
mod dimensions;
mod exclusive;
mod family;
mod flags;
mod gemini;
mod inclusive;
mod modality;
pub mod node;
mod number;
mod quantities;

pub use cost::ProviderCost;
pub use dimensions::{BATCH, Dimensions, FAST, INTERACTIVE, STANDARD, tier};
pub use family::{names as family_names, normalize};
pub use flags::{Flag, Flags};
pub use node::Node;
pub use quantities::Quantities;

/// The version of the rules in this module; an entry that was normalized by another may differ.
pub const NORMALIZER_VERSION: u32 = 1;

/// Why usage cannot become quantities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A counter has the wrong type, is negative, or is a fraction of what comes whole.
    #[error("{detail}")]
    MalformedUsage {
        /// Which one, and what it says.
        detail: String,
    },
    /// No accounting is known for usage of that endpoint family.
    #[error("endpoint family {family:?} is not known; send `units` instead of `usage`")]
    UnknownFamily {
        /// The family that the event names.
        family: String,
    },
    /// A quantity is more than the ledger can keep.
    #[error("{detail}")]
    Unpostable {
        /// Which one.
        detail: String,
    },
}

impl Error {
    pub(crate) fn malformed(detail: std::fmt::Arguments<'_>) -> Self {
        Self::MalformedUsage { detail: detail.to_string() }
    }

    pub(crate) fn unpostable(detail: std::fmt::Arguments<'_>) -> Self {
        Self::Unpostable { detail: detail.to_string() }
    }
}

/// What one response used of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// The model that is billed.
    pub model: &'a str,
    /// Disjoint quantities.
    pub quantities: Quantities,
    /// What was noticed.
    pub flags: Flags,
    /// What the price may depend on.
    pub dimensions: Dimensions<'a>,
}

/// What one event used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalized<'a> {
    /// The model that answered.
    pub main: Record<'a>,
    /// Other models that worked inside the same response, in the order of the response.
    pub further: Vec<Record<'a>>,
    /// What the provider or the gateway says it costs.
    pub reported_cost: Option<ProviderCost<'a>>,
    /// Whether anything was counted at all; an explicit zero is a count.
    pub is_reported: bool,
}

//! What models cost: immutable rows by event time, and the book that finds the one that held.

mod book;
mod conditions;
mod rates;
mod row;

pub use book::{Match, MatchedBy, PriceBook, Whose};
pub(crate) use book::{canonical_provider, is_provider};
pub use conditions::{Bound, Conditions, Region, Window};
pub(crate) use rates::Rates;
pub use row::{
    AmountBasis, FreeQuota, Increment, Minimum, ModelRow, Multiplier, Price, QuotaPeriod, Scope, Source,
};

/// Why rows are no price book. Each names the row at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field of a row breaks a rule.
    #[error("model row {row:?}: {detail}")]
    InvalidRow {
        /// Id of the row.
        row: String,
        /// Which rule, and what to do.
        detail: String,
    },
    /// Two prices of a row hold for the same event, and neither is the more specific.
    #[error("model row {row:?} is ambiguous: {unit} has two prices where {first:?} and {second:?} both hold")]
    Ambiguous {
        /// Id of the row.
        row: String,
        /// The unit that is priced twice.
        unit: crate::unit::Unit,
        /// Conditions of one price.
        first: String,
        /// Conditions of the other.
        second: String,
    },
    /// Two rows have one id.
    #[error("model row id {row:?} is used twice; every version needs an id of its own")]
    DuplicateId {
        /// The id.
        row: String,
    },
    /// Two rows hold for the same name at the same time.
    #[error(
        "model rows {first:?} and {second:?} both hold for {name:?} from the same instant; \
         let one begin later, or let it supersede the other"
    )]
    Overlap {
        /// Id of one row.
        first: String,
        /// Id of the other.
        second: String,
        /// The model or alias that both claim.
        name: String,
    },
}

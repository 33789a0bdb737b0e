//! Realistic gateway traffic from a seed, with its own ground truth: [`Traffic`] gives the events, [`Truth`] the
//! totals that a ledger must find in them. Sends nothing, and never reads back what it wrote: the truth comes from
//! the numbers that the generator chose, by arithmetic of its own.

mod attempt;
mod avro;
mod counts;
mod event;
mod fault;
mod file;
mod offers;
mod prices;
mod random;
mod traffic;
mod truth;
mod usage;
mod world;

pub use avro::{AvroEncoder, AvroSchema, EncodeError};
pub use event::{Event, Fate};
pub use file::{FileError, Format, to_file};
pub use prices::{PRICES_JSON, PriceError, Prices};
pub use traffic::{Config, Traffic};
pub use truth::{Sum, Truth};

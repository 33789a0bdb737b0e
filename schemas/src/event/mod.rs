//! The usage event on the wire: a record in JSON or Avro becomes a [`UsageEvent`](ledger::event::UsageEvent),
//! or one [`Reject`](ledger::reject::Reject) with a reason. Knows nothing of Kafka, HTTP or ClickHouse.

pub mod decode;
mod format;
mod json;
mod avro;
mod fields;
mod number;
mod time;
pub mod secret;
pub mod hash;
pub mod encode;

#[cfg(test)]
mod tests;

pub use bumpalo::Bump as Arena;
pub use decode::{Decoder, Error, Peek, Record, SchemaError, BYTES_MAX, DECODER_VERSION};
pub use encode::{Encoder, encode_json};
pub use hash::{content_hash, id_hash};

/// A reject with a sentence that names what is wrong.
fn reject(reason: ledger::reject::Reason, detail: impl Into<String>) -> ledger::reject::Reject {
    ledger::reject::Reject { reason, detail: detail.into() }
}

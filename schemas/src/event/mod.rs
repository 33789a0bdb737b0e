//! The usage event on the wire: a record in JSON or Avro becomes a [`UsageEvent`](ledger::event::UsageEvent),
//! or one [`Reject`](ledger::reject::Reject) with a reason. Knows nothing of Kafka, HTTP or ClickHouse.

mod avro;
pub mod decode;
pub mod encode;
mod fields;
mod format;
pub mod hash;
mod json;
mod number;
pub mod secret;
mod time;

#[cfg(test)]
mod tests;

pub use bumpalo::Bump as Arena;
pub use decode::{BYTES_MAX, DECODER_VERSION, Decoder, Error, Peek, Record, SchemaError};
pub use encode::{Encoder, encode_json};
pub use hash::{content_hash, id_hash};

/// A usage object or a context that is kept beside an entry, read again by the rules of the event.
///
/// # Errors
/// Where the text is no JSON, or breaks a rule.
pub(crate) fn json_value<'a>(
    text: &'a str,
    arena: &'a Arena,
) -> Result<ledger::event::Json<'a>, ledger::reject::Reject> {
    let (node, _) = json::value(text, 1, arena)?;
    Ok(ledger::event::Json { text, node })
}

/// A reject with a sentence that names what is wrong.
fn reject(reason: ledger::reject::Reason, detail: impl Into<String>) -> ledger::reject::Reject {
    ledger::reject::Reject { reason, detail: detail.into() }
}

//! Events in Avro, by the schema of the usage event. An event that breaks a rule stays JSON: most rules cannot be
//! broken in Avro, and a topic may hold both.

use ledger::reject::Reason;
use serde_avro_fast::Schema;
use serde_avro_fast::schema::SchemaError;
use serde_avro_fast::ser::{SerError, SerializerConfig};
use uuid::fmt::Hyphenated;

use crate::event::{Event, Fate};
use crate::usage::{Context, Usage};

/// The schema of the usage event.
const USAGE_V1_AVSC: &str = include_str!("../../schemas/events/usage.v1.avsc");

/// An event that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The built-in schema is broken.
    #[error("the schema of the usage event is broken")]
    Schema(#[from] SchemaError),
    /// The event does not fit the schema.
    #[error("the event does not fit the Avro schema")]
    Avro(#[from] SerError),
    /// Its JSON cannot be written.
    #[error("the event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Encodes events in Avro.
#[derive(Debug)]
pub struct AvroEncoder {
    schema: Schema,
}

impl AvroEncoder {
    /// An encoder by `usage.v1.avsc`.
    ///
    /// # Errors
    /// [`EncodeError::Schema`] where the built-in schema is broken.
    pub fn new() -> Result<Self, EncodeError> {
        Ok(Self { schema: USAGE_V1_AVSC.parse()? })
    }

    /// The schema as JSON text.
    #[must_use]
    pub fn schema_json(&self) -> &str {
        self.schema.json()
    }

    /// Confluent wire format: a zero byte, the schema's id in the registry, the event. JSON where the event breaks a
    /// rule, `None` for a tombstone.
    ///
    /// # Errors
    /// [`EncodeError`] where the event does not fit the schema.
    pub fn confluent(&self, id: u32, event: &Event) -> Result<Option<Vec<u8>>, EncodeError> {
        let [one, two, three, four] = id.to_be_bytes();
        self.encode(&[0, one, two, three, four], event)
    }

    /// Single-object encoding: C3 01, the schema's fingerprint, the event. Else as [`AvroEncoder::confluent`].
    ///
    /// # Errors
    /// As [`AvroEncoder::confluent`].
    pub fn single_object(&self, event: &Event) -> Result<Option<Vec<u8>>, EncodeError> {
        self.encode(&[&[0xC3, 0x01], self.schema.rabin_fingerprint().as_slice()].concat(), event)
    }

    fn encode(&self, header: &[u8], event: &Event) -> Result<Option<Vec<u8>>, EncodeError> {
        match event.fate() {
            Fate::Accepted | Fate::Duplicate | Fate::Rejected(Reason::Conflict) => {
                let mut bytes = Vec::with_capacity(512);
                bytes.extend_from_slice(header);
                Ok(Some(self.append_datum(event, bytes)?))
            }
            Fate::Rejected(_) => Ok(event.json()?),
        }
    }

    fn append_datum(&self, event: &Event, bytes: Vec<u8>) -> Result<Vec<u8>, EncodeError> {

        let usage = Usage::of(&event.attempt).as_ref().map(serde_json::to_string).transpose()?;
        let context = Context::of(&event.attempt).as_ref().map(serde_json::to_string).transpose()?;
        let mut ids = [[0; Hyphenated::LENGTH]; 2];
        let wire = event.wire(&mut ids, event.occurred_at().0, usage, context);
        let mut config = SerializerConfig::new(&self.schema);
        Ok(serde_avro_fast::to_datum(&wire, bytes, &mut config)?)
    }
}

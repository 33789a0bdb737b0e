//! Events in Avro, by the schema of the usage event. An event that breaks a rule stays JSON: most rules cannot be
//! broken in Avro, and a topic may hold both.

use std::io::Write;

use serde_avro_fast::Schema;
use serde_avro_fast::object_container_file_encoding::{Writer, WriterBuilder};
use serde_avro_fast::schema::SchemaError;
use serde_avro_fast::ser::{SerError, SerializerConfig};
use uuid::fmt::Hyphenated;

use crate::event::{Event, Wire};
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

/// The schema of the usage event, ready for use.
#[derive(Debug)]
pub struct AvroSchema(Schema);

impl AvroSchema {
    /// `usage.v1.avsc`.
    ///
    /// # Errors
    /// [`EncodeError::Schema`] where the built-in schema is broken.
    pub fn usage_v1() -> Result<Self, EncodeError> {
        Ok(Self(USAGE_V1_AVSC.parse()?))
    }

    /// The schema as JSON text, as a registry takes it.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.json()
    }
}

/// Encodes events in Avro. Keeps its buffers from one event to the next.
pub struct AvroEncoder<'s> {
    schema: &'s Schema,
    config: SerializerConfig<'s>,
}

impl<'s> AvroEncoder<'s> {
    /// An encoder by a schema.
    #[must_use]
    pub fn new(schema: &'s AvroSchema) -> Self {
        Self { schema: &schema.0, config: SerializerConfig::new(&schema.0) }
    }

    /// Confluent wire format: a zero byte, the schema's id in the registry, the event. JSON where the event breaks a
    /// rule, `None` for a tombstone.
    ///
    /// # Errors
    /// [`EncodeError`] where the event does not fit the schema.
    pub fn confluent(&mut self, id: u32, event: &Event) -> Result<Option<Vec<u8>>, EncodeError> {
        let [one, two, three, four] = id.to_be_bytes();
        self.encode(&[0, one, two, three, four], event)
    }

    /// Single-object encoding: C3 01, the schema's fingerprint, the event. Else as [`AvroEncoder::confluent`].
    ///
    /// # Errors
    /// As [`AvroEncoder::confluent`].
    pub fn single_object(&mut self, event: &Event) -> Result<Option<Vec<u8>>, EncodeError> {
        self.encode(&[&[0xC3, 0x01], self.schema.rabin_fingerprint().as_slice()].concat(), event)
    }

    fn encode(&mut self, header: &[u8], event: &Event) -> Result<Option<Vec<u8>>, EncodeError> {
        if !event.fits_the_schema() {
            return Ok(event.json()?);
        }
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(header);
        let mut ids = [[0; Hyphenated::LENGTH]; 2];
        Ok(Some(serde_avro_fast::to_datum(&wire(event, &mut ids)?, bytes, &mut self.config)?))
    }
}

/// An Avro object container file.
pub(crate) struct Container<'c, 's, W: Write>(Writer<'c, 's, W>);

impl<'c, 's, W: Write> Container<'c, 's, W> {
    /// Begins one. The marker between its blocks is fixed, so that the same events give the same file.
    pub(crate) fn new(encoder: &'c mut AvroEncoder<'s>, file: W) -> Result<Self, EncodeError> {
        Ok(Self(WriterBuilder::new(&mut encoder.config).sync_marker(*b"tollbook.traffic").build(file)?))
    }

    /// Appends an event that fits the schema.
    pub(crate) fn append(&mut self, event: &Event) -> Result<(), EncodeError> {
        let mut ids = [[0; Hyphenated::LENGTH]; 2];
        Ok(self.0.serialize(wire(event, &mut ids)?)?)
    }

    /// Writes what is left, and gives the file back.
    pub(crate) fn finish(self) -> Result<W, EncodeError> {
        Ok(self.0.into_inner()?)
    }
}

/// The event with the types of the schema: usage and context are JSON text.
fn wire<'e>(
    event: &'e Event,
    ids: &'e mut [[u8; Hyphenated::LENGTH]; 2],
) -> Result<Wire<'e, i64, String, String>, EncodeError> {
    let usage = Usage::of(&event.attempt).as_ref().map(serde_json::to_string).transpose()?;
    let context = Context::of(&event.attempt).as_ref().map(serde_json::to_string).transpose()?;
    Ok(event.wire(ids, event.occurred_at().0, usage, context))
}

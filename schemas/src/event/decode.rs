//! Decodes a record into a usage event. The one entry to this stage: it tells the encoding, opens envelopes,
//! and lets a credential win over every other fault of the record.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bumpalo::collections::Vec as ArenaVec;
use ledger::event::{Millis, UsageEvent};
use ledger::reject::{Reason, Reject};
use ledger::usage::Node;
use serde_avro_fast::Schema;

use super::Arena;
use super::fields::{Field, Name};
use super::format::{Format, by_bytes, detect};
use super::secret::{self, Layout};
use super::{avro, fields, json, reject};

/// Version of the decoding rules. A batch that was begun by one version is finished by the same.
pub const DECODER_VERSION: u32 = 1;
/// Largest record that is read as an event, in bytes.
pub const BYTES_MAX: usize = 256 * 1024;
/// The Avro schema of single-object encoding, and of every Confluent id where there is no registry.
pub(super) const USAGE_V1_AVSC: &str = include_str!("../../events/usage.v1.avsc");

/// One record of the log, as far as decoding depends on it.
///
/// A binary-mode CloudEvent needs nothing more: its value is the event, its `ce_` headers repeat what the
/// event says itself.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The value; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    /// The `content-type` header, which wins over what the bytes tell.
    pub content_type: Option<&'a str>,
    /// The log's own timestamp of the record; the future begins 24 h after it.
    pub log_time: Millis,
}

/// Why a record is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It never will be one: it goes to quarantine.
    #[error("{0}")]
    Reject(Reject),
    /// Its schema was not fetched yet: add it to the decoder, then decode again.
    #[error("avro schema {0} is not known yet")]
    UnknownSchema(u32),
}

impl From<Reject> for Error {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

/// A text that is no Avro schema.
#[derive(Debug, thiserror::Error)]
#[error("invalid Avro schema")]
pub struct SchemaError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// What can be told of a record that is no event, for whoever looks through the quarantine. Credentials
/// are blotted out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The id, where one can be read.
    pub event_id: Option<String>,
    /// The customer, where one can be read.
    pub customer: Option<String>,
    /// The team, where one can be read.
    pub team: Option<String>,
}

/// Turns records into events. Holds schemas only, so one serves many batches; it is not changed by decoding.
#[derive(Debug)]
pub struct Decoder {
    built_in: Schema,
    /// Fingerprints that name the built-in schema.
    fingerprints: [[u8; 8]; 2],
    /// `None` without a registry. A schema that the registry does not have either is `Err` with the reason.
    registered: Option<HashMap<u32, Result<Schema, String>>>,
}

impl Decoder {
    /// A decoder that reads every Confluent schema id as the built-in schema.
    ///
    /// # Errors
    /// Only where the built-in schema is broken, which a test rules out.
    pub fn new() -> Result<Self, SchemaError> {
        let built_in = parse(USAGE_V1_AVSC)?;
        let fingerprints = [*built_in.rabin_fingerprint(), fingerprint_by_apache_avro()?];
        Ok(Self { built_in, fingerprints, registered: None })
    }

    /// A decoder that asks for every Confluent schema id by [`Error::UnknownSchema`] once.
    ///
    /// # Errors
    /// As [`Decoder::new`].
    pub fn with_registry() -> Result<Self, SchemaError> {
        Ok(Self { registered: Some(HashMap::new()), ..Self::new()? })
    }

    /// Adds the schema that the registry has under this id.
    ///
    /// # Errors
    /// Where the text is no Avro schema; the id then stays unknown.
    pub fn add_schema(&mut self, id: u32, schema: &str) -> Result<(), SchemaError> {
        let schema = parse(schema)?;
        self.registered.get_or_insert_default().insert(id, Ok(schema));
        Ok(())
    }

    /// Notes that the registry has no usable schema under this id: its records are rejected with this detail.
    pub fn refuse_schema(&mut self, id: u32, detail: impl Into<String>) {
        self.registered.get_or_insert_default().insert(id, Err(detail.into()));
    }

    /// Decodes one record. Text is borrowed from it, or lies in the arena where it had to be unescaped.
    ///
    /// # Errors
    /// [`Error::Reject`] with the rule that the record breaks, `secret` before any other;
    /// [`Error::UnknownSchema`] where the decoder has a registry and no schema for the record.
    pub fn decode<'a>(&self, record: Record<'a>, arena: &'a Arena) -> Result<UsageEvent<'a>, Error> {
        let Some(value) = record.value else {
            return Err(reject(Reason::Tombstone, "the record has no value").into());
        };
        let mut found = ArenaVec::with_capacity_in(Name::ALL.len(), arena);
        let read = self.read(value, record.content_type, arena, &mut found);
        if let Err(Error::UnknownSchema(id)) = read {
            return Err(Error::UnknownSchema(id));
        }
        if let Some(place) = credential(value, &found, read.is_ok()) {
            return Err(reject(
                Reason::Secret,
                format!("what looks like a live credential stands {place}: send a label or a hash of it, and revoke it"),
            )
            .into());
        }
        read?;
        Ok(fields::event(&found, record.log_time, arena)?)
    }

    /// The record's value with every credential replaced by `[redacted]`; borrowed where there is none, which
    /// is exactly where decoding does not say `secret`. JSON stays the JSON it was. Avro keeps its lengths:
    /// the rest of a credential becomes asterisks.
    #[must_use]
    pub fn redact<'a>(&self, record: &Record<'a>) -> Cow<'a, [u8]> {
        let value = record.value.unwrap_or_default();
        let arena = Arena::new();
        let mut found = ArenaVec::new_in(&arena);
        let complete = self.read(value, record.content_type, &arena, &mut found).is_ok();
        if credential(value, &found, complete).is_none() {
            return Cow::Borrowed(value);
        }
        let layout = layout(value);
        let mut spans = secret::by_prefix(value, layout);
        spans.extend(in_key(value, &found, complete));
        if spans.is_empty() {
            return Cow::Owned(secret::REDACTED.into());
        }
        Cow::Owned(secret::blot(value, &merged(spans), layout))
    }

    /// What can be told of a record, decodable or not. Never fails.
    #[must_use]
    pub fn peek(&self, record: &Record<'_>) -> Peek {
        let value = record.value.unwrap_or_default();
        let arena = Arena::new();
        let mut found = ArenaVec::new_in(&arena);
        let complete = self.read(value, record.content_type, &arena, &mut found).is_ok();
        let text = |name: Name| {
            let text = match found.iter().find(|field| field.known == Some(name)).map(|field| field.node) {
                Some(Node::Text(text)) => Cow::Borrowed(text),
                None if !complete && layout(value) == Layout::Text => {
                    String::from_utf8_lossy(value.get(strings_named(value, name.name()).next()?)?)
                }
                _ => return None,
            };
            let clipped: String =
                text.chars().filter(|character| !character.is_control()).take(128).collect();
            Some(secret::redact_text(&clipped))
        };
        Peek { event_id: text(Name::EventId), customer: text(Name::Customer), team: text(Name::Team) }
    }

    /// Reads the fields of the event, whatever carries it; those before an error stay in `found`.
    fn read<'a>(
        &self,
        value: &'a [u8],
        content_type: Option<&str>,
        arena: &'a Arena,
        found: &mut ArenaVec<'a, Field<'a>>,
    ) -> Result<(), Error> {
        if value.len() > BYTES_MAX {
            return Err(reject(
                Reason::TooLarge,
                format!("the record has {} bytes, an event at most {BYTES_MAX}", value.len()),
            )
            .into());
        }
        match detect(value, content_type)? {
            Format::Json => Ok(read_json(value, false, arena, found)?),
            Format::CloudEvent => Ok(read_json(value, true, arena, found)?),
            Format::Confluent => {
                let Some((header, datum)) = value.split_first_chunk::<5>() else {
                    return Err(reject(Reason::Decode, "broken Avro: too short for a schema id").into());
                };
                let [_, id @ ..] = *header;
                let schema = self.schema(u32::from_be_bytes(id))?;
                Ok(avro::record(datum, schema, arena, found)?)
            }
            Format::SingleObject => {
                let Some((header, datum)) = value.split_first_chunk::<10>() else {
                    return Err(reject(Reason::Decode, "broken Avro: too short for a fingerprint").into());
                };
                let [_, _, fingerprint @ ..] = *header;
                if !self.fingerprints.contains(&fingerprint) {
                    return Err(reject(
                        Reason::Decode,
                        "Avro single-object encoding of another schema than usage.v1.avsc: its fingerprint differs",
                    )
                    .into());
                }
                Ok(avro::record(datum, &self.built_in, arena, found)?)
            }
        }
    }

    fn schema(&self, id: u32) -> Result<&Schema, Error> {
        let Some(registered) = &self.registered else { return Ok(&self.built_in) };
        match registered.get(&id) {
            Some(Ok(schema)) => Ok(schema),
            Some(Err(detail)) => Err(reject(Reason::Decode, format!("avro schema {id}: {detail}")).into()),
            None => Err(Error::UnknownSchema(id)),
        }
    }
}

fn parse(schema: &str) -> Result<Schema, SchemaError> {
    schema.parse().map_err(|error: serde_avro_fast::schema::SchemaError| SchemaError(error.into()))
}

/// The fingerprint that the Rust crate `apache-avro` gives the built-in schema. It is not that of the
/// specification, since its canonical form keeps `{"type":"long"}` where a logical type stood, but it is
/// what its single-object writer sends.
fn fingerprint_by_apache_avro() -> Result<[u8; 8], SchemaError> {
    let schema = apache_avro::Schema::parse_str(USAGE_V1_AVSC).map_err(|error| SchemaError(error.into()))?;
    let bytes = schema.fingerprint::<apache_avro::rabin::Rabin>().bytes;
    bytes.try_into().map_err(|_| SchemaError("a fingerprint has eight bytes".into()))
}

/// Reads a JSON event, or the one in `data` of a structured CloudEvent.
fn read_json<'a>(
    value: &'a [u8],
    structured: bool,
    arena: &'a Arena,
    found: &mut ArenaVec<'a, Field<'a>>,
) -> Result<(), Reject> {
    let text = std::str::from_utf8(value)
        .map_err(|error| reject(Reason::Decode, format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    // The event may lie one level inside an envelope; which of the two this is shows only at its end.
    let deepest = json::object(text, json::DEPTH_MAX + 1, arena, found)?;
    let is_event = found.iter().any(|field| field.known == Some(Name::EventId));
    let attribute = |name: &str| found.iter().find(|field| field.name == name && !field.node.is_null());
    let is_cloud_event = attribute("specversion").is_some();
    if structured && !is_cloud_event {
        return Err(reject(Reason::Decode, "a CloudEvent by its content type, but `specversion` is missing"));
    }
    if !structured && (is_event || !is_cloud_event) {
        if deepest > json::DEPTH_MAX {
            return Err(reject(Reason::Decode, format!("nesting deeper than {} levels", json::DEPTH_MAX)));
        }
        return Ok(());
    }
    let Some(data) = attribute("data").map(|data| data.raw) else {
        let detail = match attribute("data_base64") {
            Some(_) => "the CloudEvent carries `data_base64`: send the event as JSON in `data`",
            None => "the CloudEvent has no `data`",
        };
        found.clear();
        return Err(reject(Reason::Decode, detail));
    };
    found.clear();
    json::object(data, json::DEPTH_MAX, arena, found)
        .map(drop)
        .map_err(|inner| reject(inner.reason, format!("CloudEvent `data`: {}", inner.detail)))
}

/// What the bytes look like to the search for credentials.
fn layout(value: &[u8]) -> Layout {
    match by_bytes(value) {
        Format::Json | Format::CloudEvent => Layout::Text,
        Format::Confluent | Format::SingleObject => Layout::Binary,
    }
}

/// Where the record has a credential, in words; the record was read `complete` or up to an error.
fn credential(value: &[u8], found: &[Field<'_>], complete: bool) -> Option<String> {
    if secret::suspicious(value) {
        if complete && layout(value) == Layout::Binary {
            if let Some(field) =
                found.iter().find(|field| has_credential(field.name) || node_has_credential(&field.node))
            {
                return Some(format!("in `{}`", secret::redact_text(field.name)));
            }
        } else if let Some(span) = secret::by_prefix(value, layout(value)).first() {
            return Some(format!("at byte {}", span.start));
        }
    }
    in_key(value, found, complete).first().map(|_| "in `key`".to_owned())
}

fn has_credential(text: &str) -> bool {
    !secret::by_prefix(text.as_bytes(), Layout::Text).is_empty()
}

fn node_has_credential(node: &Node<'_>) -> bool {
    match node {
        Node::Null | Node::Bool(_) | Node::Number(_) => false,
        Node::Text(text) => has_credential(text),
        Node::List(items) => items.iter().any(node_has_credential),
        Node::Object(fields) => {
            fields.iter().any(|(name, node)| has_credential(name) || node_has_credential(node))
        }
    }
}

/// Where `key` looks random. In JSON that broke off before the field, any string of that name is judged.
fn in_key(value: &[u8], found: &[Field<'_>], complete: bool) -> Vec<Range<usize>> {
    let places = match found.iter().find(|field| field.known == Some(Name::Key)) {
        Some(Field { node: Node::Text(text), raw, .. }) => {
            let text = if raw.is_empty() { text } else { raw };
            within(text.as_bytes(), value).into_iter().collect()
        }
        None if !complete && layout(value) == Layout::Text => {
            strings_named(value, Name::Key.name()).collect()
        }
        _ => Vec::new(),
    };
    let random = |place: Range<usize>| {
        let spans = secret::by_entropy(value.get(place.clone()).unwrap_or_default());
        spans.into_iter().map(move |span| place.start + span.start..place.start + span.end)
    };
    places.into_iter().flat_map(random).collect()
}

/// The place of a slice inside the one it was cut from.
fn within(part: &[u8], whole: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Where strings stand behind this name, in JSON that may be broken anywhere.
fn strings_named(value: &[u8], name: &str) -> impl Iterator<Item = Range<usize>> {
    let quoted = format!("\"{name}\"");
    let starts: Vec<usize> =
        memchr::memmem::find_iter(value, quoted.as_bytes()).map(|at| at + quoted.len()).collect();
    starts.into_iter().filter_map(|start| {
        let gap = |from: usize| {
            from + value.iter().skip(from).take_while(|byte| byte.is_ascii_whitespace()).count()
        };
        let colon = gap(start);
        let quote = gap(colon + 1);
        if value.get(colon) != Some(&b':') || value.get(quote) != Some(&b'"') {
            return None;
        }
        let mut escaped = false;
        let ends = |byte: &u8| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        };
        let end =
            value.iter().skip(quote + 1).position(ends).map_or(value.len(), |length| quote + 1 + length);
        Some(quote + 1..end)
    })
}

/// Places in order, those that overlap made one.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| span.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

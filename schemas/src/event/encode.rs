//! Encodes a usage event: the way back, for traffic that Tollbook makes itself and for what proves decoding.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use ledger::event::{Credential, GatewayCache, Json, Outcome, ReportedCost, UsageEvent};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::decode::USAGE_V1_AVSC;

/// An event that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// `usage` or `context` holds no JSON text.
    #[error("event is no JSON")]
    Json(#[from] serde_json::Error),
    /// The schema is broken, or the event does not fit it.
    #[error("event does not fit the Avro schema")]
    Avro(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<apache_avro::Error> for EncodeError {
    fn from(error: apache_avro::Error) -> Self {
        Self::Avro(error.into())
    }
}

/// Encodes an event as one JSON object without line breaks of its own; absent fields are left out.
///
/// # Errors
/// [`EncodeError::Json`] where `usage` or `context` holds no JSON text, which decoding rules out.
pub fn encode_json(event: &UsageEvent<'_>) -> Result<Vec<u8>, EncodeError> {
    Ok(serde_json::to_vec(&Wire(event))?)
}

/// Encodes events in Avro by the built-in schema.
#[derive(Debug)]
pub struct Encoder {
    schema: Schema,
    fingerprint: [u8; 8],
}

impl Encoder {
    /// An encoder by `usage.v1.avsc`.
    ///
    /// # Errors
    /// Only where the built-in schema is broken, which a test rules out.
    pub fn new() -> Result<Self, EncodeError> {
        let schema = Schema::parse_str(USAGE_V1_AVSC)?;
        let fast: serde_avro_fast::Schema = USAGE_V1_AVSC
            .parse()
            .map_err(|error: serde_avro_fast::schema::SchemaError| EncodeError::Avro(error.into()))?;
        let fingerprint = *fast.rabin_fingerprint();
        Ok(Self { schema, fingerprint })
    }

    /// Single-object encoding: C3 01, the schema's fingerprint, the event.
    ///
    /// # Errors
    /// [`EncodeError::Avro`] where a number is beyond what the schema holds.
    pub fn avro_single_object(&self, event: &UsageEvent<'_>) -> Result<Vec<u8>, EncodeError> {
        self.datum(&[&[0xC3, 0x01], self.fingerprint.as_slice()].concat(), event)
    }

    /// Confluent wire format: a zero byte, the schema id in the registry, the event.
    ///
    /// # Errors
    /// As [`Encoder::avro_single_object`].
    pub fn avro_confluent(&self, id: u32, event: &UsageEvent<'_>) -> Result<Vec<u8>, EncodeError> {
        self.datum(&[[0].as_slice(), &id.to_be_bytes()].concat(), event)
    }

    fn datum(&self, header: &[u8], event: &UsageEvent<'_>) -> Result<Vec<u8>, EncodeError> {
        let datum = GenericDatumWriter::builder(&self.schema).build()?.write_value_to_vec(record(event))?;
        Ok([header, datum.as_slice()].concat())
    }
}

/// The event as Avro's value tree, fields in the schema's order.
fn record(event: &UsageEvent<'_>) -> Value {
    let string = |text: &str| Value::String(text.to_owned());
    let mut fields = Vec::with_capacity(48);
    each_field(event, |name, value| {
        let value = match value {
            Field::Text(text) => string(text),
            Field::Time(millis) => Value::TimestampMillis(millis),
            Field::Absent => nullable(None),
            Field::Optional(text) => nullable(Some(string(text))),
            Field::Small(number) => nullable(Some(Value::Int(number))),
            Field::Long(number) => nullable(Some(i64::try_from(number).map_or(Value::Null, Value::Long))),
            Field::Flag(flag) => nullable(Some(Value::Boolean(flag))),
            Field::Json(json) => nullable(Some(string(json.text))),
            Field::Pairs(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), string(value)));
                nullable(Some(Value::Map(pairs.collect())))
            }
            Field::Cost(cost) => nullable(Some(Value::Record(vec![
                ("amount".to_owned(), string(cost.amount)),
                ("currency".to_owned(), string(cost.currency)),
                ("source".to_owned(), nullable(cost.source.map(string))),
            ]))),
        };
        fields.push((name.to_owned(), value));
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap_or_else(|never| match never {});
    Value::Record(fields)
}

/// A union of null and something.
fn nullable(value: Option<Value>) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    }
}

struct Wire<'e, 'a>(&'e UsageEvent<'a>);

impl Serialize for Wire<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        each_field(self.0, |name, value| match value {
            Field::Absent => Ok(()),
            Field::Text(text) | Field::Optional(text) => map.serialize_entry(name, text),
            Field::Time(millis) => map.serialize_entry(name, &millis),
            Field::Small(number) => map.serialize_entry(name, &number),
            Field::Long(number) => map.serialize_entry(name, &number),
            Field::Flag(flag) => map.serialize_entry(name, &flag),
            Field::Pairs(pairs) => map.serialize_entry(name, &Pairs(pairs)),
            Field::Json(json) => {
                let raw: &RawValue = serde_json::from_str(json.text).map_err(serde::ser::Error::custom)?;
                map.serialize_entry(name, raw)
            }
            Field::Cost(cost) => {
                let source = cost.source.map(|source| ("source", source));
                let pairs: Vec<_> =
                    [Some(("amount", cost.amount)), Some(("currency", cost.currency)), source]
                        .into_iter()
                        .flatten()
                        .collect();
                map.serialize_entry(name, &Pairs(&pairs))
            }
        })?;
        map.end()
    }
}

struct Pairs<'e, 'a>(&'e [(&'a str, &'a str)]);

impl Serialize for Pairs<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A field's value by its type in the schema.
enum Field<'e, 'a> {
    Text(&'a str),
    Time(i64),
    Absent,
    Optional(&'a str),
    Small(i32),
    Long(u64),
    Flag(bool),
    Pairs(&'e [(&'a str, &'a str)]),
    Json(Json<'a>),
    Cost(ReportedCost<'a>),
}

/// Visits the fields of the contract in its order. The event is taken apart without `..`, so that a new
/// field cannot be forgotten.
fn each_field<'e, 'a, E>(
    event: &'e UsageEvent<'a>,
    mut visit: impl FnMut(&'static str, Field<'e, 'a>) -> Result<(), E>,
) -> Result<(), E> {
    let UsageEvent {
        event_id,
        request_id,
        occurred_at,
        attempt,
        attempt_kind,
        fallback_from,
        key,
        owners,
        tags,
        endpoint_family,
        provider,
        model,
        alias,
        provider_account,
        credential,
        route,
        region,
        service_tier,
        processing,
        speed,
        status,
        error_class,
        outcome,
        stream,
        latency_ms,
        ttft_ms,
        gateway_cache,
        usage,
        context,
        units,
        reported_cost,
        gateway,
        gateway_seq,
    } = *event;
    visit("event_id", Field::Text(event_id))?;
    visit("request_id", Field::Text(request_id))?;
    visit("occurred_at", Field::Time(occurred_at.0))?;
    visit("attempt", Field::Small(i32::try_from(attempt).unwrap_or(i32::MAX)))?;
    visit("attempt_kind", Field::Optional(attempt_kind.name()))?;
    visit("fallback_from", text(fallback_from))?;
    visit("key", Field::Text(key))?;
    visit("team", text(owners.team))?;
    visit("app", text(owners.app))?;
    visit("environment", text(owners.environment))?;
    visit("customer", text(owners.customer))?;
    visit("project", text(owners.project))?;
    visit("end_user", text(owners.end_user))?;
    visit("workflow", text(owners.workflow))?;
    visit("tags", if tags.is_empty() { Field::Absent } else { Field::Pairs(tags) })?;
    visit("endpoint_family", Field::Text(endpoint_family))?;
    visit("provider", Field::Text(provider))?;
    visit("model", Field::Text(model))?;
    visit("alias", text(alias))?;
    visit("provider_account", text(provider_account))?;
    visit("credential", text(credential.map(Credential::name)))?;
    visit("route", text(route))?;
    visit("region", text(region))?;
    visit("service_tier", text(service_tier))?;
    visit("processing", text(processing))?;
    visit("speed", text(speed))?;
    visit("status", status.map_or(Field::Absent, |status| Field::Small(i32::from(status))))?;
    visit("error_class", text(error_class))?;
    visit("outcome", text(outcome.map(Outcome::name)))?;
    visit("stream", stream.map_or(Field::Absent, Field::Flag))?;
    visit("latency_ms", latency_ms.map_or(Field::Absent, Field::Long))?;
    visit("ttft_ms", ttft_ms.map_or(Field::Absent, Field::Long))?;
    visit("gateway_cache", text(gateway_cache.map(GatewayCache::name)))?;
    visit("usage", usage.map_or(Field::Absent, Field::Json))?;
    visit("context", context.map_or(Field::Absent, Field::Json))?;
    visit("units", units.map_or(Field::Absent, Field::Pairs))?;
    visit("reported_cost", reported_cost.map_or(Field::Absent, Field::Cost))?;
    visit("gateway", text(gateway))?;
    visit("gateway_seq", gateway_seq.map_or(Field::Absent, Field::Long))
}

fn text<'e, 'a>(text: Option<&'a str>) -> Field<'e, 'a> {
    text.map_or(Field::Absent, Field::Optional)
}

//! One record in quarantine: as the store has it, and as it is shown, with what was decided about it.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clickhouse::Row;
use schemas::command::RecordId;
use schemas::queries;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::bounds::{Conditions, Value, Values};
use crate::error::Problem;
use crate::period::rfc3339;
use crate::store::Store;

/// Records that one question names: their ids travel in its address, which has a bound.
const NAMED_MAX: usize = 100;

/// One record in quarantine.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// `topic/partition/offset`; in an address, each `/` is written `%2F`.
    pub id: String,
    /// Topic of the record.
    pub topic: String,
    /// Partition of the topic.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// When the record was logged.
    #[schema(format = DateTime)]
    pub log_time: String,
    /// When it was put here.
    #[schema(format = DateTime)]
    pub recorded_at: String,
    /// Why, from a closed list.
    pub reason: String,
    /// Why, in words.
    pub detail: String,
    /// The event, where that much could be read.
    pub event_id: Option<String>,
    /// Its customer, where that much could be read.
    pub customer: Option<String>,
    /// Its team, where that much could be read.
    pub team: Option<String>,
    /// How the record says it is encoded.
    pub content_type: Option<String>,
    /// The record, secrets redacted; of one over 256 KiB the first 64 KiB.
    pub raw: String,
    /// `text`, or `base64` where the record is no text.
    pub raw_encoding: String,
    /// Bytes of the whole record.
    pub raw_length: u64,
    /// SHA-256 of the whole record, in hexadecimal.
    pub raw_sha256: String,
    /// Whether secrets were taken out.
    pub redacted: bool,
    /// What became of it: `open`, `replayed` or `discarded`.
    pub state: String,
    /// What was decided about it; null while it is open.
    pub resolution: Option<Resolution>,
}

/// What was decided about a record.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Resolution {
    /// The change that decided it.
    pub operation: String,
    /// Id of the token that asked for it.
    pub actor: String,
    /// When it was logged.
    #[schema(format = DateTime)]
    pub at: String,
    /// Why, in that one's words.
    pub note: Option<String>,
    /// The event that was sent in the record's place; null where its own bytes were.
    #[schema(value_type = Option<Object>)]
    pub event: Option<Box<RawValue>>,
    /// Where a replayed event lies in the log, as `topic/partition/offset`. Null while it is on its way there.
    pub replayed_as: Option<String>,
}

#[derive(Row, Deserialize)]
pub(super) struct Stored {
    pub(super) origin_topic: String,
    pub(super) origin_partition: u32,
    pub(super) origin_offset: u64,
    origin_ordinal: u32,
    log_ms: i64,
    recorded_ms: i64,
    pub(super) reason_name: String,
    detail: String,
    pub(super) event_id: String,
    customer_id: String,
    team_id: String,
    content_type_name: String,
    raw_is_text: bool,
    raw_text: String,
    pub(super) raw_length: u64,
    raw_digest: String,
    pub(super) is_redacted: bool,
}

/// What was decided about one record.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) state: String,
    /// The corrected event; empty where there is none.
    pub(super) event: String,
    pub(super) shown: Resolution,
}

#[derive(Row, Deserialize)]
struct Decided {
    record_id: String,
    state_name: String,
    event: String,
    logged_id: String,
    command_id: String,
    actor: String,
    note: String,
    resolved_ms: i64,
}

/// Where a page ends.
pub(super) type Position = (i64, String, u32, u64, u32);

/// Which way a list goes through the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    NewestFirst,
    OldestFirst,
}

/// A page of records: at most `limit` of them, after that position.
pub(super) async fn page(
    store: &Store,
    mut conditions: Conditions,
    (time, state): (&str, &str),
    direction: Direction,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Stored>, Problem> {
    let (word, relation) = match direction {
        Direction::NewestFirst => ("DESC", "<"),
        Direction::OldestFirst => ("ASC", ">"),
    };
    let after = after_sql(after, relation, &mut conditions.values);
    conditions.values = conditions.values.with("limit", Value::Unsigned(limit));
    store
        .bounded(queries::QUARANTINE, conditions, |statement| {
            statement.slot("time", time).slot("state", state).slot("after", &after).slot("direction", word)
        })
        .await
}

/// The records of those ids that the conditions let through.
pub(super) async fn named(
    store: &Store,
    conditions: &Conditions,
    ids: &[RecordId],
) -> Result<Vec<Stored>, Problem> {
    let mut found = Vec::new();
    for ids in ids.chunks(NAMED_MAX) {
        let mut conditions = conditions.clone();
        let (topics, offsets, texts) = names(ids);
        let values = &mut conditions.values;
        let term = format!(
            "topic IN {} AND offset IN {} AND \
             concat(toString(topic), '/', toString(partition), '/', toString(offset)) IN {}",
            values.bind_texts(&topics),
            values.bind("Array(UInt64)", Value::Unsigneds(offsets)),
            values.bind_texts(&texts),
        );
        conditions.and(term);
        let limit = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let bounds = ("true", "true");
        found.extend(page(store, conditions, bounds, Direction::OldestFirst, None, limit).await?);
    }
    Ok(found)
}

/// What was decided about the records of those ids, by id; the conditions are those of the records.
pub(super) async fn decisions(
    store: &Store,
    conditions: &Conditions,
    ids: &[RecordId],
) -> Result<HashMap<String, Decision>, Problem> {
    let mut decisions: HashMap<String, Decision> = HashMap::new();
    for ids in ids.chunks(NAMED_MAX) {
        let mut conditions = conditions.clone();
        let (topics, offsets, texts) = names(ids);
        conditions.values = conditions
            .values
            .with("topics", Value::Texts(topics))
            .with("offsets", Value::Unsigneds(offsets))
            .with("records", Value::Texts(texts));
        let rows: Vec<Decided> =
            store.bounded(queries::QUARANTINE_RESOLUTIONS, conditions, |statement| statement).await?;
        for row in rows {
            if row.state_name == "logged" {
                if let Some(decision) = decisions.get_mut(&row.record_id) {
                    decision.shown.replayed_as = Some(row.logged_id);
                }
                continue;
            }
            decisions.entry(row.record_id.clone()).or_insert_with(|| row.decision());
        }
    }
    Ok(decisions)
}

fn names(ids: &[RecordId]) -> (Vec<String>, Vec<u64>, Vec<String>) {
    let mut topics: Vec<String> = ids.iter().map(|id| id.topic.clone()).collect();
    topics.sort_unstable();
    topics.dedup();
    (topics, ids.iter().map(|id| id.offset).collect(), ids.iter().map(ToString::to_string).collect())
}

fn after_sql(after: Option<Position>, relation: &str, values: &mut Values) -> String {
    let Some((logged, topic, partition, offset, ordinal)) = after else { return "true".to_owned() };
    let logged = values.bind("Int64", Value::Int(logged));
    format!(
        "(log_time, topic, partition, offset, ordinal) {relation} \
         (fromUnixTimestamp64Milli({logged}, 'UTC'), {}, {}, {}, {})",
        values.bind_text(&topic),
        values.bind("UInt32", Value::Unsigned(u64::from(partition))),
        values.bind("UInt64", Value::Unsigned(offset)),
        values.bind("UInt32", Value::Unsigned(u64::from(ordinal)))
    )
}

impl Decided {
    fn decision(self) -> Decision {
        Decision {
            state: self.state_name,
            shown: Resolution {
                operation: self.command_id,
                actor: self.actor,
                at: rfc3339(self.resolved_ms),
                note: Some(self.note).filter(|note| !note.is_empty()),
                event: RawValue::from_string(self.event.clone()).ok(),
                replayed_as: None,
            },
            event: self.event,
        }
    }
}

impl Stored {
    pub(super) fn id(&self) -> RecordId {
        RecordId {
            topic: self.origin_topic.clone(),
            partition: self.origin_partition,
            offset: self.origin_offset,
        }
    }

    pub(super) fn position(&self) -> Position {
        (
            self.log_ms,
            self.origin_topic.clone(),
            self.origin_partition,
            self.origin_offset,
            self.origin_ordinal,
        )
    }

    /// How the record says it is encoded.
    pub(super) fn content_type(&self) -> Option<String> {
        Some(self.content_type_name.clone()).filter(|name| !name.is_empty())
    }

    /// The bytes that are kept of the record.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Problem> {
        if self.raw_is_text {
            return Ok(self.raw_text.clone().into_bytes());
        }
        BASE64_STANDARD.decode(&self.raw_text).map_err(|error| {
            tracing::error!(error = error.to_string(), "The store's base64 cannot be read");
            Problem::internal()
        })
    }

    pub(super) fn shown(self, decision: Option<Decision>) -> Quarantined {
        let text = |value: String| Some(value).filter(|value| !value.is_empty());
        let state = decision.as_ref().map_or("open", |decision| decision.state.as_str()).to_owned();
        Quarantined {
            id: self.id().to_string(),
            topic: self.origin_topic,
            partition: self.origin_partition,
            offset: self.origin_offset,
            log_time: rfc3339(self.log_ms),
            recorded_at: rfc3339(self.recorded_ms),
            reason: self.reason_name,
            detail: self.detail,
            event_id: text(self.event_id),
            customer: text(self.customer_id),
            team: text(self.team_id),
            content_type: text(self.content_type_name),
            raw: self.raw_text,
            raw_encoding: if self.raw_is_text { "text" } else { "base64" }.to_owned(),
            raw_length: self.raw_length,
            raw_sha256: self.raw_digest,
            redacted: self.is_redacted,
            state,
            resolution: decision.map(|decision| decision.shown),
        }
    }
}

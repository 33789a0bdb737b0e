//! `GET /v1/quarantine`: records that were not posted, newest first, each with its reason and its bytes.

use axum::Json;
use axum::extract::{OriginalUri, State};
use clickhouse::Row;
use ledger::reject::Reason;
use schemas::caller::Caller;
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::bounds::{Bounds, Conditions, Value, Values};
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{Period, rfc3339};
use crate::router::Service;

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 1_000;

/// Answer of `GET /v1/quarantine`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Quarantine {
    /// Newest first.
    pub rows: Vec<Quarantined>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One record in quarantine.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// `topic/partition/offset`.
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
}

#[derive(Row, Deserialize)]
struct Stored {
    origin_topic: String,
    origin_partition: u32,
    origin_offset: u64,
    origin_ordinal: u32,
    log_ms: i64,
    recorded_ms: i64,
    reason_name: String,
    detail: String,
    event_id: String,
    customer_id: String,
    team_id: String,
    content_type_name: String,
    raw_is_text: bool,
    raw_text: String,
    raw_length: u64,
    raw_digest: String,
    is_redacted: bool,
}

type Position = (i64, String, u32, u64, u32);

/// Records that were not posted, newest first.
#[utoipa::path(
    get, path = "/v1/quarantine", tag = "reading",
    params(
        ("reason" = Option<Vec<String>>, Query, description = "Records of that reason; repeatable"),
        ("topic" = Option<String>, Query, description = "Records of that topic"),
        ("from" = Option<String>, Query, description = "Logged at or after that date in `tz` or instant"),
        ("to" = Option<String>, Query, description = "Logged before that date in `tz` or instant"),
        ("tz" = Option<String>, Query, description = "IANA time zone of dates; UTC by default"),
        ("limit" = Option<u64>, Query, description = "Rows of a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = Quarantine)),
    security(("token" = []))
)]
pub(crate) async fn list(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Quarantine>, Problem> {
    let question = Question::of(&caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(&uri)?;
    let mut conditions = conditions(&caller, &mut parameters)?;
    let time = time_sql(&mut parameters, &mut conditions.values)?;
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    parameters.finish(["reason", "topic", "from", "to", "tz", "limit", "cursor"])?;
    let after = after_sql(after, &mut conditions.values);
    conditions.values = conditions.values.with("limit", Value::Unsigned(limit.saturating_add(1)));
    let mut rows: Vec<Stored> = service
        .store
        .bounded(queries::QUARANTINE, conditions, |statement| {
            statement.slot("time", &time).slot("after", &after)
        })
        .await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor =
        if more { rows.last().map(|last| question.cursor(&last.position())).transpose()? } else { None };
    Ok(Json(Quarantine { rows: rows.into_iter().map(Stored::shown).collect(), next_cursor }))
}

fn conditions(caller: &Caller, parameters: &mut Parameters) -> Result<Conditions, Problem> {
    let mut conditions = Conditions::of(&Bounds::of(caller));
    let reasons = parameters.all("reason");
    if let Some(unknown) = reasons.iter().find(|reason| Reason::parse(reason).is_none()) {
        return Err(Problem::parameter("reason", format!("there is no reason `{unknown}`"))
            .allowed(Reason::ALL.iter().map(|reason| reason.name())));
    }
    if !reasons.is_empty() {
        let reasons = conditions.values.bind_texts(&reasons);
        conditions.and(format!("reason IN {reasons}"));
    }
    let topics = parameters.all("topic");
    if !topics.is_empty() {
        let topics = conditions.values.bind_texts(&topics);
        conditions.and(format!("topic IN {topics}"));
    }
    Ok(conditions)
}

fn time_sql(parameters: &mut Parameters, values: &mut Values) -> Result<String, Problem> {
    let (from, to) = Period::take_open(parameters)?;
    let terms: Vec<String> = [(">=", from), ("<", to)]
        .into_iter()
        .filter_map(|(relation, instant)| {
            let instant = values.bind("Int64", Value::Int(instant?));
            Some(format!("log_time {relation} fromUnixTimestamp64Milli({instant}, 'UTC')"))
        })
        .collect();
    Ok(if terms.is_empty() { "true".to_owned() } else { terms.join(" AND ") })
}

fn after_sql(after: Option<Position>, values: &mut Values) -> String {
    let Some((logged, topic, partition, offset, ordinal)) = after else { return "true".to_owned() };
    let logged = values.bind("Int64", Value::Int(logged));
    format!(
        "(log_time, topic, partition, offset, ordinal) < (fromUnixTimestamp64Milli({logged}, 'UTC'), {}, {}, {}, {})",
        values.bind_text(&topic),
        values.bind("UInt32", Value::Unsigned(u64::from(partition))),
        values.bind("UInt64", Value::Unsigned(offset)),
        values.bind("UInt32", Value::Unsigned(u64::from(ordinal)))
    )
}

impl Stored {
    fn position(&self) -> Position {
        (
            self.log_ms,
            self.origin_topic.clone(),
            self.origin_partition,
            self.origin_offset,
            self.origin_ordinal,
        )
    }

    fn shown(self) -> Quarantined {
        let text = |value: String| Some(value).filter(|value| !value.is_empty());
        Quarantined {
            id: format!("{}/{}/{}", self.origin_topic, self.origin_partition, self.origin_offset),
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
        }
    }
}

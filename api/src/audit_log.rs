//! `GET /v1/audit-log`: who changed what and when, newest first. Every change is a command in one total order, also
//! the refused ones, and none is ever edited; this only reads them.

use axum::Json;
use axum::extract::{OriginalUri, State};
use clickhouse::Row;
use schemas::queries;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::auth::Unbound;
use crate::bounds::{Value, Values};
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{Period, rfc3339};
use crate::router::Service;

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 1_000;
/// The column of each filter.
const FILTERS: &[(&str, &str)] =
    &[("name", "name"), ("actor", "actor"), ("outcome", "outcome"), ("id", "command_id")];

/// Answer of `GET /v1/audit-log`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct AuditLog {
    /// Newest first.
    pub rows: Vec<Change>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One change, or the attempt at one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Change {
    /// Id of the operation.
    pub id: String,
    /// Its place in the log, which orders all changes of one topic.
    pub offset: u64,
    /// The topic of that place.
    pub topic: String,
    /// What was asked for, such as `publish_prices`.
    pub name: String,
    /// Id of the token that asked for it.
    pub actor: String,
    /// When it was logged.
    #[schema(format = DateTime)]
    pub logged_at: String,
    /// When it was carried out or refused.
    #[schema(format = DateTime)]
    pub recorded_at: String,
    /// `applied` or `refused`.
    pub outcome: String,
    /// What came of it, or why it was refused.
    pub detail: String,
    /// What was asked for in full; null where it is larger than a message. A token's text is never in it.
    #[schema(value_type = Option<Object>)]
    pub change: Option<Box<RawValue>>,
    /// What it made of what was before.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Box<RawValue>>,
}

#[derive(Row, Deserialize)]
struct Logged {
    topic_name: String,
    command_offset: u64,
    command_id: String,
    command_name: String,
    actor: String,
    log_ms: i64,
    recorded_ms: i64,
    outcome_name: String,
    detail: String,
    result: String,
    body_text: String,
}

type Position = (i64, String, u64);

/// Who changed what, newest first.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "changing",
    params(
        ("from" = Option<String>, Query, description = "Logged at or after that date or instant"),
        ("to" = Option<String>, Query, description = "Logged before it"),
        ("tz" = Option<String>, Query, description = "IANA time zone of dates; UTC by default"),
        ("name" = Option<String>, Query, description = "Only that kind of change, such as publish_prices"),
        ("actor" = Option<String>, Query, description = "Only what the token of that id asked for"),
        ("outcome" = Option<String>, Query, description = "applied or refused"),
        ("id" = Option<String>, Query, description = "Only that operation"),
        ("limit" = Option<u64>, Query, description = "Rows of a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = AuditLog)),
    security(("token" = []))
)]
pub(crate) async fn list(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<AuditLog>, Problem> {
    let question = Question::of(&caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(&uri)?;
    let (from, to) = Period::take_open(&mut parameters)?;
    let mut values = Values::default();
    let mut filters = vec!["true".to_owned()];
    for (bound, sign) in [(from, ">="), (to, "<")] {
        let Some(bound) = bound else { continue };
        let bound = values.bind("Int64", Value::Int(bound));
        filters.push(format!("log_time {sign} fromUnixTimestamp64Milli({bound}, 'UTC')"));
    }
    for (name, column) in FILTERS {
        if let Some(value) = parameters.one(name)? {
            filters.push(format!("{column} = {}", values.bind_text(&value)));
        }
    }
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    let known = ["from", "to", "tz"]
        .into_iter()
        .chain(FILTERS.iter().map(|(name, _)| *name))
        .chain(["limit", "cursor"]);
    parameters.finish(known)?;
    let after = after_sql(after, &mut values);
    let mut rows: Vec<Logged> = service
        .store
        .open_with(
            queries::AUDIT_LOG,
            values.with("limit", Value::Unsigned(limit.saturating_add(1))),
            |statement| statement.slot("filters", &filters.join(" AND ")).slot("after", &after),
        )
        .await?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor =
        if is_more { rows.last().map(|last| question.cursor(&last.position())).transpose()? } else { None };
    Ok(Json(AuditLog { rows: rows.into_iter().map(Logged::shown).collect(), next_cursor }))
}

fn after_sql(after: Option<Position>, values: &mut Values) -> String {
    let Some((logged, topic, offset)) = after else { return "true".to_owned() };
    format!(
        "(log_time, topic, offset) < (fromUnixTimestamp64Milli({}, 'UTC'), {}, {})",
        values.bind("Int64", Value::Int(logged)),
        values.bind_text(&topic),
        values.bind("UInt64", Value::Unsigned(offset))
    )
}

impl Logged {
    fn position(&self) -> Position {
        (self.log_ms, self.topic_name.clone(), self.command_offset)
    }

    fn shown(self) -> Change {
        Change {
            id: self.command_id,
            offset: self.command_offset,
            topic: self.topic_name,
            name: self.command_name,
            actor: self.actor,
            logged_at: rfc3339(self.log_ms),
            recorded_at: rfc3339(self.recorded_ms),
            outcome: self.outcome_name,
            detail: self.detail,
            change: RawValue::from_string(self.body_text).ok(),
            result: RawValue::from_string(self.result).ok(),
        }
    }
}

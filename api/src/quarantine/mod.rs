//! `/v1/quarantine`: the records that were not posted. They are listed and shown here; `resolve` sends one again or
//! lets it go, `bulk` many, and `replay` brings what is sent again into the log.

pub(crate) mod bulk;
mod filters;
pub mod open;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod resolve;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use clickhouse::Row;
use schemas::caller::Caller;
use schemas::command::RecordId;
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::rfc3339;
use crate::router::Service;

use filters::{DISCARDED, FILTERS, REPLAYED, Selection};
use record::{Decision, Direction, Quarantined, Stored};

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 1_000;

/// Answer of `GET /v1/quarantine`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Quarantine {
    /// Newest first.
    pub rows: Vec<Quarantined>,
    /// Counts of all records that the filters choose, where `summary=true` asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Vec<Count>>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Records of one reason and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// Why they are here.
    pub reason: String,
    /// What became of them: `open`, `replayed` or `discarded`.
    pub state: String,
    /// How many they are.
    pub records: u64,
    /// When the first was logged.
    #[schema(format = DateTime)]
    pub first_log_time: String,
    /// When the last was logged.
    #[schema(format = DateTime)]
    pub last_log_time: String,
}

#[derive(Row, Deserialize)]
struct Counted {
    reason_name: String,
    state_name: String,
    records: u64,
    first_ms: i64,
    last_ms: i64,
}

/// Records that were not posted, newest first.
#[utoipa::path(
    get, path = "/v1/quarantine", tag = "quarantine",
    params(
        ("state" = Option<Vec<String>>, Query, description = "`open`, `replayed` or `discarded`; repeatable; `open` by default, in the summary all"),
        ("reason" = Option<Vec<String>>, Query, description = "Records of that reason; repeatable"),
        ("topic" = Option<Vec<String>>, Query, description = "Records of that topic; repeatable"),
        ("partition" = Option<u32>, Query, description = "Records of that partition"),
        ("event_id" = Option<Vec<String>>, Query, description = "Records of that event; repeatable"),
        ("customer" = Option<Vec<String>>, Query, description = "Records that name that customer; repeatable"),
        ("team" = Option<Vec<String>>, Query, description = "Records that name that team; repeatable"),
        ("search" = Option<String>, Query, description = "Records whose detail has that text, in any case"),
        ("from" = Option<String>, Query, description = "Logged at or after that date in `tz` or instant"),
        ("to" = Option<String>, Query, description = "Logged before that date in `tz` or instant"),
        ("tz" = Option<String>, Query, description = "IANA time zone of dates; UTC by default"),
        ("summary" = Option<bool>, Query, description = "Whether to count by reason and state as well"),
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
    let selection = Selection::take(&caller, &mut parameters)?;
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let with_summary = parameters.choice("summary", &[("true", true), ("false", false)])?.unwrap_or_default();
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    parameters
        .finish(FILTERS.into_iter().chain(["state", "from", "to", "tz", "summary", "limit", "cursor"]))?;

    let state = selection.state_sql(&[filters::State::Open]);
    let bounds = (selection.time.as_str(), state.as_str());
    let conditions = selection.conditions.clone();
    let wanted = limit.saturating_add(1);
    let mut rows =
        record::page(&service.store, conditions, bounds, Direction::NewestFirst, after, wanted).await?;
    let next_cursor = cut(&mut rows, limit, |last| question.cursor(&last.position()))?;
    let summary = if with_summary { Some(count(&service, &selection).await?) } else { None };
    let rows = shown(&service, &caller, rows, !selection.states.is_empty()).await?;
    Ok(Json(Quarantine { rows, summary, next_cursor }))
}

/// One record that was not posted.
#[utoipa::path(
    get, path = "/v1/quarantine/{id}", tag = "quarantine",
    params(("id" = String, Path, description = "The record's `topic/partition/offset`, each `/` written `%2F`")),
    responses((status = 200, body = Quarantined), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn show(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Json<Quarantined>, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let (stored, decision) = find(&service, &caller, &id).await?;
    Ok(Json(stored.shown(decision)))
}

/// The bytes that are kept of one record that was not posted, secrets redacted; of one over 256 KiB the first 64 KiB.
#[utoipa::path(
    get, path = "/v1/quarantine/{id}/raw", tag = "quarantine",
    params(("id" = String, Path, description = "The record's `topic/partition/offset`, each `/` written `%2F`")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn raw(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let (stored, _) = find(&service, &caller, &id).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        // Whatever the bytes are, no browser runs them.
        (header::CONTENT_DISPOSITION, "attachment; filename=\"record\""),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, stored.bytes()?).into_response())
}

/// The record of that id and what was decided about it; another's record is missing like one that is not there.
async fn find(service: &Service, caller: &Caller, id: &str) -> Result<(Stored, Option<Decision>), Problem> {
    let missing = || Problem::not_found("record in quarantine of that id (topic/partition/offset)");
    let id = RecordId::parse(id).ok_or_else(missing)?;
    let conditions = filters::visible(caller);
    let ids = [id];
    let found = record::named(&service.store, &conditions, &ids).await?;
    let stored = found.into_iter().next().ok_or_else(missing)?;
    let mut decisions = record::decisions(&service.store, &conditions, &ids).await?;
    let [id] = ids;
    Ok((stored, decisions.remove(&id.to_string())))
}

async fn shown(
    service: &Service,
    caller: &Caller,
    rows: Vec<Stored>,
    may_be_resolved: bool,
) -> Result<Vec<Quarantined>, Problem> {
    let ids: Vec<RecordId> = if may_be_resolved { rows.iter().map(Stored::id).collect() } else { Vec::new() };
    let mut decisions = record::decisions(&service.store, &filters::visible(caller), &ids).await?;
    let shown = |row: Stored| {
        let decision = decisions.remove(&row.id().to_string());
        row.shown(decision)
    };
    Ok(rows.into_iter().map(shown).collect())
}

async fn count(service: &Service, selection: &Selection) -> Result<Vec<Count>, Problem> {
    let state = selection.state_sql(&[]);
    let rows: Vec<Counted> = service
        .store
        .bounded(queries::QUARANTINE_SUMMARY, selection.conditions.clone(), |statement| {
            statement
                .slot("time", &selection.time)
                .slot("state", &state)
                .slot("replayed", REPLAYED)
                .slot("discarded", DISCARDED)
        })
        .await?;
    let shown = |row: Counted| Count {
        reason: row.reason_name,
        state: row.state_name,
        records: row.records,
        first_log_time: rfc3339(row.first_ms),
        last_log_time: rfc3339(row.last_ms),
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// Cuts a list that was read one row beyond its limit; answers the cursor of what is left, if anything is.
fn cut(
    rows: &mut Vec<Stored>,
    limit: u64,
    cursor: impl Fn(&Stored) -> Result<String, Problem>,
) -> Result<Option<String>, Problem> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    if more { rows.last().map(cursor).transpose() } else { Ok(None) }
}

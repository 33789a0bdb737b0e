//! `POST /v1/quarantine/replay` and `/discard`: all open records that some filters choose, page by page. A page is one
//! change of the ledger; what was left when a caller stopped is still open, so it begins again where it likes.

use std::collections::{BTreeMap, HashSet};

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use schemas::caller::Caller;
use schemas::command::{Resolution, ResolvedRecord};
use schemas::judge::{Accepted, Sent};
use schemas::log::NewRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::{FILTERS, Selection, State as RecordState};
use super::record::{self, Direction, Position, Stored};
use super::replay::{self, Replay};
use super::resolve::{checked_note, decide, required_note, sent};
use crate::auth::Authenticated;
use crate::body::Body;
use crate::bounds::Value;
use crate::commands::{self, Operation};
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::router::Service;

/// Records of one page.
const RECORDS_MAX: u64 = 200;
/// The reason of a record that cannot be sent as it is, whatever it says.
const NOT_REPLAYABLE: &str = "not_replayable";

/// Body of `POST /v1/quarantine/replay` and `/discard`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    /// Which open records: any of `reason`, `topic`, `partition`, `event_id`, `customer`, `team`, `search`, each with its
    /// values. At least one, or `from` or `to`.
    #[serde(default)]
    filters: BTreeMap<String, Vec<String>>,
    /// Logged at or after that date in `tz` or instant.
    #[serde(default)]
    from: Option<String>,
    /// Logged before that date in `tz` or instant.
    #[serde(default)]
    to: Option<String>,
    /// IANA time zone of dates; UTC by default.
    #[serde(default)]
    tz: Option<String>,
    /// Why; a discard needs it.
    #[serde(default)]
    note: Option<String>,
    /// Says what would be done, and does nothing.
    #[serde(default)]
    dry_run: bool,
    /// Records of this page, 1 to 200; 200 by default. The oldest come first.
    #[serde(default)]
    limit: Option<u64>,
    /// `next_cursor` of the page before. Without it, records that were refused before are tried again.
    #[serde(default)]
    cursor: Option<String>,
}

/// Answer of `POST /v1/quarantine/replay` and `/discard`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BulkResolved {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Open records that the filters chose when the page began, on this page and all others.
    pub matching: u64,
    /// Records of this page that were resolved, or would be.
    pub resolved: Vec<String>,
    /// Records of this page that stay open, and why.
    pub refused: Vec<Refused>,
    /// The change; null where there was nothing to do.
    pub operation: Option<String>,
    /// Whether the change was carried out; else it goes on by itself and `resolved` says what was asked for.
    pub applied: bool,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// A record that is not replayed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// The record.
    pub id: String,
    /// Why its event would go to quarantine again; `not_replayable` where its bytes cannot be sent, `forbidden` where
    /// the token may not send them.
    pub reason: String,
    /// What exactly, and what to do.
    pub detail: String,
}

/// A page of records, as they are to be resolved.
struct Page {
    records: Vec<Stored>,
    matching: u64,
    next_cursor: Option<String>,
}

/// Sends the open records that the filters choose again, as they are. Each is judged first; what would go to quarantine
/// again stays open and is named.
#[utoipa::path(
    post, path = "/v1/quarantine/replay", tag = "quarantine", request_body = Choice,
    responses((status = 200, body = BulkResolved), (status = 202, description = "The page is asked for, and goes on by itself", body = BulkResolved)),
    security(("token" = []))
)]
pub(crate) async fn replay(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Body(choice): Body<Choice>,
) -> Result<(StatusCode, Json<BulkResolved>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let note = checked_note(choice.note.as_deref().unwrap_or_default())?;
    let judge = service.judge()?;
    let page = page(&service, &caller, uri.path(), &choice).await?;
    let (replays, refused) = judged(&service, &caller, &page.records).await?;
    let ids = replays.iter().map(|replay| replay.of.to_string()).collect();
    let mut answer = answer(&choice, &page, ids, refused);
    if choice.dry_run || replays.is_empty() {
        return Ok((StatusCode::OK, Json(answer)));
    }
    let records = replays.iter().map(|replay| ResolvedRecord { record: replay.of.clone(), event: None });
    let operation = decide(&service, &caller, Resolution::Replay, records.collect(), note).await?;
    if !carried_out(&service, &mut answer, &operation, "replayed") {
        return Ok((StatusCode::ACCEPTED, Json(answer)));
    }
    // Others may have been resolved by somebody else since the page was read; they are not sent here.
    let ours: HashSet<&str> = answer.resolved.iter().map(String::as_str).collect();
    let replays =
        replays.into_iter().filter(|replay| ours.contains(replay.of.to_string().as_str())).collect();
    let status = match replay::log(&service, judge.as_ref(), &caller, replays).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::ACCEPTED,
    };
    Ok((status, Json(answer)))
}

/// Lets the open records that the filters choose go, with a note that says why.
#[utoipa::path(
    post, path = "/v1/quarantine/discard", tag = "quarantine", request_body = Choice,
    responses((status = 200, body = BulkResolved), (status = 202, description = "The page is asked for, and goes on by itself", body = BulkResolved)),
    security(("token" = []))
)]
pub(crate) async fn discard(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Body(choice): Body<Choice>,
) -> Result<(StatusCode, Json<BulkResolved>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let note = required_note(choice.note.as_deref().unwrap_or_default())?;
    let page = page(&service, &caller, uri.path(), &choice).await?;
    let records: Vec<ResolvedRecord> =
        page.records.iter().map(|stored| ResolvedRecord { record: stored.id(), event: None }).collect();
    let ids = records.iter().map(|record| record.record.to_string()).collect();
    let mut answer = answer(&choice, &page, ids, Vec::new());
    if choice.dry_run || records.is_empty() {
        return Ok((StatusCode::OK, Json(answer)));
    }
    let operation = decide(&service, &caller, Resolution::Discard, records, note).await?;
    let is_done = carried_out(&service, &mut answer, &operation, "discarded");
    Ok((if is_done { StatusCode::OK } else { StatusCode::ACCEPTED }, Json(answer)))
}

/// Reads the page that the choice asks for.
async fn page(service: &Service, caller: &Caller, path: &str, choice: &Choice) -> Result<Page, Problem> {
    let mut parameters = Parameters::of(choice.pairs())?;
    if choice.chooses_all() {
        return Err(Problem::parameter(
            "filters",
            "`filters` chooses the records: name at least one filter, or `from` or `to`",
        )
        .allowed(FILTERS));
    }
    let mut selection = Selection::take(caller, &mut parameters)?;
    if !selection.states.is_empty() {
        return Err(Problem::parameter("state", "only open records are resolved; leave `state` out"));
    }
    parameters.finish(FILTERS)?;
    let limit = choice.limit.unwrap_or(RECORDS_MAX);
    if !(1..=RECORDS_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("`limit` cannot be {limit}"))
            .allowed([format!("a whole number from 1 to {RECORDS_MAX}")]));
    }
    let question = Question::of(caller, path, Some(&choice.question()));
    // What was logged after the first page began waits: a replay that ends in quarantine again is not met again.
    let cursor = choice.cursor.as_deref().map(|cursor| question.position(cursor)).transpose()?;
    let (after, until): (Option<Position>, i64) = match cursor {
        Some((after, until)) => (Some(after), until),
        None => (None, Timestamp::now().as_millisecond()),
    };
    let until_sql = selection.conditions.values.bind("Int64", Value::Int(until));
    selection.conditions.and(format!("log_time <= fromUnixTimestamp64Milli({until_sql}, 'UTC')"));
    let state = selection.state_sql(&[RecordState::Open]);
    let bounds = (selection.time.as_str(), state.as_str());
    let matching = super::count(service, &selection).await?;
    let matching = matching.iter().filter(|count| count.state == "open").map(|count| count.records).sum();
    let conditions = selection.conditions.clone();
    let wanted = limit.saturating_add(1);
    let mut records =
        record::page(&service.store, conditions, bounds, Direction::OldestFirst, after, wanted).await?;
    let next_cursor = super::cut(&mut records, limit, |last| question.cursor(&(last.position(), until)))?;
    Ok(Page { records, matching, next_cursor })
}

/// Judges the records of a page together, in the order in which they would be logged.
async fn judged(
    service: &Service,
    caller: &Caller,
    records: &[Stored],
) -> Result<(Vec<Replay>, Vec<Refused>), Problem> {
    let (mut sendable, mut events, mut refused) = (Vec::new(), Vec::<Sent>::new(), Vec::new());
    for stored in records {
        match sent(stored, None) {
            Ok(event) => {
                sendable.push(stored);
                events.push(event);
            }
            Err(problem) if problem.status_code() == StatusCode::CONFLICT => refused.push(Refused {
                id: stored.id().to_string(),
                reason: NOT_REPLAYABLE.to_owned(),
                detail: problem.detail,
            }),
            Err(problem) => return Err(problem),
        }
    }
    let verdicts = service
        .judge()?
        .judge(caller, events)
        .await
        .map_err(|unavailable| Problem::unavailable(unavailable.to_string()))?;
    let mut replays = Vec::new();
    for (stored, verdict) in sendable.into_iter().zip(verdicts) {
        match verdict {
            Ok(Accepted { record, .. }) => replays.push(replay_of(stored, record)),
            Err(rejected) => refused.push(Refused {
                id: stored.id().to_string(),
                reason: rejected.reason.into_owned(),
                detail: rejected.detail,
            }),
        }
    }
    for refused in &refused {
        service.metrics.quarantine_refused.with_label_values(&[refused.reason.as_str()]).inc();
    }
    Ok((replays, refused))
}

fn replay_of(stored: &Stored, record: NewRecord) -> Replay {
    Replay { of: stored.id(), record }
}

fn answer(choice: &Choice, page: &Page, resolved: Vec<String>, refused: Vec<Refused>) -> BulkResolved {
    BulkResolved {
        dry_run: choice.dry_run,
        matching: page.matching,
        resolved,
        refused,
        operation: None,
        applied: false,
        next_cursor: page.next_cursor.clone(),
    }
}

/// Notes in the answer what the command did; answers whether it was carried out.
fn carried_out(service: &Service, answer: &mut BulkResolved, operation: &Operation, state: &str) -> bool {
    #[derive(Deserialize)]
    struct Did {
        resolved: Vec<String>,
    }

    answer.operation = Some(operation.id.clone());
    answer.applied = operation.state == commands::State::Applied;
    let did = operation.result.as_ref().and_then(|result| serde_json::from_str::<Did>(result.get()).ok());
    if let (true, Some(did)) = (answer.applied, did) {
        answer.resolved = did.resolved;
        let count = u64::try_from(answer.resolved.len()).unwrap_or(u64::MAX);
        service.metrics.quarantine_resolved.with_label_values(&[state]).inc_by(count);
    }
    answer.applied
}

impl Choice {
    fn pairs(&self) -> Vec<(String, String)> {
        let filters = self
            .filters
            .iter()
            .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())));
        let time = [("from", &self.from), ("to", &self.to), ("tz", &self.tz)];
        let time = time.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        filters.chain(time).collect()
    }

    fn chooses_all(&self) -> bool {
        self.filters.values().all(Vec::is_empty) && self.from.is_none() && self.to.is_none()
    }

    /// What a cursor belongs to.
    fn question(&self) -> String {
        self.pairs()
            .into_iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect::<Vec<_>>()
            .join("&")
    }
}

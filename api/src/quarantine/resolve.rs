//! `POST /v1/quarantine/{id}/replay` and `/discard`: one record is sent again, as it is or corrected, or let go. What
//! would go to quarantine again is refused before anything is logged.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use ledger::reject::Reason;
use schemas::caller::Caller;
use schemas::command::{Command, Resolution, ResolveQuarantine, ResolvedRecord};
use schemas::event::secret::redact_text;
use schemas::judge::{Accepted, FORBIDDEN, Judge, Rejected, Sent};
use schemas::log::COMMANDS_TOPIC;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::record::{Decision, Stored};
use super::replay::{self, Replay};
use crate::auth::Authenticated;
use crate::body::Body;
use crate::commands::{self, Operation, Reach};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::router::Service;

/// Characters that a note may have.
const NOTE_CHARS_MAX: usize = 2_000;
/// Characters of an event id that the quarantine keeps; a longer one is cut there.
const EVENT_ID_CHARS: usize = 128;

/// Body of `POST /v1/quarantine/{id}/replay`; no body means the same as an empty object.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replaying {
    /// The event to send in the record's place, under the same `event_id`; under a new one in place of a conflict.
    /// Without it the record's own bytes are sent.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
    /// Why.
    #[serde(default)]
    note: Option<String>,
}

/// Body of `POST /v1/quarantine/{id}/discard`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discarding {
    /// Why.
    note: String,
}

/// Answer of `POST /v1/quarantine/{id}/replay` and `/discard`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Resolved {
    /// The record.
    pub id: String,
    /// `replayed` or `discarded`; `open` while the change has not been carried out.
    pub state: String,
    /// The event that was sent; null where the record was discarded.
    pub event_id: Option<String>,
    /// Where the event lies in the log, as `topic/partition/offset`; null while it is on its way there, which goes on
    /// by itself.
    pub replayed_as: Option<String>,
    /// The change.
    pub operation: String,
}

/// Sends a record again, as it is or corrected. It is judged first; what would go to quarantine again is refused. It
/// is a new record of the log with a log time of its own, by which its `occurred_at` is judged: an event that lay too
/// far in the future when it was first sent may be in order by now. Its first record stays counted as quarantined,
/// the new one counts as what becomes of it.
#[utoipa::path(
    post, path = "/v1/quarantine/{id}/replay", tag = "quarantine", request_body = Option<Replaying>,
    params(("id" = String, Path, description = "The record's `topic/partition/offset`, each `/` written `%2F`")),
    responses(
        (status = 200, description = "The event is in the log; it is posted within moments", body = Resolved),
        (status = 202, description = "The replay is asked for or decided, and goes on by itself", body = Resolved),
        (status = 403, description = "The token may not send that event", body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The record was resolved before, or cannot be sent like this; `detail` says what to do", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The event would go to quarantine again, for the `reason` given", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(crate) async fn replay(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<Resolved>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let asked = Replaying::parse(&body)?;
    let note = checked_note(asked.note.as_deref().unwrap_or_default())?;
    let judge = service.judge()?;
    let (stored, decision) = super::find(&service, &caller, &id).await?;
    still_open(&stored, decision)?;
    let sent = sent(&stored, asked.event.as_deref())?;
    let is_corrected = asked.event.is_some();
    let Accepted { event_id, record } = judged(&service, judge.as_ref(), &caller, sent).await?;
    if is_corrected {
        under_the_right_id(&stored, &event_id)?;
    }
    let event = if is_corrected { text_of(record.value.as_deref())? } else { None };
    let records = vec![ResolvedRecord { record: stored.id(), event }];
    let operation = decide(&service, &caller, Resolution::Replay, records, note).await?;
    let mut answer = Resolved {
        id: stored.id().to_string(),
        state: state_after(&operation, "replayed"),
        event_id: Some(event_id),
        replayed_as: None,
        operation: operation.id.clone(),
    };
    if operation.state != commands::State::Applied {
        return Ok((StatusCode::ACCEPTED, Json(answer)));
    }
    service.metrics.quarantine_resolved.with_label_values(&["replayed"]).inc();
    let replays = vec![Replay { of: stored.id(), record }];
    let Ok(logged) = replay::log(&service, judge.as_ref(), &caller, replays).await else {
        return Ok((StatusCode::ACCEPTED, Json(answer)));
    };
    answer.replayed_as = logged.first().map(|replay| replay.logged.to_string());
    Ok((StatusCode::OK, Json(answer)))
}

/// Lets a record go, with a note that says why. It stays to be seen, and counted as quarantined.
#[utoipa::path(
    post, path = "/v1/quarantine/{id}/discard", tag = "quarantine", request_body = Discarding,
    params(("id" = String, Path, description = "The record's `topic/partition/offset`, each `/` written `%2F`")),
    responses(
        (status = 200, body = Resolved),
        (status = 202, description = "The change is asked for, and goes on by itself", body = Resolved),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The record was resolved before", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(crate) async fn discard(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    Body(asked): Body<Discarding>,
) -> Result<(StatusCode, Json<Resolved>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let note = required_note(&asked.note)?;
    let (stored, decision) = super::find(&service, &caller, &id).await?;
    still_open(&stored, decision)?;
    let records = vec![ResolvedRecord { record: stored.id(), event: None }];
    let operation = decide(&service, &caller, Resolution::Discard, records, note).await?;
    let is_done = operation.state == commands::State::Applied;
    if is_done {
        service.metrics.quarantine_resolved.with_label_values(&["discarded"]).inc();
    }
    let answer = Resolved {
        id: stored.id().to_string(),
        state: state_after(&operation, "discarded"),
        event_id: None,
        replayed_as: None,
        operation: operation.id,
    };
    Ok((if is_done { StatusCode::OK } else { StatusCode::ACCEPTED }, Json(answer)))
}

impl Replaying {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let asked: Self = serde_json::from_slice(body)
            .map_err(|error| Problem::body(format!("the body is not valid: {error}")))?;
        if asked.event.as_ref().is_some_and(|event| !event.get().starts_with('{')) {
            return Err(Problem::parameter("event", "`event` is the corrected event, a JSON object"));
        }
        Ok(asked)
    }
}

/// Orders the decision.
pub(super) async fn decide(
    service: &Service,
    caller: &Caller,
    resolution: Resolution,
    records: Vec<ResolvedRecord>,
    note: String,
) -> Result<Operation, Problem> {
    let command = Command::ResolveQuarantine(ResolveQuarantine { resolution, records, note });
    commands::change(service, caller, &command, Reach::Tables).await
}

/// A note that may be kept: what looks like a credential is refused, not redacted, so that it is noticed.
pub(super) fn checked_note(note: &str) -> Result<String, Problem> {
    if note.chars().count() > NOTE_CHARS_MAX {
        return Err(Problem::parameter("note", format!("`note` has at most {NOTE_CHARS_MAX} characters")));
    }
    if redact_text(note) != note {
        return Err(Problem::parameter(
            "note",
            "`note` holds what looks like a live credential: leave it out, and revoke it",
        ));
    }
    Ok(note.trim().to_owned())
}

/// The note of a discard, which must not be empty.
pub(super) fn required_note(note: &str) -> Result<String, Problem> {
    let note = checked_note(note)?;
    if note.is_empty() {
        return Err(Problem::parameter("note", "`note` says why the record is let go; it must not be empty"));
    }
    Ok(note)
}

/// What a replay of the record sends: the corrected event, or its own bytes where those can be sent again.
pub(super) fn sent(stored: &Stored, event: Option<&RawValue>) -> Result<Sent, Problem> {
    if stored.origin_topic == COMMANDS_TOPIC {
        return Err(not_like_this(
            "it is a record of the command log and no event: make the change again, and discard this",
        ));
    }
    if let Some(event) = event {
        return Ok(Sent { value: event.get().as_bytes().to_vec(), content_type: None });
    }
    let value = stored.bytes()?;
    let kept = u64::try_from(value.len()).unwrap_or(u64::MAX);
    if stored.is_redacted || stored.reason_name == Reason::Secret.name() {
        return Err(not_like_this(
            "a credential was taken out of it, so its bytes are not those that were sent: send the corrected event as `event`, without the credential",
        ));
    }
    if stored.reason_name == Reason::Tombstone.name() {
        return Err(not_like_this("it has no value: send the event as `event`, or discard the record"));
    }
    if kept != stored.raw_length {
        return Err(not_like_this(format!(
            "only {kept} of its {} bytes are kept: send the event as `event`, made smaller",
            stored.raw_length
        )));
    }
    if stored.reason_name == Reason::Conflict.name() {
        return Err(not_like_this(
            "another event was posted under its id, so it can be sent under a new one only: send it as `event`, with a new `event_id`",
        ));
    }
    Ok(Sent { value, content_type: stored.content_type() })
}

pub(super) fn not_like_this(detail: impl Into<String>) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "not-replayable",
        "The record cannot be replayed like this",
        format!("the record cannot be replayed like this: {}", detail.into()),
    )
}

/// A corrected event keeps its id, by which its repeats are recognized; that of a conflict is taken by another event.
fn under_the_right_id(stored: &Stored, event_id: &str) -> Result<(), Problem> {
    let before = stored.event_id.as_str();
    if stored.reason_name == Reason::Conflict.name() {
        return if event_id == before {
            Err(not_like_this(format!(
                "another event was posted under the id `{before}`: give the corrected event a new `event_id`"
            )))
        } else {
            Ok(())
        };
    }
    // An id that was cut or redacted is none that an event could keep.
    let is_whole = !before.is_empty() && redacted_free(before) && before.chars().count() < EVENT_ID_CHARS;
    if is_whole && event_id != before {
        return Err(not_like_this(format!(
            "the corrected event has the id `{event_id}` and the record `{before}`: keep the record's `event_id`, by which repeats are recognized"
        )));
    }
    Ok(())
}

fn redacted_free(text: &str) -> bool {
    !text.contains(schemas::event::secret::REDACTED)
}

/// Judges one event; why it would be rejected is a problem.
async fn judged(
    service: &Service,
    judge: &dyn Judge,
    caller: &Caller,
    sent: Sent,
) -> Result<Accepted, Problem> {
    let verdicts = judge
        .judge(caller, vec![sent])
        .await
        .map_err(|unavailable| Problem::unavailable(unavailable.to_string()))?;
    match verdicts.into_iter().next() {
        Some(Ok(accepted)) => Ok(accepted),
        Some(Err(rejected)) => {
            service.metrics.quarantine_refused.with_label_values(&[rejected.reason.as_ref()]).inc();
            Err(would_be_rejected(&rejected))
        }
        None => Err(Problem::internal()),
    }
}

fn would_be_rejected(rejected: &Rejected) -> Problem {
    let mut problem = if rejected.reason == FORBIDDEN {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", "The token may not do this", rejected.detail.clone())
    } else {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "quarantined-again",
            "The event would go to quarantine again",
            format!("the event would go to quarantine again as {}: {}", rejected.reason, rejected.detail),
        )
    };
    problem.reason = Reason::parse(&rejected.reason);
    problem
}

/// Whether nothing was decided about the record; what was is named.
fn still_open(stored: &Stored, decision: Option<Decision>) -> Result<(), Problem> {
    let Some(Decision { state, shown, .. }) = decision else { return Ok(()) };
    let place = match shown.replayed_as {
        Some(place) => format!("; its event is record {place} of the log"),
        None if state == "replayed" => "; its event is on its way to the log".to_owned(),
        None => String::new(),
    };
    Err(Problem::new(
        StatusCode::CONFLICT,
        "already-resolved",
        "The record was resolved before",
        format!(
            "record {} was {state} at {} by token {} (operation {}){place}",
            stored.id(),
            shown.at,
            shown.actor,
            shown.operation
        ),
    ))
}

fn text_of(value: Option<&[u8]>) -> Result<Option<String>, Problem> {
    value.map(|value| String::from_utf8(value.to_vec()).map_err(|_| Problem::internal())).transpose()
}

fn state_after(operation: &Operation, state: &str) -> String {
    if operation.state == commands::State::Applied { state } else { "open" }.to_owned()
}

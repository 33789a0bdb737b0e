//! Changes go through the log: a change is appended as a command, and the answer waits until it has been carried
//! out, for a bounded time. What takes longer goes on by itself and is an operation to look up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use clickhouse::Row;
use schemas::caller::Caller;
use schemas::command::Command;
use schemas::log::COMMANDS_TOPIC;
use schemas::queries;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use crate::bounds::{Value, Values};
use crate::completeness;
use crate::error::Problem;
use crate::period::rfc3339;
use crate::router::Service;
use crate::store::{Store, chain};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Sent commands that this process remembers, to tell `pending` from unknown.
const SENT_MAX: usize = 1_000;
/// What the worker says of a command that it did not carry out.
const REFUSED: &str = "refused";

/// A change that was asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// What it does; null while it has not been carried out.
    pub name: Option<String>,
    /// Id of the token that asked for it; null while it has not been carried out.
    pub actor: Option<String>,
    /// How far it is.
    pub state: State,
    /// Why it was refused, or what it did.
    pub detail: Option<String>,
    /// What it did.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Box<RawValue>>,
    /// When it was logged.
    #[schema(format = DateTime)]
    pub logged_at: Option<String>,
    /// When it was carried out.
    #[schema(format = DateTime)]
    pub recorded_at: Option<String>,
}

/// How far a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the log; not carried out yet.
    Pending,
    /// Carried out; a worker may still price with what was before.
    Posted,
    /// Carried out, and every worker knows.
    Applied,
    /// Not carried out, for the reason that `detail` gives.
    Refused,
}

#[derive(Row, Deserialize)]
struct Executed {
    command_offset: u64,
    command_name: String,
    actor: String,
    log_ms: i64,
    recorded_ms: i64,
    outcome_name: String,
    detail: String,
    result: String,
}

/// Ids of the commands that this process sent, the newest last.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<VecDeque<String>>>);

impl Sent {
    fn remember(&self, id: &str) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() == SENT_MAX {
            sent.pop_front();
        }
        sent.push_back(id.to_owned());
    }

    fn knows(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|sent| sent == id)
    }
}

/// Whom a change must have reached before it counts as applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The tables, which whoever looks reads.
    Tables,
    /// Every worker, because workers price with it.
    Workers,
}

/// Sends a command and waits. A refusal is a problem.
pub(crate) async fn change(
    service: &Service,
    caller: &Caller,
    command: &Command,
    reach: Reach,
) -> Result<Operation, Problem> {
    let id = new_id("op")?;
    let records = command.to_records(&id, &caller.token_id).map_err(|error| {
        tracing::error!(error = chain(&error), "A command cannot be written");
        Problem::internal()
    })?;
    service.log.append(COMMANDS_TOPIC, records).await.map_err(|error| {
        tracing::error!(error = chain(&error), "The log did not take a command");
        Problem::unavailable("the log does not take changes now; nothing may have been changed; try again")
    })?;
    service.sent.remember(&id);
    let deadline = Instant::now() + service.change_wait;
    loop {
        let operation = look(&service.store, &id, reach).await?.unwrap_or_else(|| pending(&id));
        match operation.state {
            State::Refused => return Err(refused(&operation)),
            State::Applied => return Ok(operation),
            State::Pending | State::Posted if Instant::now() >= deadline => return Ok(operation),
            State::Pending | State::Posted => sleep(LOOK).await,
        }
    }
}

/// The state of a command that was sent by any process; `None` where nobody knows it.
pub(crate) async fn state(service: &Service, id: &str) -> Result<Option<Operation>, Problem> {
    let found = look(&service.store, id, Reach::Workers).await?;
    Ok(found.or_else(|| service.sent.knows(id).then(|| pending(id))))
}

/// An id that nobody else mints: 128 random bits.
pub(crate) fn new_id(prefix: &str) -> Result<String, Problem> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(error = error.to_string(), "The system has no random bytes");
        Problem::internal()
    })?;
    Ok(format!("{prefix}{:032x}", u128::from_be_bytes(bytes)))
}

async fn look(store: &Store, id: &str, reach: Reach) -> Result<Option<Operation>, Problem> {
    let values = Values::default().with("command_id", Value::Text(id.to_owned()));
    let rows: Vec<Executed> = store.open(queries::COMMAND, values).await?;
    let Some(executed) = rows.into_iter().next() else { return Ok(None) };
    let state = if executed.outcome_name == REFUSED {
        State::Refused
    } else if reach == Reach::Tables {
        State::Applied
    } else {
        // Workers speak of the commands with a smaller offset.
        let through = completeness::commands_through(store).await?;
        if through.is_some_and(|through| through > executed.command_offset) {
            State::Applied
        } else {
            State::Posted
        }
    };
    Ok(Some(Operation {
        id: id.to_owned(),
        name: Some(executed.command_name),
        actor: Some(executed.actor),
        state,
        detail: Some(executed.detail).filter(|detail| !detail.is_empty()),
        result: RawValue::from_string(executed.result).ok(),
        logged_at: Some(rfc3339(executed.log_ms)),
        recorded_at: Some(rfc3339(executed.recorded_ms)),
    }))
}

fn pending(id: &str) -> Operation {
    Operation {
        id: id.to_owned(),
        name: None,
        actor: None,
        state: State::Pending,
        detail: None,
        result: None,
        logged_at: None,
        recorded_at: None,
    }
}

fn refused(operation: &Operation) -> Problem {
    let detail = operation.detail.as_deref().unwrap_or("the change was refused");
    Problem::new(
        StatusCode::CONFLICT,
        "refused",
        "The change was refused",
        format!("{detail} (operation {})", operation.id),
    )
}

//! Carries operations on: starts one, sends its steps one after the other, and finishes what a process left. Two that
//! send the same step do no harm: the worker refuses the second.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use schemas::caller::Caller;
use schemas::command::{Command, StartOperation, StepOperation};
use schemas::log::COMMANDS_TOPIC;
use schemas::operations::{Call, History, HistoryRow, Known, STEP_ENTRIES_MAX};
use schemas::queries;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::preview::{self, Preview};
use crate::bounds::{Value, Values};
use crate::commands::{self, Reach, State};
use crate::error::Problem;
use crate::invoices::books::positions;
use crate::router::Service;
use crate::store::Store;

/// Between two looks at an operation that somebody waits for.
const LOOK: Duration = Duration::from_millis(50);
/// A step that takes longer than a call is waited for this long.
const STEP_WAIT: Duration = Duration::from_secs(600);
/// An operation that has not moved for this much longer than a call waits was left by whoever sent its steps.
const LEFT_AFTER: Duration = Duration::from_secs(5);

/// Operations whose steps this process sends.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<u64>>>);

#[derive(clickhouse::Row, Deserialize)]
struct Part {
    part_body: String,
}

impl Running {
    /// Whether nobody here sends the steps of the operation yet; from now on the caller does.
    fn begin(&self, operation: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(operation)
    }

    fn end(&self, operation: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&operation);
    }
}

/// What a call would do now.
pub(super) async fn dry_run(service: &Service, call: &Call) -> Result<Preview, Problem> {
    // Before the positions: an operation that counts lies before them whole.
    let snapshot = service.store.snapshot().await?;
    let cut = positions(&snapshot).await?;
    let slices = preview::parts(&snapshot, call, &cut, STEP_ENTRIES_MAX).await?;
    preview::preview(&snapshot, call, &cut, &slices, false).await
}

/// Carries a call out. The same call again answers the first operation, where that is not reverted and nothing would
/// change.
pub(super) async fn apply(service: &Service, caller: &Caller, call: Call) -> Result<Known, Problem> {
    let history = history(&service.store).await?;
    let earlier = history.0.into_iter().rev().find(|known| known.started.call == call);
    let snapshot = service.store.snapshot().await?;
    let cut = positions(&snapshot).await?;
    let slices = preview::parts(&snapshot, &call, &cut, service.step_entries_max).await?;
    if let Some(earlier) = earlier.filter(|known| known.reverted_by.is_none()) {
        if earlier.finished_at.is_none() {
            return wait(service, earlier).await;
        }
        let again = preview::preview(&snapshot, &call, &cut, &slices, true).await?;
        if again.entries == 0 {
            return Ok(earlier);
        }
    }
    start(service, caller, StartOperation { call, cut, slices }).await
}

/// Takes an operation back.
pub(super) async fn revert(
    service: &Service,
    caller: &Caller,
    call: Call,
    reverted: &Known,
) -> Result<Known, Problem> {
    let values = Values::default()
        .with("topic", Value::Text(COMMANDS_TOPIC.to_owned()))
        .with("command_id", Value::Text(reverted.id.clone()));
    let parts: Vec<Part> = service.store.open(queries::OPERATION_BODY, values).await?;
    let body: String = parts.into_iter().map(|part| part.part_body).collect();
    let original: StartOperation = serde_json::from_str(&body).map_err(|error| unreadable(&error))?;
    let cut = positions(&service.store).await?;
    start(service, caller, StartOperation { call, cut, slices: original.slices }).await
}

async fn start(service: &Service, caller: &Caller, start: StartOperation) -> Result<Known, Problem> {
    let command = Command::StartOperation(Box::new(start));
    let operation = commands::change(service, caller, &command, Reach::Tables).await?;
    if operation.state != State::Applied {
        let detail = format!(
            "the operation waits for its turn; `GET /v1/operations/{}` tells how far it is",
            operation.id
        );
        return Err(Problem::unavailable(detail));
    }
    let known = find(&service.store, &operation.id).await?.ok_or_else(Problem::internal)?;
    carry_on(service.clone(), known.clone());
    wait(service, known).await
}

/// Waits for an operation as long as a call may, and answers how far it is.
async fn wait(service: &Service, mut known: Known) -> Result<Known, Problem> {
    let deadline = Instant::now() + service.change_wait;
    while known.finished_at.is_none() && Instant::now() < deadline {
        sleep(LOOK).await;
        known = find(&service.store, &known.id).await?.ok_or_else(Problem::internal)?;
    }
    Ok(known)
}

/// Sends the steps of an operation until it is finished, beside everything else.
fn carry_on(service: Service, known: Known) {
    let operation = known.started.operation;
    if !service.running.begin(operation) {
        return;
    }
    tokio::spawn(async move {
        if let Err(problem) = send_steps(&service, known).await {
            tracing::warn!(
                operation,
                detail = problem.detail,
                "An operation waits: its steps go on with the next look"
            );
        }
        service.running.end(operation);
    });
}

async fn send_steps(service: &Service, mut known: Known) -> Result<(), Problem> {
    let caller = Caller {
        token_id: known.actor.clone(),
        scopes: Vec::new(),
        customers: Vec::new(),
        teams: Vec::new(),
    };
    while known.finished_at.is_none() {
        let before = known.steps_done;
        let step = StepOperation { operation: known.started.operation, step: before };
        let sent = commands::change(service, &caller, &Command::StepOperation(step), Reach::Tables).await;
        let is_pending = match sent {
            Ok(operation) => operation.state != State::Applied,
            // Another process was first.
            Err(problem) if problem.status == 409 => false,
            Err(problem) => return Err(problem),
        };
        let deadline = Instant::now() + if is_pending { STEP_WAIT } else { Duration::ZERO };
        loop {
            known = find(&service.store, &known.id).await?.ok_or_else(Problem::internal)?;
            if known.steps_done > before {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Problem::unavailable(
                    "a step was refused or is not carried out yet; `GET /v1/audit-log` says which",
                ));
            }
            sleep(LOOK).await;
        }
    }
    tracing::info!(
        operation = known.started.operation,
        entries = known.outcome.entries,
        "Operation {} is finished: {} entries were posted anew",
        known.id,
        known.outcome.entries
    );
    Ok(())
}

/// Goes on with operations that have not moved for a while, because whoever sent their steps died.
pub(crate) async fn carry_on_left(service: &Service) -> Result<(), Problem> {
    let patience = service.change_wait.saturating_add(LEFT_AFTER).as_millis();
    let now = Timestamp::now().as_millisecond();
    for known in history(&service.store).await?.0 {
        let age = u128::try_from(now.saturating_sub(known.moved_at)).unwrap_or(0);
        if known.finished_at.is_none() && age > patience {
            tracing::info!(operation = known.started.operation, "Going on with an operation that was left");
            carry_on(service.clone(), known);
        }
    }
    Ok(())
}

/// The operation that a start of that id began.
pub(crate) async fn find(store: &Store, id: &str) -> Result<Option<Known>, Problem> {
    Ok(history(store).await?.0.into_iter().find(|known| known.id == id))
}

async fn history(store: &Store) -> Result<History, Problem> {
    let values = Values::default()
        .with("topic", Value::Text(COMMANDS_TOPIC.to_owned()))
        .with("before", Value::Unsigned(u64::MAX));
    let rows: Vec<HistoryRow> = store.open(queries::OPERATIONS, values).await?;
    History::read(rows).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(error = error.to_string(), "An operation cannot be read");
    Problem::internal()
}

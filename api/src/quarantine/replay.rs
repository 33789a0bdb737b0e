//! Brings the events of replays into the log. The decision comes first, as a command, so that of two replays of one
//! record one is refused; then the event is appended, then a second command says where it lies. Whoever dies in
//! between leaves a replay without the last, which is finished here: the event is appended again. If the first append
//! was in the log after all, the second is a repeat of the same id and content, which the ledger drops.

use std::time::Duration;

use schemas::caller::Caller;
use schemas::command::{Command, ConfirmReplays, LoggedReplay, RecordId};
use schemas::judge::{Accepted, Judge, Sent};
use schemas::log::{CONTENT_TYPE_HEADER, NewRecord, REPLAYS_HEADER};
use schemas::queries;
use serde::Deserialize;

use super::record::{self, Decision, Stored};
use crate::bounds::{Bounds, Conditions, Value, Values};
use crate::commands::{self, Reach};
use crate::error::Problem;
use crate::operations::run;
use crate::router::Service;
use crate::store::chain;

/// Between two looks for replays that were left unfinished.
const LOOK: Duration = Duration::from_secs(5);
/// Replays that are finished at once.
const FINISHED_MAX: u64 = 100;
/// A replay that is this much older than a call waits for its decision was left by whoever made it.
const LEFT_AFTER: Duration = Duration::from_secs(5);
/// Who finishes replays, in the audit log.
const SERVICE: &str = "tollbook";

/// A replay that was decided, and the record that it appends.
pub(super) struct Replay {
    pub(super) of: RecordId,
    pub(super) record: NewRecord,
}

/// What the API does on its own account: it finishes replays that a process left between decision and log.
pub struct Chores(pub(crate) Service);

#[derive(clickhouse::Row, Deserialize)]
struct Unlogged {
    record_id: String,
}

impl Chores {
    /// Does them until the future is dropped.
    pub async fn run(self) {
        loop {
            if let Err(problem) = self.finish_replays().await {
                tracing::warn!(
                    detail = problem.detail,
                    "Replays that were left unfinished wait: the next look is soon"
                );
            }
            if let Err(problem) = run::carry_on_left(&self.0).await {
                tracing::warn!(
                    detail = problem.detail,
                    "Operations that were left unfinished wait: the next look is soon"
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn finish_replays(&self) -> Result<(), Problem> {
        let Self(service) = self;
        let Some(judge) = &service.judge else { return Ok(()) };
        let age = service.change_wait.saturating_add(LEFT_AFTER);
        let values = Values::default()
            .with("age_ms", Value::Unsigned(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
            .with("limit", Value::Unsigned(FINISHED_MAX));
        let rows: Vec<Unlogged> = service.store.open(queries::QUARANTINE_UNLOGGED, values).await?;
        let ids: Vec<RecordId> = rows.iter().filter_map(|row| RecordId::parse(&row.record_id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        tracing::info!(
            records = ids.len(),
            "Finishing {} replays that were left between decision and log",
            ids.len()
        );
        let conditions = Conditions::of(&Bounds::of_service());
        let stored = record::named(&service.store, &conditions, &ids).await?;
        let decisions = record::decisions(&service.store, &conditions, &ids).await?;
        let caller = Caller {
            token_id: SERVICE.to_owned(),
            scopes: Vec::new(),
            customers: Vec::new(),
            teams: Vec::new(),
        };
        let mut replays = Vec::new();
        for stored in &stored {
            if let Some(decision) = decisions.get(&stored.id().to_string()) {
                replays.push(decided(judge.as_ref(), &caller, stored, decision).await?);
            }
        }
        log(service, judge.as_ref(), &caller, replays).await.map(drop)
    }
}

/// Appends the events of replays and says where they lie.
///
/// # Errors
/// Where the log does not take them; then they are finished later.
pub(super) async fn log(
    service: &Service,
    judge: &dyn Judge,
    caller: &Caller,
    replays: Vec<Replay>,
) -> Result<Vec<LoggedReplay>, Problem> {
    let topic = judge.topic();
    let (of, records): (Vec<RecordId>, Vec<NewRecord>) = replays
        .into_iter()
        .map(|Replay { of, mut record }| {
            record.headers.push((REPLAYS_HEADER.to_owned(), of.to_string().into_bytes()));
            (of, record)
        })
        .unzip();
    let positions = service.log.append(topic, records).await.map_err(|error| {
        tracing::error!(
            error = chain(&error),
            "The log did not take replayed events; they are sent again soon"
        );
        Problem::unavailable(
            "the log does not take events now; the replay is on record and goes on by itself",
        )
    })?;
    let logged = of.into_iter().zip(positions).map(|(record, position)| LoggedReplay {
        record,
        logged: RecordId { topic: topic.to_owned(), partition: position.partition, offset: position.offset },
    });
    let logged: Vec<LoggedReplay> = logged.collect();
    let command = Command::ConfirmReplays(ConfirmReplays { replays: logged.clone() });
    // Where this is not carried out in time, or another was first, the events are in the log all the same.
    if let Err(problem) = commands::change(service, caller, &command, Reach::Tables).await {
        tracing::warn!(detail = problem.detail, "Where replayed events lie is not on record yet");
    }
    Ok(logged)
}

/// The record that a decided replay appends, made again from what is stored.
async fn decided(
    judge: &dyn Judge,
    caller: &Caller,
    stored: &Stored,
    decision: &Decision,
) -> Result<Replay, Problem> {
    let sent = if decision.event.is_empty() {
        Sent { value: stored.bytes()?, content_type: stored.content_type() }
    } else {
        Sent { value: decision.event.clone().into_bytes(), content_type: None }
    };
    let verdicts = judge
        .judge(caller, vec![sent.clone()])
        .await
        .map_err(|unavailable| Problem::unavailable(unavailable.to_string()))?;
    let record = match verdicts.into_iter().next() {
        Some(Ok(Accepted { record, .. })) => record,
        // It was judged before it was decided. If the rules have changed since, the worker says so in its turn.
        _ => NewRecord {
            key: None,
            value: Some(sent.value),
            headers: sent
                .content_type
                .map(|name| (CONTENT_TYPE_HEADER.to_owned(), name.into_bytes()))
                .into_iter()
                .collect(),
        },
    };
    Ok(Replay { of: stored.id(), record })
}

//! Carries out operations: a start says what and pins it, and each step posts what a part of it comes to. Everything a
//! step does follows from the start and from what was posted before it, so a step that is made again makes the same rows.

use schemas::command::{Command, StartOperation, StepOperation};
use schemas::invoices::Cut;
use schemas::log::COMMANDS_TOPIC;
use schemas::operations::{
    Asked, Delta, History, HistoryRow, Known, Outcome, Started, Stepped, What, live_rows, reverted_rows,
};
use schemas::posted::{PostedRow, Step};
use schemas::queries;

use super::{CommandMaker, Effect, Place, Refusal};
use crate::batch::MakeError;

/// The table that operations post to.
const TABLE: &str = "entries";

#[derive(clickhouse::Row, serde::Deserialize)]
struct Touched {
    rows: u64,
}

/// A step at work: what it has posted so far.
struct Posting<'a> {
    place: &'a Place<'a>,
    step: Step<'a>,
    ordinal: u32,
    effect: Effect,
    outcome: Outcome,
    delta: Delta,
}

impl CommandMaker {
    pub(super) fn start(&self, place: &Place<'_>, command: &StartOperation) -> Result<Effect, Refusal> {
        let history = self.operations_before(place, place.offset)?;
        let call = &command.call;
        if command.slices.is_empty() {
            return Err(Refusal::Refused("the operation has no step".into()));
        }
        if let Some(open) = history.open_in(call.from, call.to) {
            return Err(Refusal::Refused(format!(
                "operation {} changes entries of the same period and is not finished; wait for it, or name another period",
                open.id
            )));
        }
        if call.what == What::Revert {
            self.may_revert(place, &history, command)?;
        }
        let steps = u32::try_from(command.slices.len())
            .map_err(|_| Refusal::Refused("the operation has too many steps".into()))?;
        // 0 is what no operation posted, so the first offset of the log must not be the number of one.
        let started = Started { operation: place.offset + 1, steps, call: call.clone() };
        let detail = format!("operation {} begins, in {steps} steps", started.operation);
        Ok(Effect { detail, result: written(&started)?, ..Effect::default() })
    }

    /// Whether an operation can be taken back: it is finished, was not taken back, and nothing has built upon it.
    fn may_revert(
        &self,
        place: &Place<'_>,
        history: &History,
        command: &StartOperation,
    ) -> Result<(), Refusal> {
        let reverts = command.call.reverts;
        let refuse = |detail: String| Err(Refusal::Refused(detail));
        let Some(known) = history.get(reverts) else {
            return refuse(format!("there is no operation {reverts}"));
        };
        if known.finished_at.is_none() {
            return refuse(format!("operation {} is not finished; revert it then", known.id));
        }
        if let Some(by) = known.reverted_by.and_then(|by| history.get(by)) {
            return refuse(format!("operation {} was reverted before, by operation {}", known.id, by.id));
        }
        if !command.cut.reaches(&self.started(place, known)?.cut) {
            return refuse(format!(
                "the position is before that of operation {}; ask for it again",
                known.id
            ));
        }
        let query = self
            .store
            .sequential(queries::OPERATION_TOUCHED.text())
            .param("operations", history.counted())
            .param("reverted", reverts)
            .param("from", known.started.call.from)
            .param("to", known.started.call.to);
        let touched: Touched = self.store.block_on(query.fetch_one())?;
        if touched.rows > 0 {
            return refuse(format!(
                "{} entries of operation {} were changed by later operations; revert those first",
                touched.rows, known.id
            ));
        }
        Ok(())
    }

    pub(super) fn step(&self, place: &Place<'_>, command: &StepOperation) -> Result<Effect, Refusal> {
        let history = self.operations_before(place, place.offset)?;
        let Some(known) = history.get(command.operation) else {
            return Err(Refusal::Refused(format!("there is no operation {}", command.operation)));
        };
        if known.steps_done != command.step {
            return Err(Refusal::Refused(format!(
                "step {} of operation {} is not the next one, which is step {}",
                command.step, known.id, known.steps_done
            )));
        }
        let start = self.started(place, known)?;
        let slice = usize::try_from(command.step).ok().and_then(|step| start.slices.get(step));
        let slice = slice.ok_or_else(|| Refusal::Refused("the operation has no such step".into()))?;
        let pinned = command.operation - 1;
        let cut = pinned_cut(&start.cut, place, pinned);
        let counted = self.operations_before(place, pinned)?.counted();
        let asked = if start.call.what == What::Revert {
            reverted_rows(&start.call, slice, &cut, &counted)
        } else {
            live_rows(&start.call, slice, &cut, &counted).map_err(Refusal::Refused)?
        };
        let rows = self.rows(asked)?;
        let mut posting = Posting::new(place, command.operation, &start.call.reason);
        if start.call.what == What::Revert {
            posting.revert(&rows, start.call.reverts);
        } else {
            self.rerate(&mut posting, &rows, &start, pinned)?;
        }
        posting.finish(command, known)
    }

    /// Posts anew what the book, or what is put right, makes another entry.
    fn rerate(
        &self,
        posting: &mut Posting<'_>,
        rows: &[PostedRow],
        start: &StartOperation,
        pinned: u64,
    ) -> Result<(), Refusal> {
        let book = self.books.at(pinned).map_err(Refusal::Store)?;
        for row in rows {
            match row.again(&book, pinned, &start.call.set) {
                Ok(None) => {}
                Ok(Some(next)) => posting.replace(row, &next),
                Err(error) => {
                    tracing::warn!(
                        offset = row.offset,
                        error = error.to_string(),
                        "An entry stays as it is: it cannot be posted anew"
                    );
                    posting.outcome.unpostable += 1;
                }
            }
        }
        Ok(())
    }

    fn rows(&self, asked: Asked) -> Result<Vec<PostedRow>, Refusal> {
        let query = asked
            .values
            .into_iter()
            .fold(self.store.sequential(&asked.sql), |query, (name, value)| query.param(&name, value));
        Ok(self.store.block_on(query.fetch_all())?)
    }

    /// The operations that the commands before an offset began, and how far those brought them.
    pub(super) fn operations_before(&self, place: &Place<'_>, before: u64) -> Result<History, Refusal> {
        let query = self.store.sequential(queries::OPERATIONS.text());
        let rows: Vec<HistoryRow> = self.store.block_on(
            query.param("topic", place.partition.topic.as_ref()).param("before", before).fetch_all(),
        )?;
        History::read(rows).map_err(state)
    }

    /// The body of an operation's start.
    fn started(&self, place: &Place<'_>, known: &Known) -> Result<StartOperation, Refusal> {
        let query = self.store.sequential(queries::OPERATION_BODY.text());
        let parts: Vec<String> = self.store.block_on(
            query.param("topic", place.partition.topic.as_ref()).param("command_id", &known.id).fetch_all(),
        )?;
        match Command::from_parts("start_operation", &parts.concat()) {
            Ok(Command::StartOperation(start)) => Ok(*start),
            Ok(_) => Err(state(format!("operation {} did not start as one", known.id))),
            Err(error) => Err(state(error.to_string())),
        }
    }
}

impl<'a> Posting<'a> {
    fn new(place: &'a Place<'a>, operation: u64, reason: &'a str) -> Self {
        let step = Step {
            topic: &place.partition.topic,
            partition: place.partition.number,
            offset: place.offset,
            batch_first: place.batch_first,
            log_time: place.log_time,
            recorded_at: place.recorded_at,
            operation,
            reason,
        };
        Self {
            place,
            step,
            ordinal: 0,
            effect: Effect::default(),
            outcome: Outcome::default(),
            delta: Delta::default(),
        }
    }

    /// Takes an entry back and posts what it is now.
    fn replace(&mut self, row: &PostedRow, next: &PostedRow) {
        self.outcome.entries += 1;
        let reversal = row.reversal(&self.step, self.ordinal);
        self.push(&reversal);
        let successor = next.successor(&self.step, self.ordinal);
        self.push(&successor);
    }

    /// Takes back what an operation posted, and posts again what it took back.
    fn revert(&mut self, rows: &[PostedRow], reverted: u64) {
        for row in rows {
            if row.operation == reverted {
                self.outcome.entries += 1;
                let reversal = row.reversal(&self.step, self.ordinal);
                self.push(&reversal);
            } else {
                let restored = row.successor(&self.step, self.ordinal);
                self.push(&restored);
            }
        }
    }

    /// A row that is held counts all the same: what a step did does not depend on which run did it.
    fn push(&mut self, row: &PostedRow) {
        self.effect.entry_rows.add(row.digest());
        self.delta.add(row);
        if !self.place.is_held(TABLE, self.ordinal) {
            self.effect.posted.push(row);
        }
        self.ordinal += 1;
    }

    fn finish(self, command: &StepOperation, known: &Known) -> Result<Effect, Refusal> {
        let Self { mut effect, mut outcome, delta, .. } = self;
        outcome.delta = delta.texts();
        effect.detail = format!(
            "step {} of operation {}: {} entries posted anew, {} stay as they are because they cannot be",
            command.step, command.operation, outcome.entries, outcome.unpostable
        );
        let last = command.step + 1 == known.started.steps;
        let id = known.id.clone();
        let stepped = Stepped { id, operation: command.operation, step: command.step, last, outcome };
        effect.result = written(&stepped)?;
        Ok(effect)
    }
}

/// The cut of an operation: of the command log it is the start's own position.
fn pinned_cut(cut: &Cut, place: &Place<'_>, pinned: u64) -> Cut {
    let mut pinned_cut = Cut::default();
    let parts = cut.topics.iter().zip(&cut.partitions).zip(&cut.nexts);
    for ((topic, partition), next) in parts.filter(|((topic, _), _)| *topic != COMMANDS_TOPIC) {
        pinned_cut.topics.push(topic.clone());
        pinned_cut.partitions.push(*partition);
        pinned_cut.nexts.push(*next);
    }
    pinned_cut.topics.push(place.partition.topic.to_string());
    pinned_cut.partitions.push(place.partition.number);
    pinned_cut.nexts.push(pinned);
    pinned_cut
}

fn written<T: serde::Serialize>(value: &T) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| state(error.to_string()))
}

fn state(detail: impl Into<String>) -> Refusal {
    Refusal::Store(MakeError::State { detail: detail.into() })
}

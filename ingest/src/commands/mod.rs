//! Carries out commands: one after another, each against the state that those before it left. What a command does
//! depends on nothing else, so it does the same when it is run again after a crash.

mod close;
mod operate;
mod publish;
mod registries;
mod resolve;
mod reverse;
mod tokens;

use std::collections::HashSet;

use ledger::event::Millis;
use ledger::reject::Reason;
use schemas::command::{Command, Envelope};
use schemas::digest::Digest;
use schemas::event::{Decoder, SchemaError};
use schemas::invoices::Invoices;
use schemas::posted::PostedRows;
use schemas::resolutions::Resolutions;
use schemas::tables::{
    Accounts, ApiTokens, CommandRow, Commands, Markups, ModelRows, Origin, Owners, Quarantine,
};

use crate::batch::{Batch, Chosen, Held, MakeError, Maker, Summary};
use crate::book::Books;
use crate::commands::reverse::Reversals;
use crate::quarantine;
use crate::source::{Partition, Record};
use crate::store::{Rows, Store};

const TABLES: &[&str] = &[
    "quarantine",
    "model_rows",
    "markups",
    "accounts",
    "owners",
    "api_tokens",
    "quarantine_resolutions",
    "invoices",
    "entries",
    "commands",
];

const EARLIER_PARTS: &str = include_str!("../../../schemas/clickhouse/queries/command_parts.sql");
const EARLIER_OUTCOME: &str = include_str!("../../../schemas/clickhouse/queries/command_outcome_before.sql");
const OUTCOME: &str = include_str!("../../../schemas/clickhouse/queries/command_outcome.sql");

/// Makes rows of commands.
pub struct CommandMaker {
    store: Store,
    books: Books,
    decoder: Decoder,
}

/// What a command comes to: the rows that it adds, and what is said of it.
#[derive(Default)]
struct Effect {
    model_rows: ModelRows,
    markups: Markups,
    accounts: Accounts,
    owners: Owners,
    tokens: ApiTokens,
    resolutions: Resolutions,
    reversals: Reversals,
    posted: PostedRows,
    /// All rows of `entries`, also those that are held.
    entry_rows: Digest,
    invoices: Invoices,
    detail: String,
    result: String,
}

/// Why a command changes nothing.
enum Refusal {
    /// The command itself says so.
    Refused(String),
    /// The state could not be read: no outcome yet.
    Store(MakeError),
}

impl From<clickhouse::error::Error> for Refusal {
    fn from(error: clickhouse::error::Error) -> Self {
        Self::Store(MakeError::State { detail: error.to_string() })
    }
}

/// One command at its place in the log.
struct Place<'a> {
    partition: &'a Partition,
    offset: u64,
    /// The first offset of its batch.
    batch_first: u64,
    log_time: Millis,
    recorded_at: Millis,
    held: &'a Held,
}

impl Place<'_> {
    fn origin(&self, ordinal: u32) -> Origin<'_> {
        Origin {
            topic: &self.partition.topic,
            partition: self.partition.number,
            offset: self.offset,
            ordinal,
        }
    }

    fn is_held(&self, table: &str, ordinal: u32) -> bool {
        self.held.is_held(table, self.offset, ordinal)
    }
}

impl CommandMaker {
    /// Carries out commands against that store.
    ///
    /// # Errors
    /// Only where the built-in schema of events is broken, which a test rules out.
    pub fn new(store: Store) -> Result<Self, SchemaError> {
        Ok(Self { books: Books::new(store.clone()), store, decoder: Decoder::new()? })
    }

    fn carry_out(&self, place: &Place<'_>, envelope: &Envelope) -> Result<Effect, Refusal> {
        if self.already_decided(place, &envelope.command_id)? {
            return Err(Refusal::Refused(
                "a command with this id was decided before; it changes nothing".into(),
            ));
        }
        let body = self.whole_body(place, envelope)?;
        let command = Command::from_parts(&envelope.name, &body)
            .map_err(|error| Refusal::Refused(error.to_string()))?;
        match command {
            Command::PublishPrices(publish) => self.publish(place, &publish),
            Command::CloseMonth(close) => self.close(place, &close),
            Command::MintToken(mint) => self.mint(place, &mint),
            Command::RotateToken(rotate) => self.rotate(place, &rotate),
            Command::RevokeToken(revoke) => self.revoke(place, &revoke),
            Command::RecordRepair(repair) => Ok(Effect { detail: repair.to_string(), ..Effect::default() }),
            Command::ResolveQuarantine(resolve) => self.resolve(place, envelope, &resolve),
            Command::ConfirmReplays(confirm) => self.confirm(place, envelope, &confirm),
            Command::SetMarkups(set) => self.set(place, &set.rows, |effect| &mut effect.markups),
            Command::SetAccounts(set) => self.set(place, &set.rows, |effect| &mut effect.accounts),
            Command::SetOwners(set) => self.set(place, &set.rows, |effect| &mut effect.owners),
            Command::StartOperation(start) => self.start(place, &start),
            Command::StepOperation(step) => self.step(place, &step),
            Command::ReverseRepeats(reverse) => self.reverse(place, &reverse),
        }
    }

    /// Whether the store refused the command's rows: it has just done so and holds none of them, or an earlier run said
    /// so in `commands`, and whatever the store would take now, that stays.
    fn was_refused(&self, place: &Place<'_>) -> Result<bool, MakeError> {
        if place.is_held("commands", 0) {
            let outcome = self
                .store
                .sequential(OUTCOME)
                .param("topic", place.partition.topic.as_ref())
                .param("offset", place.offset)
                .fetch_one::<String>();
            let outcome = self.store.block_on(outcome);
            return Ok(outcome.map_err(|error| MakeError::State { detail: error.to_string() })? == "refused");
        }
        let holds_none = place.held.present.values().all(HashSet::is_empty);
        Ok(holds_none && place.held.refused.contains(&place.offset))
    }

    fn already_decided(&self, place: &Place<'_>, command_id: &str) -> Result<bool, Refusal> {
        let query = self.store.sequential(EARLIER_OUTCOME);
        let decided: u64 = self.store.block_on(
            query
                .param("topic", place.partition.topic.as_ref())
                .param("offset", place.offset)
                .param("command_id", command_id)
                .fetch_one(),
        )?;
        Ok(decided > 0)
    }

    /// The body, with the parts before this one put in front.
    fn whole_body(&self, place: &Place<'_>, envelope: &Envelope) -> Result<String, Refusal> {
        let query = self.store.sequential(EARLIER_PARTS);
        let parts: Vec<(u32, String)> = self.store.block_on(
            query
                .param("topic", place.partition.topic.as_ref())
                .param("offset", place.offset)
                .param("command_id", &envelope.command_id)
                .fetch_all(),
        )?;
        let mut body = String::new();
        for part in 1..envelope.parts {
            let Some((_, text)) = parts.iter().find(|(number, _)| *number == part) else {
                return Err(Refusal::Refused(format!("part {part} of {} is missing", envelope.parts)));
            };
            body.push_str(text);
        }
        body.push_str(&envelope.body);
        Ok(body)
    }
}

impl Maker for CommandMaker {
    type State = ();

    fn tables(&self) -> &'static [&'static str] {
        TABLES
    }

    fn prepare(&self, _: &Partition, _: u64, _: u64) -> Result<(), MakeError> {
        Ok(())
    }

    fn make(&self, (): &mut (), chosen: &Chosen, held: &Held) -> Result<Batch, MakeError> {
        let mut summary = Summary::default();
        let mut quarantine = Quarantine::default();
        let mut commands = Commands::default();
        let mut effect = Effect::default();
        // A batch of the command log is one record: the next one sees what this one did in the store.
        for record in chosen.records.iter() {
            summary.received += 1;
            summary.log_time_max = summary.log_time_max.max(Some(record.log_time));
            let place = Place {
                partition: &chosen.partition,
                offset: record.offset,
                batch_first: chosen.intent.first,
                log_time: record.log_time,
                recorded_at: chosen.intent.recorded_at,
                held,
            };
            match parse(&record) {
                Ok(envelope) => {
                    effect = self.record(&place, &envelope, chosen, &mut commands)?;
                    summary.posted += 1;
                    summary.entries += 1;
                    summary.entry_rows = effect.entry_rows;
                }
                Err((reason, detail)) => {
                    summary.quarantine(record.offset, reason);
                    if !place.is_held("quarantine", 0) {
                        quarantine::push(
                            &mut quarantine,
                            &self.decoder,
                            place.origin(0),
                            &record,
                            chosen.intent.recorded_at,
                            reason,
                            &detail,
                        );
                    }
                }
            }
        }
        let tables: Vec<Box<dyn Rows>> = vec![
            Box::new(quarantine),
            Box::new(effect.model_rows),
            Box::new(effect.markups),
            Box::new(effect.accounts),
            Box::new(effect.owners),
            Box::new(effect.tokens),
            Box::new(effect.resolutions),
            Box::new(effect.reversals),
            Box::new(effect.posted),
            Box::new(effect.invoices),
            Box::new(commands),
        ];
        Ok(Batch {
            partition: chosen.partition.clone(),
            epoch: chosen.epoch,
            intent: chosen.intent.clone(),
            summary,
            tables,
        })
    }
}

impl CommandMaker {
    /// Carries out one record of the command log and says in `commands` what came of it.
    fn record(
        &self,
        place: &Place<'_>,
        envelope: &Envelope,
        chosen: &Chosen,
        commands: &mut Commands,
    ) -> Result<Effect, MakeError> {
        let (outcome, effect) = if envelope.part < envelope.parts {
            ("part", Effect::default())
        } else if self.was_refused(place)? {
            let detail = "the store refuses its rows; the worker's log has the answer".to_owned();
            ("refused", Effect { detail, ..Effect::default() })
        } else {
            match self.carry_out(place, envelope) {
                Ok(effect) => ("applied", effect),
                Err(Refusal::Refused(detail)) => ("refused", Effect { detail, ..Effect::default() }),
                Err(Refusal::Store(error)) => return Err(error),
            }
        };
        if !place.is_held("commands", 0) {
            commands.push(&CommandRow {
                origin: place.origin(0),
                command_id: &envelope.command_id,
                name: &envelope.name,
                actor: &envelope.actor,
                log_time: place.log_time,
                recorded_at: chosen.intent.recorded_at,
                part: envelope.part,
                parts: envelope.parts,
                body: &envelope.body,
                outcome,
                detail: &effect.detail,
                result: &effect.result,
            });
        }
        Ok(effect)
    }
}

fn parse(record: &Record<'_>) -> Result<Envelope, (Reason, String)> {
    let value = record.value.ok_or((Reason::Tombstone, "a command without a body".to_owned()))?;
    let envelope = Envelope::parse(value).map_err(|error| (Reason::Decode, error.to_string()))?;
    if envelope.part == 0 || envelope.part > envelope.parts {
        return Err((Reason::InvalidField, format!("part {} of {}", envelope.part, envelope.parts)));
    }
    Ok(envelope)
}

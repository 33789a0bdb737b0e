//! Carries out commands: one after another, each against the state that those before it left. What a command does
//! depends on nothing else, so it does the same when it is run again after a crash.

mod resolve;

use std::collections::HashMap;

use ledger::event::Millis;
use ledger::prices::{ModelRow, PriceBook};
use ledger::reject::Reason;
use schemas::command::{Command, Envelope, MintToken, PublishPrices, RevokeToken};
use schemas::event::{Decoder, SchemaError};
use schemas::prices;
use schemas::resolutions::Resolutions;
use schemas::tables::{
    ApiTokens, CommandRow, Commands, ModelRows, Origin, PublishedRow, Quarantine, TokenRow,
};

use crate::batch::{Batch, Chosen, Held, MakeError, Maker, Summary};
use crate::quarantine;
use crate::source::{Partition, Record, parse_sha256};
use crate::store::{Rows, Store};
use crate::worker::chain;

/// How long after its command a later version of an undated row takes effect: by then every worker knows of it, or
/// waits.
const LATER_VERSION_AFTER_MS: i64 = 60_000;

const TABLES: &[&str] = &["quarantine", "model_rows", "api_tokens", "quarantine_resolutions", "commands"];

const PUBLISHED: &str = include_str!("../../schemas/clickhouse/queries/book_rows.sql");
const EARLIER_PARTS: &str = include_str!("../../schemas/clickhouse/queries/command_parts.sql");
const EARLIER_OUTCOME: &str = include_str!("../../schemas/clickhouse/queries/command_outcome_before.sql");
const TOKEN: &str = include_str!("../../schemas/clickhouse/queries/token_before.sql");

/// Makes rows of commands.
pub struct CommandMaker {
    store: Store,
    decoder: Decoder,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Published {
    row_id: String,
    body: String,
    effective_from: Option<i64>,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Token {
    name: String,
    secret_hash: [u8; 32],
    scopes: Vec<String>,
    customers: Vec<String>,
    teams: Vec<String>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked: u8,
}

/// What a command comes to: the rows that it adds, and what is said of it.
#[derive(Default)]
struct Effect {
    model_rows: ModelRows,
    tokens: ApiTokens,
    resolutions: Resolutions,
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
    log_time: Millis,
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
        Ok(Self { store, decoder: Decoder::new()? })
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
            Command::MintToken(mint) => self.mint(place, &mint),
            Command::RevokeToken(revoke) => self.revoke(place, &revoke),
            Command::RecordRepair(repair) => Ok(Effect { detail: repair.to_string(), ..Effect::default() }),
            Command::ResolveQuarantine(resolve) => self.resolve(place, envelope, &resolve),
            Command::ConfirmReplays(confirm) => self.confirm(place, envelope, &confirm),
        }
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

    fn publish(&self, place: &Place<'_>, command: &PublishPrices) -> Result<Effect, Refusal> {
        let query = self.store.sequential(PUBLISHED);
        let published: Vec<Published> = self.store.block_on(
            query.param("topic", place.partition.topic.as_ref()).param("through", place.offset).fetch_all(),
        )?;
        let count = u64::try_from(published.len()).unwrap_or(u64::MAX);
        if let Some(based_on) = command.based_on.filter(|based_on| *based_on != count) {
            return Err(Refusal::Refused(format!(
                "the change was prepared when {based_on} rows were published, now there are {count}: prepare it again"
            )));
        }
        let mut rows = Vec::with_capacity(published.len() + command.rows.len());
        for row in &published {
            let mut model_row = read_row(&row.body, &row.row_id)?;
            model_row.effective_from = row.effective_from.map(Millis);
            rows.push(model_row);
        }
        let bodies: HashMap<&str, &str> =
            published.iter().map(|row| (row.row_id.as_str(), row.body.as_str())).collect();
        let mut latest: HashMap<(Option<String>, String), usize> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            latest.insert((row.provider.clone(), row.model.clone()), index);
        }

        let mut effect = Effect::default();
        let later = Millis(place.log_time.0.saturating_add(LATER_VERSION_AFTER_MS));
        let (mut added, mut unchanged, mut later_versions) = (0_u32, 0_u32, 0_u32);
        for (index, text) in command.rows.iter().enumerate() {
            let mut row = read_row(text, &format!("number {}", index + 1))?;
            let body = prices::to_json(&row).map_err(|error| Refusal::Refused(error.to_string()))?;
            // What is published is checked as it will be read back: a book that cannot be read would stop all usage.
            row = read_row(&body, &row.id)?;
            let before =
                latest.get(&(row.provider.clone(), row.model.clone())).and_then(|index| rows.get(*index));
            match bodies.get(row.id.as_str()) {
                Some(same) if *same == body => {
                    unchanged += 1;
                    continue;
                }
                Some(_) => {
                    return Err(Refusal::Refused(format!(
                        "row {} is published with other content; a row never changes, publish it under a new id",
                        row.id
                    )));
                }
                None => {}
            }
            if row.effective_from.is_none() && before.is_some_and(|before| prices::same_terms(before, &row)) {
                unchanged += 1;
                continue;
            }
            if row.effective_from.is_none() && before.is_some() {
                row.effective_from = Some(later);
                later_versions += 1;
            }
            if !place.is_held("model_rows", added) {
                effect.model_rows.push(&PublishedRow {
                    origin: place.origin(added),
                    row_id: &row.id,
                    provider: row.provider.as_deref().unwrap_or_default(),
                    model: &row.model,
                    currency: &row.currency,
                    effective_from: row.effective_from,
                    known_from: place.log_time,
                    source: &row.source.name,
                    source_version: row.source.version.as_deref().unwrap_or_default(),
                    body: &body,
                });
            }
            added += 1;
            rows.push(row);
        }
        PriceBook::new(rows).map_err(|error| Refusal::Refused(error.to_string()))?;
        effect.detail = format!("{added} rows published, {unchanged} unchanged");
        effect.result = serde_json::json!({
            "published": added,
            "unchanged": unchanged,
            "later_versions": later_versions,
            "later_versions_effective_from_ms": (later_versions > 0).then_some(later.0),
        })
        .to_string();
        Ok(effect)
    }

    fn mint(&self, place: &Place<'_>, command: &MintToken) -> Result<Effect, Refusal> {
        if self.token(place, &command.token_id)?.is_some() {
            return Err(Refusal::Refused(format!("token {} exists already", command.token_id)));
        }
        let secret_hash = parse_sha256(&command.secret_hash)
            .ok_or_else(|| Refusal::Refused("secret_hash is not 64 hexadecimal digits".into()))?;
        let mut effect = Effect { detail: format!("token {} minted", command.token_id), ..Effect::default() };
        effect.result = serde_json::json!({ "token_id": command.token_id }).to_string();
        if !place.is_held("api_tokens", 0) {
            effect.tokens.push(&TokenRow {
                origin: place.origin(0),
                token_id: &command.token_id,
                name: &command.name,
                secret_hash,
                scopes: &command.scopes,
                customers: &command.customers,
                teams: &command.teams,
                created_at: place.log_time,
                expires_at: command.expires_at.map(Millis),
                revoked: false,
            });
        }
        Ok(effect)
    }

    fn revoke(&self, place: &Place<'_>, command: &RevokeToken) -> Result<Effect, Refusal> {
        let Some(token) = self.token(place, &command.token_id)? else {
            return Err(Refusal::Refused(format!("there is no token {}", command.token_id)));
        };
        let mut effect =
            Effect { detail: format!("token {} revoked", command.token_id), ..Effect::default() };
        effect.result = serde_json::json!({ "token_id": command.token_id }).to_string();
        if token.revoked == 0 && !place.is_held("api_tokens", 0) {
            effect.tokens.push(&TokenRow {
                origin: place.origin(0),
                token_id: &command.token_id,
                name: &token.name,
                secret_hash: token.secret_hash,
                scopes: &token.scopes,
                customers: &token.customers,
                teams: &token.teams,
                created_at: Millis(token.created_at),
                expires_at: token.expires_at.map(Millis),
                revoked: true,
            });
        }
        Ok(effect)
    }

    /// A token's state before this command; where it was minted by the migration, that is its state.
    fn token(&self, place: &Place<'_>, token_id: &str) -> Result<Option<Token>, Refusal> {
        let query = self.store.sequential(TOKEN);
        Ok(self.store.block_on(
            query
                .param("topic", place.partition.topic.as_ref())
                .param("offset", place.offset)
                .param("token_id", token_id)
                .fetch_optional(),
        )?)
    }
}

fn read_row(text: &str, name: &str) -> Result<ModelRow, Refusal> {
    prices::from_json(text).map_err(|error| Refusal::Refused(format!("row {name}: {}", chain(&error))))
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
                log_time: record.log_time,
                held,
            };
            match parse(&record) {
                Ok(envelope) => {
                    effect = self.record(&place, &envelope, chosen, &mut commands)?;
                    summary.posted += 1;
                    summary.entries += 1;
                }
                Err((reason, detail)) => {
                    *summary.quarantined.entry(reason.name()).or_default() += 1;
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
            Box::new(effect.tokens),
            Box::new(effect.resolutions),
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

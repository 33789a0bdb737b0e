//! Rows of the smaller tables as they are written: quarantine, batches, progress, commands, price rows, tokens,
//! registries.
//! Each has one `push`, whose argument is the row in domain terms.

use ledger::event::Millis;
use ledger::reject::Reason;

use crate::columns::{Fixed, List, Nullable, Text, table};
use crate::registries::Set;

/// Where a row comes from: the record, and the ordinal among the rows that the record makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Topic of the record.
    pub topic: &'a str,
    /// Partition of the topic.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// 0 for the first row that the record makes.
    pub ordinal: u32,
}

table! {
    /// Rows of `quarantine`.
    Quarantine = "quarantine" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        log_time: Fixed<8> = "DateTime64(3, 'UTC')",
        recorded_at: Fixed<8> = "DateTime64(3, 'UTC')",
        reason: Text = "String",
        detail: Text = "String",
        event_id: Text = "String",
        customer: Text = "String",
        team: Text = "String",
        content_type: Text = "String",
        raw: Text = "String",
        raw_length: Fixed<8> = "UInt64",
        raw_sha256: Fixed<32> = "FixedString(32)",
        redacted: Fixed<1> = "UInt8",
    }
}

/// One record that was not posted.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0002_quarantine.sql explains")]
pub struct QuarantineRow<'a> {
    pub origin: Origin<'a>,
    pub log_time: Millis,
    pub recorded_at: Millis,
    pub reason: Reason,
    pub detail: &'a str,
    pub event_id: &'a str,
    pub customer: &'a str,
    pub team: &'a str,
    pub content_type: &'a str,
    pub raw: &'a [u8],
    pub raw_length: u64,
    pub raw_sha256: [u8; 32],
    pub redacted: bool,
}

impl Quarantine {
    /// Appends one row.
    pub fn push(&mut self, row: &QuarantineRow<'_>) {
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.log_time.push(row.log_time.0.to_le_bytes());
        self.recorded_at.push(row.recorded_at.0.to_le_bytes());
        self.reason.push(row.reason.name());
        self.detail.push(row.detail);
        self.event_id.push(row.event_id);
        self.customer.push(row.customer);
        self.team.push(row.team);
        self.content_type.push(row.content_type);
        self.raw.push(row.raw);
        self.raw_length.push(row.raw_length.to_le_bytes());
        self.raw_sha256.push(row.raw_sha256);
        self.redacted.push([u8::from(row.redacted)]);
    }
}

table! {
    /// Rows of `batches`.
    Batches = "batches" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        first: Fixed<8> = "UInt64",
        next: Fixed<8> = "UInt64",
        received: Fixed<8> = "UInt64",
        posted: Fixed<8> = "UInt64",
        entries: Fixed<8> = "UInt64",
        duplicates: Fixed<8> = "UInt64",
        quarantined: Fixed<8> = "UInt64",
        holes: Fixed<8> = "UInt64",
        duplicates_at: List<Fixed<8>> = "Array(UInt64)",
        last_offset: Fixed<8> = "UInt64",
        last_digest: Fixed<8> = "UInt64",
        log_time_max: Fixed<8> = "DateTime64(3, 'UTC')",
        recorded_at: Fixed<8> = "DateTime64(3, 'UTC')",
        commands_through: Fixed<8> = "UInt64",
        dedup_window: Fixed<8> = "UInt64",
        decoder: Fixed<4> = "UInt32",
        decoder_closed: Fixed<4> = "UInt32",
        worker: Text = "String",
        healed: Fixed<1> = "UInt8",
    }
}

/// What closes one batch: what was read in `[first, next)` and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are the columns, which 0003_batches.sql explains")]
pub struct BatchRow<'a> {
    pub topic: &'a str,
    pub partition: u32,
    pub first: u64,
    pub next: u64,
    pub received: u64,
    pub posted: u64,
    pub entries: u64,
    pub duplicates_at: &'a [u64],
    pub quarantined: u64,
    pub last_offset: u64,
    pub last_digest: u64,
    pub log_time_max: Millis,
    pub recorded_at: Millis,
    pub commands_through: u64,
    pub dedup_window: u64,
    /// Version of the decoder that the intent named.
    pub decoder: u32,
    /// Version of the decoder that closed the batch.
    pub decoder_closed: u32,
    pub worker: &'a str,
    pub healed: bool,
}

impl Batches {
    /// Appends one row.
    pub fn push(&mut self, row: &BatchRow<'_>) {
        self.rows += 1;
        self.topic.push(row.topic);
        self.partition.push(row.partition.to_le_bytes());
        self.first.push(row.first.to_le_bytes());
        self.next.push(row.next.to_le_bytes());
        self.received.push(row.received.to_le_bytes());
        self.posted.push(row.posted.to_le_bytes());
        self.entries.push(row.entries.to_le_bytes());
        let duplicates = u64::try_from(row.duplicates_at.len()).unwrap_or(u64::MAX);
        self.duplicates.push(duplicates.to_le_bytes());
        self.quarantined.push(row.quarantined.to_le_bytes());
        self.holes.push((row.next - row.first).saturating_sub(row.received).to_le_bytes());
        for offset in row.duplicates_at {
            self.duplicates_at.items.push(offset.to_le_bytes());
        }
        self.duplicates_at.end_row(row.duplicates_at.len());
        self.last_offset.push(row.last_offset.to_le_bytes());
        self.last_digest.push(row.last_digest.to_le_bytes());
        self.log_time_max.push(row.log_time_max.0.to_le_bytes());
        self.recorded_at.push(row.recorded_at.0.to_le_bytes());
        self.commands_through.push(row.commands_through.to_le_bytes());
        self.dedup_window.push(row.dedup_window.to_le_bytes());
        self.decoder.push(row.decoder.to_le_bytes());
        self.decoder_closed.push(row.decoder_closed.to_le_bytes());
        self.worker.push(row.worker);
        self.healed.push([u8::from(row.healed)]);
    }
}

table! {
    /// Rows of `commands`.
    Commands = "commands" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        command_id: Text = "String",
        name: Text = "String",
        actor: Text = "String",
        log_time: Fixed<8> = "DateTime64(3, 'UTC')",
        recorded_at: Fixed<8> = "DateTime64(3, 'UTC')",
        part: Fixed<4> = "UInt32",
        parts: Fixed<4> = "UInt32",
        body: Text = "String",
        outcome: Text = "String",
        detail: Text = "String",
        result: Text = "String",
    }
}

/// One record of the command log and what came of it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0005_commands.sql explains")]
pub struct CommandRow<'a> {
    pub origin: Origin<'a>,
    pub command_id: &'a str,
    pub name: &'a str,
    pub actor: &'a str,
    pub log_time: Millis,
    pub recorded_at: Millis,
    pub part: u32,
    pub parts: u32,
    pub body: &'a str,
    /// `part`, `applied` or `refused`.
    pub outcome: &'a str,
    /// Why it was refused, or what it did.
    pub detail: &'a str,
    /// What it did, as JSON.
    pub result: &'a str,
}

impl Commands {
    /// Appends one row.
    pub fn push(&mut self, row: &CommandRow<'_>) {
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.command_id.push(row.command_id);
        self.name.push(row.name);
        self.actor.push(row.actor);
        self.log_time.push(row.log_time.0.to_le_bytes());
        self.recorded_at.push(row.recorded_at.0.to_le_bytes());
        self.part.push(row.part.to_le_bytes());
        self.parts.push(row.parts.to_le_bytes());
        self.body.push(row.body);
        self.outcome.push(row.outcome);
        self.detail.push(row.detail);
        self.result.push(row.result);
    }
}

table! {
    /// Rows of `model_rows`.
    ModelRows = "model_rows" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        row_id: Text = "String",
        provider: Text = "String",
        model: Text = "String",
        currency: Text = "String",
        effective_from: Nullable<8> = "Nullable(DateTime64(3, 'UTC'))",
        known_from: Fixed<8> = "DateTime64(3, 'UTC')",
        source: Text = "String",
        source_version: Text = "String",
        body: Text = "String",
    }
}

/// One published price row.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0006_model_rows.sql explains")]
pub struct PublishedRow<'a> {
    pub origin: Origin<'a>,
    pub row_id: &'a str,
    pub provider: &'a str,
    pub model: &'a str,
    pub currency: &'a str,
    pub effective_from: Option<Millis>,
    pub known_from: Millis,
    pub source: &'a str,
    pub source_version: &'a str,
    pub body: &'a str,
}

impl ModelRows {
    /// Appends one row.
    pub fn push(&mut self, row: &PublishedRow<'_>) {
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.row_id.push(row.row_id);
        self.provider.push(row.provider);
        self.model.push(row.model);
        self.currency.push(row.currency);
        self.effective_from.push(row.effective_from.map(|at| at.0.to_le_bytes()));
        self.known_from.push(row.known_from.0.to_le_bytes());
        self.source.push(row.source);
        self.source_version.push(row.source_version);
        self.body.push(row.body);
    }
}

table! {
    /// Rows of `api_tokens`.
    ApiTokens = "api_tokens" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        token_id: Text = "String",
        name: Text = "String",
        secret_hash: Fixed<32> = "FixedString(32)",
        scopes: List<Text> = "Array(String)",
        customers: List<Text> = "Array(String)",
        teams: List<Text> = "Array(String)",
        created_at: Fixed<8> = "DateTime64(3, 'UTC')",
        expires_at: Nullable<8> = "Nullable(DateTime64(3, 'UTC'))",
        revoked: Fixed<1> = "UInt8",
    }
}

/// A token's state from one command on.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0007_api_tokens.sql explains")]
pub struct TokenRow<'a> {
    pub origin: Origin<'a>,
    pub token_id: &'a str,
    pub name: &'a str,
    pub secret_hash: [u8; 32],
    pub scopes: &'a [String],
    pub customers: &'a [String],
    pub teams: &'a [String],
    pub created_at: Millis,
    pub expires_at: Option<Millis>,
    pub revoked: bool,
}

impl ApiTokens {
    /// Appends one row.
    pub fn push(&mut self, row: &TokenRow<'_>) {
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.token_id.push(row.token_id);
        self.name.push(row.name);
        self.secret_hash.push(row.secret_hash);
        push_list(&mut self.scopes, row.scopes);
        push_list(&mut self.customers, row.customers);
        push_list(&mut self.teams, row.teams);
        self.created_at.push(row.created_at.0.to_le_bytes());
        self.expires_at.push(row.expires_at.map(|at| at.0.to_le_bytes()));
        self.revoked.push([u8::from(row.revoked)]);
    }
}

/// Declares the table of a registry: one row for each version of a thing.
macro_rules! registry {
    ($(#[$meta:meta])* $type:ident = $table:literal) => {
        table! {
            $(#[$meta])*
            $type = $table {
                topic: Text = "String",
                partition: Fixed<4> = "UInt32",
                offset: Fixed<8> = "UInt64",
                ordinal: Fixed<4> = "UInt32",
                id: Text = "String",
                kind: Text = "String",
                version: Fixed<4> = "UInt32",
                effective_from: Nullable<8> = "Nullable(DateTime64(3, 'UTC'))",
                known_from: Fixed<8> = "DateTime64(3, 'UTC')",
                ended: Fixed<1> = "UInt8",
                customer: Text = "String",
                team: Text = "String",
                body: Text = "String",
            }
        }

        impl RegistryRows for $type {
            fn push(&mut self, origin: Origin<'_>, known_from: Millis, set: &Set) {
                self.rows += 1;
                self.topic.push(origin.topic);
                self.partition.push(origin.partition.to_le_bytes());
                self.offset.push(origin.offset.to_le_bytes());
                self.ordinal.push(origin.ordinal.to_le_bytes());
                self.id.push(&set.id);
                self.kind.push(&set.kind);
                self.version.push(set.version.to_le_bytes());
                self.effective_from.push(set.effective_from.map(|at| at.0.to_le_bytes()));
                self.known_from.push(known_from.0.to_le_bytes());
                self.ended.push([u8::from(set.is_ended)]);
                self.customer.push(&set.customer);
                self.team.push(&set.team);
                self.body.push(&set.body);
            }
        }
    };
}

/// Rows of a registry.
pub trait RegistryRows {
    /// Appends one version, which was logged at that time.
    fn push(&mut self, origin: Origin<'_>, known_from: Millis, set: &Set);
}

registry! {
    /// Rows of `markups`.
    Markups = "markups"
}

registry! {
    /// Rows of `accounts`.
    Accounts = "accounts"
}

registry! {
    /// Rows of `owners`.
    Owners = "owners"
}

/// Appends one row of strings to an array column.
pub(crate) fn push_list(column: &mut List<Text>, values: &[impl AsRef<[u8]>]) {
    for value in values {
        column.items.push(value);
    }
    column.end_row(values.len());
}

//! Commands: the changes that go through the log, each small and typed. A name, a body, and parts where the body
//! is larger than a message; what a command does is the worker's business.

mod quarantine;
mod repair;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::invoices::{Accepted, Cut};
use crate::log::NewRecord;
use crate::operations::{Call, Slice};
use crate::registries::{AccountText, MarkupText, OwnerText};

pub use quarantine::{ConfirmReplays, LoggedReplay, RecordId, Resolution, ResolveQuarantine, ResolvedRecord};
pub use repair::RecordRepair;

/// Bytes of body text that one record carries at most; the rest travels in further parts.
pub const PART_BYTES_MAX: usize = 512 * 1024;

/// A change to what usage is priced, owned and read by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "body", rename_all = "snake_case")]
pub enum Command {
    /// Publishes price rows. Rows that are already published word for word change nothing.
    PublishPrices(PublishPrices),
    /// Mints an API token.
    MintToken(MintToken),
    /// Closes a month of some accounts.
    CloseMonth(CloseMonth),
    /// Puts a new API token into the place of another, which works on for a while.
    RotateToken(RotateToken),
    /// Revokes an API token.
    RevokeToken(RevokeToken),
    /// Records a repair that was made offline.
    RecordRepair(RecordRepair),
    /// Replays or discards records in quarantine.
    ResolveQuarantine(ResolveQuarantine),
    /// Says where the events of replays lie in the log.
    ConfirmReplays(ConfirmReplays),
    /// Begins an operation: a change of many entries, in steps.
    StartOperation(Box<StartOperation>),
    /// Carries out one step of an operation.
    StepOperation(StepOperation),
    /// Takes back events that were posted although their id was posted before.
    ReverseRepeats(ReverseRepeats),
    /// Sets markups.
    SetMarkups(SetMarkups),
    /// Sets accounts.
    SetAccounts(SetAccounts),
    /// Sets whose keys are.
    SetOwners(SetOwners),
}

/// Body of [`Command::SetMarkups`]: all versions are added, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetMarkups {
    /// A version of each.
    pub rows: Vec<MarkupText>,
}

/// Body of [`Command::SetAccounts`]: all versions are added, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAccounts {
    /// A version of each.
    pub rows: Vec<AccountText>,
}

/// Body of [`Command::SetOwners`]: all versions are added, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetOwners {
    /// A version of each.
    pub rows: Vec<OwnerText>,
}

/// Body of [`Command::PublishPrices`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishPrices {
    /// Each row as the JSON text of `schemas::prices::row`.
    pub rows: Vec<String>,
    /// The number of rows that were published when the change was prepared; another number refuses the command.
    pub based_on: Option<u64>,
}

/// Body of [`Command::MintToken`]. The token's text never enters the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MintToken {
    /// Public id of the token.
    pub token_id: String,
    /// What the token is for, in its owner's words.
    pub name: String,
    /// SHA-256 of the token's text, in hexadecimal.
    pub secret_hash: String,
    /// Any of `ingest`, `read`, `admin`.
    pub scopes: Vec<String>,
    /// Customers the token is bound to; empty where it is not bound to customers.
    pub customers: Vec<String>,
    /// Teams the token is bound to; empty where it is not bound to teams.
    pub teams: Vec<String>,
    /// When it stops working, in milliseconds since 1970; `None` for never.
    pub expires_at: Option<i64>,
}

/// Body of [`Command::CloseMonth`]. Whether the month may be closed was judged before, against the entries before the
/// cut, which never change; only that months close in order and once is judged when the command is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseMonth {
    /// `customer` or `team`.
    pub kind: String,
    /// Ids of the accounts.
    pub accounts: Vec<String>,
    /// The month, `YYYY-MM`, in each account's own time zone.
    pub period: String,
    /// Entries at positions before it are on the invoice.
    pub cut: Cut,
    /// What is closed over although it is not as it should be, by account; those that are not named are as they should.
    pub accepted: BTreeMap<String, Vec<Accepted>>,
    /// Why it is closed over that.
    pub reason: Option<String>,
    /// The log time up to which everything was in the ledger, as RFC 3339.
    pub complete_through: Option<String>,
}

/// Body of [`Command::StartOperation`]. It is pinned: its steps look at what was posted before the cut and before this
/// command, priced by the book as of this command, however late they are carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartOperation {
    /// What was asked for.
    pub call: Call,
    /// Entries at positions before it are looked at.
    pub cut: Cut,
    /// The part that each step is about.
    pub slices: Vec<Slice>,
}

/// Body of [`Command::StepOperation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepOperation {
    /// The operation.
    pub operation: u64,
    /// Which step, from 0.
    pub step: u32,
}

/// Body of [`Command::RotateToken`]. The new token has the name, scopes and bounds of the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateToken {
    /// Public id of the token that is replaced.
    pub token_id: String,
    /// Public id of the one that replaces it.
    pub new_token_id: String,
    /// SHA-256 of the new token's text, in hexadecimal.
    pub secret_hash: String,
    /// When the old one stops working, in milliseconds since 1970; it does so sooner where it was to anyway.
    pub old_expires_at: i64,
    /// When the new one stops working; `None` for never.
    pub expires_at: Option<i64>,
}

/// Body of [`Command::RevokeToken`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeToken {
    /// Public id of the token.
    pub token_id: String,
}

/// Repeats that one command reverses at most.
pub const REPEATS_MAX: usize = 500;

/// Body of [`Command::ReverseRepeats`]. What it says is checked against the ledger before anything is reversed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReverseRepeats {
    /// The repeats, at most [`REPEATS_MAX`].
    pub repeats: Vec<Repeat>,
    /// How far the ledger was searched, once this command and those before it are carried out; empty where more of
    /// the same search follow.
    pub swept: Vec<Swept>,
}

/// A record whose event id an earlier one had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// The record to take back.
    pub repeat: RecordAt,
    /// The earlier one, which stays.
    pub first: RecordAt,
}

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordAt {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// The offset below which every id of a partition was compared with all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swept {
    /// Topic of the partition.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub through: u64,
}

/// One record of the command log: a command, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Minted by the sender; a second command with the id of an earlier one changes nothing.
    pub command_id: String,
    /// Name of the command.
    pub name: String,
    /// Id of the token that asked for it.
    pub actor: String,
    /// Which part this is, from 1.
    pub part: u32,
    /// How many parts the command has.
    pub parts: u32,
    /// This part of the body's JSON text.
    pub body: String,
}

/// Why a body is not a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The envelope or the body is not of the form that its name asks for.
    #[error("the command is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Command {
    /// The name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PublishPrices(_) => "publish_prices",
            Self::MintToken(_) => "mint_token",
            Self::CloseMonth(_) => "close_month",
            Self::RotateToken(_) => "rotate_token",
            Self::RevokeToken(_) => "revoke_token",
            Self::RecordRepair(_) => "record_repair",
            Self::ResolveQuarantine(_) => "resolve_quarantine",
            Self::ConfirmReplays(_) => "confirm_replays",
            Self::SetMarkups(_) => "set_markups",
            Self::SetAccounts(_) => "set_accounts",
            Self::SetOwners(_) => "set_owners",
            Self::StartOperation(_) => "start_operation",
            Self::StepOperation(_) => "step_operation",
            Self::ReverseRepeats(_) => "reverse_repeats",
        }
    }

    /// The command as records for the log, in order.
    ///
    /// # Errors
    /// Where the body cannot be written as JSON.
    pub fn to_records(&self, command_id: &str, actor: &str) -> Result<Vec<NewRecord>, Error> {
        let body = match self {
            Self::PublishPrices(body) => serde_json::to_string(body)?,
            Self::MintToken(body) => serde_json::to_string(body)?,
            Self::CloseMonth(body) => serde_json::to_string(body)?,
            Self::RotateToken(body) => serde_json::to_string(body)?,
            Self::RevokeToken(body) => serde_json::to_string(body)?,
            Self::RecordRepair(body) => serde_json::to_string(body)?,
            Self::ResolveQuarantine(body) => serde_json::to_string(body)?,
            Self::ConfirmReplays(body) => serde_json::to_string(body)?,
            Self::SetMarkups(body) => serde_json::to_string(body)?,
            Self::SetAccounts(body) => serde_json::to_string(body)?,
            Self::SetOwners(body) => serde_json::to_string(body)?,
            Self::StartOperation(body) => serde_json::to_string(body)?,
            Self::StepOperation(body) => serde_json::to_string(body)?,
            Self::ReverseRepeats(body) => serde_json::to_string(body)?,
        };
        let chunks = chunks(&body);
        let parts = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        (1..)
            .zip(chunks)
            .map(|(part, body)| {
                let envelope = Envelope {
                    command_id: command_id.to_owned(),
                    name: self.name().to_owned(),
                    actor: actor.to_owned(),
                    part,
                    parts,
                    body: body.to_owned(),
                };
                Ok(NewRecord {
                    key: Some(command_id.as_bytes().to_vec()),
                    value: Some(serde_json::to_vec(&envelope)?),
                    headers: Vec::new(),
                })
            })
            .collect()
    }

    /// The command of that name with that body.
    ///
    /// # Errors
    /// Where there is no such command, or the body is not of its form.
    pub fn from_parts(name: &str, body: &str) -> Result<Self, Error> {
        Ok(match name {
            "publish_prices" => Self::PublishPrices(serde_json::from_str(body)?),
            "mint_token" => Self::MintToken(serde_json::from_str(body)?),
            "close_month" => Self::CloseMonth(serde_json::from_str(body)?),
            "rotate_token" => Self::RotateToken(serde_json::from_str(body)?),
            "revoke_token" => Self::RevokeToken(serde_json::from_str(body)?),
            "start_operation" => Self::StartOperation(Box::new(serde_json::from_str(body)?)),
            "step_operation" => Self::StepOperation(serde_json::from_str(body)?),
            "reverse_repeats" => Self::ReverseRepeats(serde_json::from_str(body)?),
            "set_markups" => Self::SetMarkups(serde_json::from_str(body)?),
            "set_accounts" => Self::SetAccounts(serde_json::from_str(body)?),
            "set_owners" => Self::SetOwners(serde_json::from_str(body)?),
            "record_repair" => Self::RecordRepair(serde_json::from_str(body)?),
            "resolve_quarantine" => Self::ResolveQuarantine(serde_json::from_str(body)?),
            "confirm_replays" => Self::ConfirmReplays(serde_json::from_str(body)?),
            other => {
                return Err(Error::Malformed(serde::de::Error::custom(format_args!(
                    "there is no command `{other}` in this version; the tollbook that wrote it, or a later one, knows it"
                ))));
            }
        })
    }
}

impl Envelope {
    /// Reads one record of the command log.
    ///
    /// # Errors
    /// Where the record is not an envelope.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        Ok(serde_json::from_slice(value)?)
    }
}

/// Cuts a text into parts of at most [`PART_BYTES_MAX`] bytes, never inside a character; an empty text is one part.
fn chunks(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut chunks = Vec::new();
    while rest.len() > PART_BYTES_MAX {
        let cut = rest.floor_char_boundary(PART_BYTES_MAX);
        let (chunk, tail) = rest.split_at(cut);
        chunks.push(chunk);
        rest = tail;
    }
    chunks.push(rest);
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_larger_than_a_message_travels_in_parts_and_reads_back_whole() {
        let rows = vec!["é".repeat(PART_BYTES_MAX)];
        let command = Command::PublishPrices(PublishPrices { rows, based_on: Some(3) });
        let records = command.to_records("c1", "t1").unwrap();
        let envelopes: Vec<Envelope> =
            records.iter().map(|record| Envelope::parse(record.value.as_deref().unwrap()).unwrap()).collect();
        assert!(envelopes.len() > 1);
        assert!(envelopes.iter().all(|envelope| envelope.parts as usize == envelopes.len()));
        let body: String = envelopes.iter().map(|envelope| envelope.body.as_str()).collect();
        assert_eq!(Command::from_parts("publish_prices", &body).unwrap(), command);
    }
}

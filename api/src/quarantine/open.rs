//! What waits in quarantine of one owner: a month is not closed over it without being told so.

use clickhouse::{Client, Row};
use schemas::log::COMMANDS_TOPIC;
use schemas::queries;
use serde::Deserialize;

/// Whose records are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// Those that name this customer.
    Customer(&'a str),
    /// Those that name this team.
    Team(&'a str),
}

/// Records that wait in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Deserialize)]
pub struct Open {
    /// Those of the owner.
    pub own: u64,
    /// Those that name no customer, or no team where the owner is one: they may be anybody's.
    pub unnamed: u64,
}

/// Counts what was logged in `[from, to)`, milliseconds since 1970, and waits in quarantine: it was not discarded, and
/// no replay of it lies in the log. When a record's event happened is often not to be read, so the period is one of
/// log time.
///
/// # Errors
/// Where the store does not answer.
pub async fn count(
    client: &Client,
    owner: Owner<'_>,
    from: i64,
    to: i64,
) -> Result<Open, clickhouse::error::Error> {
    let (kind, id) = match owner {
        Owner::Customer(id) => ("customer", id),
        Owner::Team(id) => ("team", id),
    };
    client
        .query(queries::AUDIT_QUARANTINE_OPEN.text())
        .param("kind", kind)
        .param("id", id)
        .param("from", from)
        .param("to", to)
        .param("commands_topic", COMMANDS_TOPIC)
        .fetch_one()
        .await
}

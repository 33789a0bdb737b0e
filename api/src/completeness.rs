//! How complete an answer is: the log time up to which everything is in the ledger, and how far every worker knows
//! the command log. Both are what the workers last said.

use clickhouse::Row;
use schemas::log::COMMANDS_TOPIC;
use schemas::queries;
use serde::Deserialize;

use crate::bounds::{Value, Values};
use crate::error::Problem;
use crate::store::Store;

#[derive(Row, Deserialize)]
struct Through {
    known: bool,
    through: i64,
}

#[derive(Row, Deserialize)]
struct CommandsThrough {
    known: bool,
    through: u64,
}

#[derive(Row, Deserialize)]
struct Seen {
    seen: bool,
    age_ms: i64,
}

/// The instant before which everything that was logged is in the ledger; `None` where a partition is unread.
pub(crate) async fn complete_through(store: &Store) -> Result<Option<i64>, Problem> {
    let rows: Vec<Through> = store.open(queries::COMPLETE_THROUGH, values()).await?;
    Ok(rows.first().filter(|row| row.known).map(|row| row.through))
}

/// Every worker knows the commands with a smaller offset; `None` where a partition is unread.
pub(crate) async fn commands_through(store: &Store) -> Result<Option<u64>, Problem> {
    let rows: Vec<CommandsThrough> = store.open(queries::COMMANDS_THROUGH, values()).await?;
    Ok(rows.first().filter(|row| row.known).map(|row| row.through))
}

/// Milliseconds since the worker of the command log last spoke; `None` where none ever did.
pub(crate) async fn commands_age_ms(store: &Store) -> Result<Option<i64>, Problem> {
    let rows: Vec<Seen> = store.open(queries::COMMANDS_SEEN, values()).await?;
    Ok(rows.first().filter(|row| row.seen).map(|row| row.age_ms))
}

fn values() -> Values {
    Values::default().with("commands_topic", Value::Text(COMMANDS_TOPIC.to_owned()))
}

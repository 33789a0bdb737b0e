//! The store as the API sees it: runs the named queries with limits of time, rows and memory, and turns what the
//! store says into problems. The client is private, so every query goes through here.

use std::time::Duration;

use axum::http::StatusCode;
use clickhouse::query::Query;
use clickhouse::{Client, RowOwned, RowRead};
use schemas::log::COMMANDS_TOPIC;
use schemas::operations::Asked;
use schemas::queries::{self, Bounded, Ledger, Open};

use crate::bounds::{Conditions, Value, Values};
use crate::error::Problem;

/// Limits of one query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Seconds that a query may take.
    pub(crate) seconds_max: u64,
    /// Rows that a query may read.
    pub(crate) rows_max: u64,
    /// Bytes of memory that a query may take.
    pub(crate) memory_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { seconds_max: 30, rows_max: 200_000_000, memory_bytes_max: 2_000_000_000 }
    }
}

/// The store, behind its limits.
#[derive(Clone)]
pub(crate) struct Store {
    client: Client,
    limits: Limits,
}

/// The store as of one look at the operations that are finished. Questions over entries are asked of it alone, so that
/// each of them, and all that make up one answer, see an operation whole or not at all.
#[derive(Clone)]
pub(crate) struct Snapshot {
    store: Store,
    operations: Vec<u64>,
    /// Their ids, as the API names them.
    ids: Vec<String>,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Finished {
    operation: u64,
    operation_id: String,
}

/// The text of a query whose slots are being filled.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    text: String,
}

impl Statement {
    pub(crate) fn open(query: Open) -> Self {
        Self { text: query.text().to_owned() }
    }

    pub(crate) fn bounded(query: Bounded, conditions: &Conditions) -> Self {
        Self { text: query.text().to_owned() }.slot("conditions", &conditions.sql())
    }

    pub(crate) fn ledger(query: Ledger, conditions: &Conditions) -> Self {
        Self { text: query.text().to_owned() }.slot("conditions", &conditions.sql())
    }

    /// Fills a slot with SQL of our own.
    pub(crate) fn slot(self, name: &str, sql: &str) -> Self {
        Self { text: self.text.replace(&format!("{{{{{name}}}}}"), sql) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Store {
    pub(crate) fn new(client: Client, limits: Limits) -> Self {
        Self { client, limits }
    }

    /// The store as it is now, which questions over entries are asked of.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Problem> {
        self.snapshot_before(u64::MAX).await
    }

    /// The store with those operations alone that were finished before an offset of the command log.
    pub(crate) async fn snapshot_before(&self, offset: u64) -> Result<Snapshot, Problem> {
        let before = Values::default()
            .with("topic", Value::Text(COMMANDS_TOPIC.to_owned()))
            .with("before", Value::Unsigned(offset));
        let finished: Vec<Finished> = self.open(queries::OPERATIONS_FINISHED, before).await?;
        // What no operation posted bears 0.
        let (mut operations, mut ids) = (vec![0], vec![String::new()]);
        for Finished { operation, operation_id } in finished {
            operations.push(operation);
            ids.push(operation_id);
        }
        Ok(Snapshot { store: self.clone(), operations, ids })
    }

    /// Runs a query over customers' rows that are no entries; `fill` fills its other slots.
    pub(crate) async fn bounded<T: RowOwned + RowRead>(
        &self,
        query: Bounded,
        conditions: Conditions,
        fill: impl FnOnce(Statement) -> Statement,
    ) -> Result<Vec<T>, Problem> {
        let statement = fill(Statement::bounded(query, &conditions));
        self.run(statement, conditions.values).await
    }

    /// Runs a query over what belongs to no customer.
    pub(crate) async fn open<T: RowOwned + RowRead>(
        &self,
        query: Open,
        values: Values,
    ) -> Result<Vec<T>, Problem> {
        self.run(Statement::open(query), values).await
    }

    /// Runs a query over what belongs to no customer, with slots.
    pub(crate) async fn open_with<T: RowOwned + RowRead>(
        &self,
        query: Open,
        values: Values,
        fill: impl FnOnce(Statement) -> Statement,
    ) -> Result<Vec<T>, Problem> {
        self.run(fill(Statement::open(query)), values).await
    }

    /// The bare client, for the audit, which has limits of its own.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the store answers; the text of the error says what it said.
    pub(crate) async fn check(&self) -> Result<(), String> {
        self.client.query("SELECT 1").execute().await.map_err(|error| chain(&error))
    }

    /// Runs a question of an operation, whose text was made by `schemas`.
    pub(crate) async fn asked<T: RowOwned + RowRead>(&self, asked: Asked) -> Result<Vec<T>, Problem> {
        let query = asked
            .values
            .into_iter()
            .fold(self.query(&asked.sql), |query, (name, value)| query.param(&name, value));
        let patience = Duration::from_secs(self.limits.seconds_max + 5);
        match tokio::time::timeout(patience, query.fetch_all::<T>()).await {
            Ok(rows) => rows.map_err(|error| self.problem(&error)),
            Err(_) => Err(self.too_slow()),
        }
    }

    async fn run<T: RowOwned + RowRead>(
        &self,
        statement: Statement,
        values: Values,
    ) -> Result<Vec<T>, Problem> {
        let query = values
            .into_pairs()
            .into_iter()
            .fold(self.query(statement.text()), |query, (name, value)| query.param(&name, value));
        // The store ends a query that takes too long; one that does not even do that is not waited for.
        let patience = Duration::from_secs(self.limits.seconds_max + 5);
        match tokio::time::timeout(patience, query.fetch_all::<T>()).await {
            Ok(rows) => rows.map_err(|error| self.problem(&error)),
            Err(_) => Err(self.too_slow()),
        }
    }

    fn query(&self, text: &str) -> Query {
        self.client
            .query(text)
            .with_setting("max_execution_time", self.limits.seconds_max.to_string())
            .with_setting("max_rows_to_read", self.limits.rows_max.to_string())
            .with_setting("max_memory_usage", self.limits.memory_bytes_max.to_string())
    }

    fn too_slow(&self) -> Problem {
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "query-too-slow",
            "The question took too long",
            format!(
                "the question took longer than {} s; shorten the period or ask for fewer groups",
                self.limits.seconds_max
            ),
        )
    }

    fn problem(&self, error: &clickhouse::error::Error) -> Problem {
        let text = chain(error);
        match code(&text) {
            Some(158) => Problem::new(
                StatusCode::BAD_REQUEST,
                "query-too-large",
                "The question reads too much",
                format!(
                    "the question would read more than {} rows; shorten the period, or group and filter by customer, \
                     team, model, provider, app, environment or key alone, whose totals are kept by day",
                    self.limits.rows_max
                ),
            ),
            Some(159 | 209) => self.too_slow(),
            Some(241) => Problem::new(
                StatusCode::BAD_REQUEST,
                "query-too-large",
                "The question needs too much memory",
                "the question has too many groups for the store's memory; shorten the period or ask for fewer groups",
            ),
            None if matches!(error, clickhouse::error::Error::Network(_)) => {
                tracing::error!(error = text, "The store cannot be reached");
                Problem::unavailable("the store cannot be reached; try again, or ask its operator")
            }
            _ => {
                tracing::error!(error = text, "The store refused a query");
                Problem::internal()
            }
        }
    }
}

impl Snapshot {
    /// Runs a query over entries; `fill` fills its other slots.
    pub(crate) async fn ledger<T: RowOwned + RowRead>(
        &self,
        query: Ledger,
        conditions: Conditions,
        fill: impl FnOnce(Statement) -> Statement,
    ) -> Result<Vec<T>, Problem> {
        let statement = fill(Statement::ledger(query, &conditions));
        let values = conditions
            .values
            .with("operations", Value::Unsigneds(self.operations.clone()))
            .with("operation_ids", Value::Texts(self.ids.clone()));
        self.store.run(statement, values).await
    }

    /// What no operation posted, and the operations that count.
    pub(crate) fn operations(&self) -> &[u64] {
        &self.operations
    }
}

impl std::ops::Deref for Snapshot {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// The whole chain of an error in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let next = source.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = source.source();
    }
    text
}

/// The number in `Code: 241. DB::Exception…`.
fn code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_code_is_read_from_its_text() {
        assert_eq!(code("bad response: Code: 158. DB::Exception: Limit for rows"), Some(158));
        assert_eq!(code("network error: connection refused"), None);
    }
}

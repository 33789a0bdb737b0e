//! The store as the worker uses it: blocks go in under a lease, and what a range holds is read back. Blocking, for
//! the worker's own threads. Decides nothing: whether an answer is clean is the caller's business.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clickhouse::Client;
use ledger::event::Millis;
use tokio::runtime::Handle;

use crate::source::Partition;

const NOW: &str = include_str!("../../schemas/clickhouse/queries/store_now.sql");
const RUNNING: &str = include_str!("../../schemas/clickhouse/queries/inserts_running.sql");
const CLOSED: &str = include_str!("../../schemas/clickhouse/queries/partition_closed.sql");
const HIGHEST: &str = include_str!("../../schemas/clickhouse/queries/partition_highest.sql");
const PRESENT: &str = include_str!("../../schemas/clickhouse/queries/rows_present.sql");
const RECENT_IDS: &str = include_str!("../../schemas/clickhouse/queries/recent_ids.sql");

/// How long a question to the store may take.
const QUERY_SECONDS_MAX: &str = "60";
/// How long its answer is waited for, a little longer than the store itself works on it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long the bytes of an insert may take to be accepted, and how long its answer may take. Longer than any lease:
/// what takes longer was refused by the server, or is found by reading back.
const INSERT_TIMEOUT: Duration = Duration::from_secs(60);

/// A store that did not answer, or not with yes.
#[derive(Debug, thiserror::Error)]
#[error("the store failed {what}")]
pub struct Error {
    what: String,
    #[source]
    source: clickhouse::error::Error,
}

/// What a store's refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The lease was over before the rows were there.
    Lease,
    /// A value of a row cannot be stored.
    Row,
    /// Anything else, which may pass.
    Other,
}

/// Codes of ClickHouse's errors that speak of a value: unparsable text, types, ranges, sizes, nulls, decimals, and a
/// violated constraint. Whatever is not listed is taken to pass.
const ROW_CODES: &[&str] =
    &["6", "27", "38", "41", "53", "69", "70", "117", "131", "321", "349", "407", "469"];

impl Error {
    /// What the refusal is about.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let clickhouse::error::Error::BadResponse(answer) = &self.source else { return Refusal::Other };
        if answer.contains("Constraint `fresh`") {
            return Refusal::Lease;
        }
        let code = answer.strip_prefix("Code: ").and_then(|rest| rest.split_once('.')).map(|(code, _)| code);
        if code.is_some_and(|code| ROW_CODES.contains(&code)) { Refusal::Row } else { Refusal::Other }
    }
}

/// What the client answers.
type Answered<T> = Result<T, clickhouse::error::Error>;

/// Rows of one table, ready to be sent.
pub trait Rows: Send {
    /// The table's name.
    fn table(&self) -> &'static str;
    /// How many rows there are.
    fn rows(&self) -> usize;
    /// The rows as one block under that lease; they are gone from here afterwards.
    fn take_block(&mut self, write_before: Millis) -> Vec<Bytes>;
}

impl<T: schemas::columns::Table> Rows for T {
    fn table(&self) -> &'static str {
        T::NAME
    }

    fn rows(&self) -> usize {
        schemas::columns::Table::rows(self)
    }

    fn take_block(&mut self, write_before: Millis) -> Vec<Bytes> {
        schemas::columns::Table::take_block(self, write_before)
    }
}

/// Which rows of a range a table holds, by offset and ordinal.
pub type Present = HashSet<(u64, u32)>;

/// How far the closed batches of a partition reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
pub struct Closed {
    /// How many batches there are.
    pub batch_count: u64,
    /// `next` of the last one.
    pub reaches: u64,
}

/// An id that was posted lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
pub struct RecentId {
    /// Where it was posted from.
    pub offset: u64,
    /// 128-bit hash of the id.
    pub event_hash: u128,
    /// 64-bit hash of the content.
    pub content_hash: u64,
}

/// A ClickHouse server, or the embedded engine behind the same interface.
#[derive(Clone)]
pub struct Store {
    client: Client,
    runtime: Handle,
}

/// What an insert is for: names the batch in query ids and deduplication tokens.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The batch's partition.
    pub partition: &'a Partition,
    /// First offset of the batch.
    pub first: u64,
    /// Where the next batch begins.
    pub next: u64,
    /// Sets the tokens of what a heal sends apart from those of the first try.
    pub attempt: u64,
}

impl Store {
    /// A store that is reached by that client; `runtime` carries the connections.
    #[must_use]
    pub fn new(client: Client, runtime: Handle) -> Self {
        let client = client.with_setting("max_execution_time", QUERY_SECONDS_MAX);
        Self { client, runtime }
    }

    /// The client, for questions that are not of the protocol.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs one of the client's futures to its end.
    ///
    /// # Errors
    /// Its own, or that no answer came in time: a connection whose other end is gone without a word says nothing.
    pub fn block_on<T>(&self, future: impl Future<Output = Answered<T>>) -> Answered<T> {
        self.runtime.block_on(async {
            tokio::time::timeout(ANSWER_TIMEOUT, future)
                .await
                .unwrap_or(Err(clickhouse::error::Error::TimedOut))
        })
    }

    /// The store's own time.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn now(&self) -> Result<Millis, Error> {
        let now = self.block_on(self.client.query(NOW).fetch_one::<i64>());
        now.map(Millis).map_err(failed("telling its time"))
    }

    /// Sends rows as one insert. Only `Ok` says that all are there; after anything else, none, some or all may be.
    ///
    /// # Errors
    /// Where the answer was not a clean one.
    pub fn insert(&self, rows: &mut dyn Rows, scope: Scope<'_>, write_before: Millis) -> Result<(), Error> {
        if rows.rows() == 0 {
            return Ok(());
        }
        let table = rows.table();
        let Scope { partition, first, next, attempt } = scope;
        let token = match attempt {
            0 => format!("{partition}/{first}-{next}/{table}"),
            healing => format!("{partition}/{first}-{next}/{table}/{healing}"),
        };
        let block = rows.take_block(write_before);
        let outcome = self.runtime.block_on(async {
            let mut insert = self
                .client
                .insert_formatted_with(format!("INSERT INTO {table} FORMAT Native"))
                .with_setting("query_id", query_id(partition, &token))
                .with_setting("async_insert", "0")
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_deduplication_token", token)
                .with_setting("max_partitions_per_insert_block", "0")
                .with_setting("max_execution_time", "0")
                .with_timeouts(Some(INSERT_TIMEOUT), Some(INSERT_TIMEOUT));
            for chunk in block {
                insert.send(chunk).await?;
            }
            insert.end().await
        });
        outcome.map_err(failed(&format!("inserting into {table}")))
    }

    /// Waits until no insert of the partition runs in the store, for at most `wait`; answers whether none does.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn settled(&self, partition: &Partition, wait: Duration) -> Result<bool, Error> {
        let deadline = std::time::Instant::now() + wait;
        loop {
            let running: u64 = self
                .block_on(self.client.query(RUNNING).param("prefix", query_prefix(partition)).fetch_one())
                .map_err(failed("listing the inserts that run"))?;
            if running == 0 {
                return Ok(true);
            }
            if std::time::Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How far the closed batches of the partition reach; `None` where there are none.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn closed(&self, partition: &Partition) -> Result<Option<Closed>, Error> {
        let closed: Closed = self
            .block_on(
                self.sequential(CLOSED)
                    .param("topic", partition.topic.as_ref())
                    .param("partition", partition.number)
                    .fetch_one(),
            )
            .map_err(failed("reading the last batch"))?;
        Ok(Some(closed).filter(|closed| closed.batch_count > 0))
    }

    /// The offset after the highest one that any table of the ledger holds of the partition; 0 where none does.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn highest(&self, partition: &Partition, from: u64) -> Result<u64, Error> {
        self.block_on(
            self.sequential(HIGHEST)
                .param("topic", partition.topic.as_ref())
                .param("partition", partition.number)
                .param("from", from)
                .fetch_one(),
        )
        .map_err(failed("reading the highest posted offset"))
    }

    /// Which rows of `[first, next)` the table holds.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn present(
        &self,
        table: &str,
        partition: &Partition,
        first: u64,
        next: u64,
    ) -> Result<Present, Error> {
        let rows: Vec<(u64, u32)> = self
            .block_on(
                self.sequential(PRESENT)
                    .param("table", table)
                    .param("topic", partition.topic.as_ref())
                    .param("partition", partition.number)
                    .param("first", first)
                    .param("next", next)
                    .fetch_all(),
            )
            .map_err(failed(&format!("reading back {table}")))?;
        Ok(rows.into_iter().collect())
    }

    /// The ids of the entries with offsets in `[from, to)`, in order.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub fn recent_ids(&self, partition: &Partition, from: u64, to: u64) -> Result<Vec<RecentId>, Error> {
        self.block_on(
            self.sequential(RECENT_IDS)
                .param("topic", partition.topic.as_ref())
                .param("partition", partition.number)
                .param("from", from)
                .param("to", to)
                .fetch_all(),
        )
        .map_err(failed("reading the recent ids"))
    }

    /// A question whose answer must not come from a replica that lags: all that an outcome depends on.
    pub fn sequential(&self, sql: &str) -> clickhouse::query::Query {
        self.client
            .query(sql)
            .with_setting("select_sequential_consistency", "1")
            // An answer that fails half way is an error, never a shorter answer.
            .with_setting("wait_end_of_query", "1")
    }
}

/// All inserts of a partition have query ids that begin so.
fn query_prefix(partition: &Partition) -> String {
    format!("tollbook/{partition}/")
}

fn query_id(partition: &Partition, token: &str) -> String {
    // Two queries with one id cannot run at once, so each gets its own.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nonce = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{token}/{}-{nonce}", query_prefix(partition), std::process::id())
}

fn failed(what: &str) -> impl Fn(clickhouse::error::Error) -> Error {
    move |source| Error { what: what.to_owned(), source }
}

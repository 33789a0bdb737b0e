//! The trial balance: every record that was received is posted, a duplicate or in quarantine, exactly once; what
//! the batches say agrees with the rows that carry their ranges; the projections agree with the entries.
//!
//! `GET /v1/audit` and `tollbook audit` run the same checks. They read closed batches only, so they can run while
//! events are being posted.

mod batches;
mod projections;
mod repeats;
mod reversals;

use std::fmt;

use axum::Json;
use axum::extract::{OriginalUri, State};
use clickhouse::Client;
use clickhouse::query::Query;
use schemas::queries::Open;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Unbound;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::router::Service;
use crate::store::chain;

pub use repeats::{Sweep, reverse_repeats};

/// Seconds that one query of the audit may take.
const SECONDS_MAX: u32 = 600;
/// Differences that a report lists; the rest is counted.
const DIFFERENCES_MAX: usize = 100;

/// Why the audit could not be made. It says nothing about the books.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer.
    #[error("the store did not answer the audit's question for {what}")]
    Store {
        /// What was asked.
        what: &'static str,
        /// What the store said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// The log did not take the commands that reverse repeats. Some may be in it; the next search asks again.
    #[error("the log did not take the reversal of repeats")]
    Log(#[from] schemas::log::Error),
    /// The commands that reverse repeats could not be written.
    #[error("the reversal of repeats could not be written as a command")]
    Command,
}

impl Error {
    fn store(what: &'static str, source: clickhouse::error::Error) -> Self {
        Self::Store { what, source }
    }
}

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Whether every check passed.
    pub clean: bool,
    /// The balance of each partition.
    pub partitions: Vec<PartitionBalance>,
    /// Whether each projection agrees with the entries.
    pub projections: Vec<ProjectionBalance>,
    /// What differs, in the order in which it was found; at most 100.
    pub differences: Vec<Difference>,
    /// Differences that are not listed.
    pub differences_more: u64,
}

/// received = posted + duplicates + quarantined, for one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionBalance {
    /// Topic of the partition.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// First offset of the first batch.
    pub first: u64,
    /// End of the last batch.
    pub next: u64,
    /// Closed batches.
    pub batches: u64,
    /// Records that were read.
    pub received: u64,
    /// Records that made entries.
    pub posted: u64,
    /// Records that were dropped as repeats.
    pub duplicates: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Offsets without a record.
    pub holes: u64,
    /// Entries that the posted records made.
    pub entries: u64,
    /// Posted records that were reversed, because their id was posted before.
    pub reversed: u64,
    /// Those of them whose content differed from the first.
    pub reversed_conflicts: u64,
    /// Rows of the batch that is being written now.
    pub pending_rows: u64,
    /// Whether every check of this partition passed.
    pub clean: bool,
}

/// A projection beside the entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionBalance {
    /// Name of the projection.
    pub projection: String,
    /// What its totals were compared with: the entries, or another projection.
    pub against: String,
    /// Whether the daily totals of both are the same.
    pub clean: bool,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Which check found it.
    pub check: Check,
    /// The partition, where it is of one.
    pub topic: Option<String>,
    /// The partition, where it is of one.
    pub partition: Option<u32>,
    /// The first offset that differs, where it is known.
    pub offset: Option<u64>,
    /// What differs.
    pub detail: String,
}

/// The checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Batches leave no offset out.
    Gap,
    /// No offset is in two batches.
    Overlap,
    /// received = posted + duplicates + quarantined, and + holes = the range.
    Balance,
    /// The rows that carry a batch's range are those that it says.
    Rows,
    /// Every row lies in a batch.
    Outside,
    /// A reversed repeat comes out at nothing.
    Reversal,
    /// A projection's totals are those of the entries.
    Projection,
}

/// How far an audit goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Batches and projections are compared by what is kept of the rows: their number, digests and totals.
    #[default]
    Digests,
    /// Every row is read.
    Full,
}

/// Audits the store by digests.
///
/// # Errors
/// Where the store does not answer a question; a difference is no error but part of the report.
pub async fn run(client: &Client) -> Result<Report, Error> {
    run_to(client, Depth::Digests).await
}

/// Audits the store.
///
/// # Errors
/// As [`run`].
pub async fn run_to(client: &Client, depth: Depth) -> Result<Report, Error> {
    let auditor = Auditor { client: client.clone() };
    let mut report = Report { clean: true, ..Report::default() };
    batches::check(&auditor, depth, &mut report).await?;
    reversals::check(&auditor, &mut report).await?;
    projections::check(&auditor, depth, &mut report).await?;
    Ok(report)
}

/// The trial balance.
#[utoipa::path(
    get, path = "/v1/audit", tag = "operation",
    responses((status = 200, body = Report)),
    security(("token" = []))
)]
pub(crate) async fn audit(
    State(service): State<Service>,
    _caller: Unbound,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Report>, Problem> {
    let mut parameters = Parameters::parse(&uri)?;
    let depth = parameters.choice("full", &[("true", Depth::Full), ("false", Depth::Digests)])?;
    parameters.finish(["full"])?;
    // One audit at a time: it reads everything.
    let _turn = service
        .audits
        .try_acquire()
        .map_err(|_| Problem::unavailable("another audit is running; ask again when it has ended"))?;
    run_to(service.store.client(), depth.unwrap_or_default()).await.map(Json).map_err(|error| {
        tracing::error!(error = chain(&error), "The audit could not be made");
        Problem::unavailable("the store did not answer the audit; try again, or ask its operator")
    })
}

/// Runs the audit's queries.
struct Auditor {
    client: Client,
}

impl Auditor {
    fn query(&self, query: Open) -> Query {
        self.sql(query.text())
    }

    fn sql(&self, text: &str) -> Query {
        self.client.query(text).with_setting("max_execution_time", SECONDS_MAX.to_string())
    }
}

impl Report {
    /// Marks a partition as one that differs.
    fn partition_differs(&mut self, topic: &str, partition: u32) {
        let mut partitions = self.partitions.iter_mut();
        if let Some(found) = partitions.find(|found| found.topic == topic && found.partition == partition) {
            found.clean = false;
        }
    }

    fn differs(&mut self, difference: Difference) {
        self.clean = false;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        } else {
            self.differences_more += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for partition in &self.partitions {
            writeln!(f, "{partition}")?;
        }
        for projection in &self.projections {
            let state = if projection.clean { "agrees with" } else { "DIFFERS from" };
            writeln!(f, "projection {} {state} {}", projection.projection, projection.against)?;
        }
        for difference in &self.differences {
            writeln!(f, "difference: {difference}")?;
        }
        if self.differences_more > 0 {
            writeln!(f, "and {} more differences", self.differences_more)?;
        }
        write!(f, "{}", if self.clean { "clean" } else { "NOT CLEAN" })
    }
}

impl fmt::Display for PartitionBalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} [{}, {}): received {} = posted {} + duplicates {} + quarantined {}; {} entries in {} batches",
            self.topic,
            self.partition,
            self.first,
            self.next,
            self.received,
            self.posted,
            self.duplicates,
            self.quarantined,
            self.entries,
            self.batches
        )?;
        if self.reversed > 0 {
            write!(f, "; {} reversed as repeats", self.reversed)?;
        }
        if self.holes > 0 {
            write!(f, "; {} offsets without a record", self.holes)?;
        }
        if self.pending_rows > 0 {
            write!(f, "; {} rows being written", self.pending_rows)?;
        }
        if !self.clean { write!(f, "; DIFFERS") } else { Ok(()) }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(topic), Some(partition)) = (&self.topic, self.partition) {
            write!(f, "{topic}/{partition}: ")?;
        }
        write!(f, "{}", self.detail)?;
        self.offset.map_or(Ok(()), |offset| write!(f, " (first at offset {offset})"))
    }
}

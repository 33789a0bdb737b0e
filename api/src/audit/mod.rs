//! The trial balance: every record that was received is posted, a duplicate or in quarantine, exactly once; what
//! the batches say agrees with the rows that carry their ranges; the projections agree with the entries.
//!
//! `GET /v1/audit`, `tollbook audit` and the audit that a process makes each hour run the same checks. They read closed
//! batches only, so they can run while events are being posted.

mod batches;
mod losses;
pub(crate) mod periodic;
mod projections;
mod repeats;
mod report;
mod reprice;
mod reversals;

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{OriginalUri, State};
use clickhouse::Client;
use clickhouse::query::Query;
use jiff::Timestamp;
use schemas::caller::Caller;
use schemas::log::Log;
use schemas::queries::Open;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use crate::auth::Unbound;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::rfc3339;
use crate::router::Service;
use crate::store::chain;

pub use losses::Loss;

pub use repeats::{Sweep, reverse_repeats};
pub use report::{Check, Difference, PartitionBalance, ProjectionBalance, Report, Repricing};
pub use reprice::Sample;

/// How long an audit waits for one that is under way.
const TURN_WAIT: Duration = Duration::from_secs(300);
/// Seconds that one query of the audit may take.
const SECONDS_MAX: u32 = 600;

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
    /// The price rows cannot be read, so no amount can be derived.
    #[error("the published price rows make no price book: {detail}")]
    Prices {
        /// Why not.
        detail: String,
    },
    /// The commands that reverse repeats could not be written.
    #[error("the reversal of repeats could not be written as a command")]
    Command,
}

impl Error {
    fn store(what: &'static str, source: clickhouse::error::Error) -> Self {
        Self::Store { what, source }
    }
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

/// What an audit does besides the trial balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How far it goes.
    pub depth: Depth,
    /// Which entries are priced again.
    pub reprice: Option<Sample>,
}

/// Audits the store by digests.
///
/// # Errors
/// Where the store does not answer a question; a difference is no error but part of the report.
pub async fn run(client: &Client) -> Result<Report, Error> {
    run_with(client, Options::default()).await
}

/// Audits the store. It only reads.
///
/// # Errors
/// As [`run`].
pub async fn run_with(client: &Client, options: Options) -> Result<Report, Error> {
    let begun = Instant::now();
    let auditor = Auditor { client: client.clone() };
    let mut report = Report {
        clean: true,
        at: rfc3339(Timestamp::now().as_millisecond()),
        full: options.depth == Depth::Full,
        ..Report::default()
    };
    batches::check(&auditor, options.depth, &mut report).await?;
    reversals::check(&auditor, &mut report).await?;
    projections::check(&auditor, options.depth, &mut report).await?;
    losses::list(&auditor, &mut report).await?;
    if let Some(sample) = options.reprice {
        reprice::check(&auditor, sample, &mut report).await?;
    }
    report.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Has repeats reversed under the name of `actor`, waits for that as long as `wait`, and audits the store.
///
/// # Errors
/// As [`run`] and [`reverse_repeats`].
pub async fn audit_after_sweep(
    client: &Client,
    log: &dyn Log,
    actor: &str,
    wait: Duration,
    options: Options,
) -> Result<Report, Error> {
    let begun = Instant::now();
    let sweep = reverse_repeats(client, log, actor, wait).await?;
    let mut report = run_with(client, options).await?;
    report.sweep = Some(sweep);
    report.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// The trial balance, read only.
#[utoipa::path(
    get, path = "/v1/audit", tag = "operation",
    params(
        ("full" = Option<bool>, Query, description = "Reads every row; else batches and projections are compared by their digests and totals"),
        ("reprice" = Option<String>, Query, description = "Derives amounts again from quantities and price rows: of `all` entries, or of as many as the number says"),
        ("seed" = Option<u64>, Query, description = "Draws the sample of `reprice`; without it a new one is drawn, and the answer says by which seed"),
        ("cached" = Option<bool>, Query, description = "Answers the last audit that this process made by itself, without making one"),
    ),
    responses(
        (status = 200, body = Report),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "`cached`, and none was made yet"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Another audit does not end, or the store did not answer"),
    ),
    security(("token" = []))
)]
pub(crate) async fn audit(
    State(service): State<Service>,
    _caller: Unbound,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Report>, Problem> {
    let mut parameters = Parameters::parse(&uri)?;
    let cached = parameters.choice("cached", &BOOLEAN)?.unwrap_or(false);
    let options = options(parameters, &["cached"])?;
    if cached {
        let latest = service.audits.latest();
        return latest.map(Json).ok_or_else(|| {
            Problem::not_found("audit that this process made by itself yet; ask without `cached`, or later")
        });
    }
    let _turn = turn(&service).await?;
    run_with(service.store.client(), options).await.map(Json).map_err(|error| problem(&error))
}

/// Searches for repeats beyond the window, has them reversed, and makes the trial balance.
#[utoipa::path(
    post, path = "/v1/audit", tag = "operation",
    params(
        ("full" = Option<bool>, Query, description = "As for `GET`"),
        ("reprice" = Option<String>, Query, description = "As for `GET`"),
        ("seed" = Option<u64>, Query, description = "As for `GET`"),
    ),
    responses(
        (status = 200, body = Report),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Another audit does not end, or the store or the log did not answer"),
    ),
    security(("token" = []))
)]
pub(crate) async fn audit_and_reverse(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Report>, Problem> {
    let options = options(Parameters::parse(&uri)?, &[])?;
    let _turn = turn(&service).await?;
    audit_after_sweep(service.store.client(), &*service.log, &caller.token_id, service.change_wait, options)
        .await
        .map(Json)
        .map_err(|error| problem(&error))
}

const BOOLEAN: [(&str, bool); 2] = [("true", true), ("false", false)];

fn options(mut parameters: Parameters, also: &[&str]) -> Result<Options, Problem> {
    let depth = parameters.choice("full", &[("true", Depth::Full), ("false", Depth::Digests)])?;
    let seed = match parameters.one("seed")? {
        Some(text) => Some(text.parse().map_err(|_| not_a_number("seed", &text))?),
        None => None,
    };
    let reprice = match parameters.one("reprice")?.as_deref() {
        None => None,
        Some("all") => Some(Sample::All),
        Some(text) => {
            let count = text.parse().ok().filter(|count| *count > 0);
            let count = count.ok_or_else(|| {
                Problem::parameter("reprice", format!("`reprice` cannot be `{text}`"))
                    .allowed(["all", "a whole number from 1"])
            })?;
            Some(Sample::Some { count, seed: seed.map_or_else(new_seed, Ok)? })
        }
    };
    parameters.finish(["full", "reprice", "seed"].iter().chain(also).copied())?;
    Ok(Options { depth: depth.unwrap_or_default(), reprice })
}

fn not_a_number(name: &str, text: &str) -> Problem {
    Problem::parameter(name, format!("`{name}` cannot be `{text}`")).allowed(["a whole number from 0"])
}

fn new_seed() -> Result<u64, Problem> {
    getrandom::u64().map_err(|error| {
        tracing::error!(error = error.to_string(), "The system has no random bytes");
        Problem::internal()
    })
}

/// One audit at a time, for it asks much of the store; another one that is under way is waited for.
/// What goes before a month is closed: repeats are searched for and reversed, then the trial balance. Answers what
/// speaks against closing.
pub(crate) async fn sweep_before_close(
    service: &Service,
    caller: &Caller,
) -> Result<Option<String>, Problem> {
    let _turn = turn(service).await?;
    let (client, log) = (service.store.client(), &*service.log);
    let report =
        audit_after_sweep(client, log, &caller.token_id, service.change_wait, Options::default()).await;
    let report = report.map_err(|error| problem(&error))?;
    if report.sweep.as_ref().is_some_and(|sweep| !sweep.carried_out) {
        return Ok(Some("repeats were found and are not reversed yet; ask again in a moment".to_owned()));
    }
    let first = report.differences.first().map(|difference| format!(": {}", difference.detail));
    Ok((!report.clean).then(|| format!("the audit is not clean{}", first.unwrap_or_default())))
}

async fn turn(service: &Service) -> Result<SemaphorePermit<'_>, Problem> {
    match timeout(TURN_WAIT, service.audits.turn.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => {
            Err(Problem::unavailable("another audit is still running; ask again when it has ended"))
        }
    }
}

fn problem(error: &Error) -> Problem {
    tracing::error!(error = chain(error), "The audit could not be made");
    match error {
        Error::Store { .. } => {
            Problem::unavailable("the store did not answer the audit; try again, or ask its operator")
        }
        Error::Log(_) => Problem::unavailable(
            "the log did not take the reversal of repeats; try again, or ask its operator",
        ),
        Error::Prices { .. } | Error::Command => Problem::internal(),
    }
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

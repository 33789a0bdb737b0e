//! Tollbook's HTTP API. Reads the store and appends changes to the log; writes no table.
//!
//! `router` lists every call and the scope that it needs. A call is parsed strictly (`parameters`, `period`,
//! `dimension`), asked under the bounds of its token (`auth`, `bounds`, `store`) and answered as JSON; every error
//! is a problem document (`error`).

mod router;

mod audit_log;
mod auth;
mod body;
mod bounds;
mod csv;
mod cursor;
mod dimension;
mod error;
mod parameters;
mod parquet;
mod period;
mod store;
mod units;

mod completeness;
mod entries;
mod export;
mod invoices;
pub mod quarantine;
mod requests;
mod spend;

mod commands;
mod models;
mod operations;
mod registries;
mod tokens;

pub mod audit;
mod health;
mod metrics;
mod openapi;

pub mod client;
pub mod first_token;

use std::sync::Arc;
use std::time::Duration;

use schemas::judge::Judge;
use schemas::log::Log;
use schemas::operations::STEP_ENTRIES_MAX;

use audit::periodic::{self, Desk};

pub use quarantine::replay::Chores;
pub use router::{router, router_and_chores};

/// What the API works with.
#[derive(Clone)]
pub struct Api {
    store: clickhouse::Client,
    log: Arc<dyn Log>,
    judge: Option<Arc<dyn Judge>>,
    registry: prometheus::Registry,
    change_wait: Duration,
    step_entries_max: u64,
    intake_description: Option<utoipa::openapi::OpenApi>,
    audits: Desk,
}

/// A change is waited for this long; what takes longer goes on by itself.
const CHANGE_WAIT: Duration = Duration::from_secs(10);

impl Api {
    /// An API over that store and log; `/metrics` shows all that the registry has.
    #[must_use]
    pub fn new(store: clickhouse::Client, log: Arc<dyn Log>, registry: prometheus::Registry) -> Self {
        Self {
            store,
            log,
            judge: None,
            registry,
            change_wait: CHANGE_WAIT,
            step_entries_max: STEP_ENTRIES_MAX,
            intake_description: None,
            audits: Desk::default(),
        }
    }

    /// The same API, which replays events of the quarantine that this judge finds in order.
    #[must_use]
    pub fn with_judge(mut self, judge: Arc<dyn Judge>) -> Self {
        self.judge = Some(judge);
        self
    }

    /// The same API, which waits for a change no longer than that.
    #[must_use]
    pub fn with_change_wait(mut self, wait: Duration) -> Self {
        self.change_wait = wait;
        self
    }

    /// The same API, whose operations look at no more entries than that in one step, as far as they can be told apart.
    #[must_use]
    pub fn with_step_entries_max(mut self, entries_max: u64) -> Self {
        self.step_entries_max = entries_max;
        self
    }

    /// Audits each time that `every` has passed, as long as the future is polled: has repeats reversed, compares, tells
    /// `tollbook_audit_*`, and keeps the report for `GET /v1/audit?cached=true` of this API's router.
    ///
    /// # Errors
    /// Where the metrics cannot be registered, because the registry has others of their names.
    pub fn audits(
        &self,
        every: Duration,
    ) -> Result<impl Future<Output = ()> + Send + 'static, prometheus::Error> {
        let metrics = periodic::Metrics::register(&self.registry)?;
        Ok(periodic::run(self.store.clone(), self.log.clone(), self.audits.clone(), metrics, every))
    }

    /// The same API, whose `/openapi.json` also describes the calls of the intake.
    #[must_use]
    pub fn with_intake_description(mut self, description: utoipa::openapi::OpenApi) -> Self {
        self.intake_description = Some(description);
        self
    }
}

/// The answers of the API, for those who call it.
pub mod answers {
    pub use crate::commands::{Operation, State};
    pub use crate::entries::Entries;
    pub use crate::entries::row::{Entry, Line, Origin, Plane, ReportedCost};
    pub use crate::error::Problem;
    pub use crate::export::{Manifest, ManifestInvoice, ManifestSum};
    pub use crate::health::{Dependency, Health, Readiness};
    pub use crate::invoices::{Closed, Invoice, Invoices, LineEntries, LineEntry};
    pub use crate::models::changes::{
        Comparison, Money, OtherDifference, PriceDifference, RowChange, Touches, UnitPrice,
    };
    pub use crate::models::{ModelRow, Models, Publishing};
    pub use crate::operations::ask::{Change, Changed, CurrencyAmount, Progress};
    pub use crate::quarantine::bulk::{BulkResolved, Refused};
    pub use crate::quarantine::record::{Quarantined, Resolution};
    pub use crate::quarantine::resolve::Resolved;
    pub use crate::quarantine::{Count, Quarantine};
    pub use crate::registries::accounts::{AccountVersion, Accounts};
    pub use crate::registries::markups::{MarkupVersion, Markups};
    pub use crate::registries::owners::{OwnerVersion, Owners};
    pub use crate::registries::{SetVersion, Setting};
    pub use crate::requests::{
        Attempt, AttemptEntry, MarkupProof, Matched, Owner, PlaneProof, Proof, Reversal, Route, Total,
    };
    pub use crate::spend::{Spend, SpendRow, Unpriced};
    pub use crate::tokens::{Minted, Revoked, Token, Tokens};
}

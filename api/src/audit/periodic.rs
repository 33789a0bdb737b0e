//! The audit that a process makes by itself, again and again. It belongs to the API's process: that has the questions,
//! the answers and the log to append to, and leaves the workers to their work. Several API processes may each do it:
//! what they read changes nothing, and what they have reversed is reversed once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clickhouse::Client;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use schemas::log::Log;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Error, Options, Report, audit_after_sweep};
use crate::store::chain;

/// A process that was just started audits after this time, so that one that restarts often does not skip it.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// How long the reversal of repeats is waited for.
const REVERSAL_WAIT: Duration = Duration::from_secs(60);
/// Who asks for the reversal of repeats.
const ACTOR: &str = "audit";

/// The audits of one process: one at a time, and the last one that it made by itself.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) turn: Arc<Semaphore>,
    latest: Arc<Mutex<Option<Report>>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), latest: Arc::default() }
    }
}

impl Desk {
    /// The last audit that the process made by itself.
    pub(crate) fn latest(&self) -> Option<Report> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, report: Report) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }
}

/// What is told of the audits.
pub(crate) struct Metrics {
    last_run_seconds: IntGauge,
    clean: IntGauge,
    differences: IntGauge,
    duration_seconds: Gauge,
    runs: IntCounterVec,
    repeats: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            last_run_seconds: IntGauge::new(
                "tollbook_audit_last_run_seconds",
                "When the last audit that could be made ended, in seconds since 1970; 0 before the first",
            )?,
            clean: IntGauge::new(
                "tollbook_audit_clean",
                "1 where the last audit found no difference, else 0",
            )?,
            differences: IntGauge::new(
                "tollbook_audit_differences",
                "Differences that the last audit found",
            )?,
            duration_seconds: Gauge::new(
                "tollbook_audit_duration_seconds",
                "How long the last audit took, in seconds",
            )?,
            runs: IntCounterVec::new(
                Opts::new("tollbook_audit_runs_total", "Audits by outcome: clean, differs, failed"),
                &["outcome"],
            )?,
            repeats: IntCounter::new(
                "tollbook_audit_repeats_total",
                "Repeats beyond the window that audits of this process have had reversed",
            )?,
        };
        registry.register(Box::new(metrics.last_run_seconds.clone()))?;
        registry.register(Box::new(metrics.clean.clone()))?;
        registry.register(Box::new(metrics.differences.clone()))?;
        registry.register(Box::new(metrics.duration_seconds.clone()))?;
        registry.register(Box::new(metrics.runs.clone()))?;
        registry.register(Box::new(metrics.repeats.clone()))?;
        Ok(metrics)
    }

    fn tell(&self, report: &Report) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.last_run_seconds.set(jiff::Timestamp::now().as_second());
        self.clean.set(i64::from(report.clean));
        self.differences.set(whole(report.differences_total()));
        self.duration_seconds.set(Duration::from_millis(report.duration_ms).as_secs_f64());
        self.runs.with_label_values(&[if report.clean { "clean" } else { "differs" }]).inc();
        self.repeats.inc_by(report.sweep.as_ref().map_or(0, |sweep| sweep.repeats));
    }
}

/// Audits each time that `every` has passed, for ever: has repeats reversed, compares, tells the metrics, and logs
/// the first difference.
pub(crate) async fn run(client: Client, log: Arc<dyn Log>, desk: Desk, metrics: Metrics, every: Duration) {
    let mut times = interval_at(Instant::now() + every.min(FIRST_AFTER), every);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let Ok(_turn) = desk.turn.acquire().await else { return };
        match audit_after_sweep(&client, &*log, ACTOR, REVERSAL_WAIT, Options::default()).await {
            Ok(report) => {
                log_outcome(&report);
                metrics.tell(&report);
                desk.keep(report);
            }
            Err(error) => failed(&metrics, &error),
        }
    }
}

fn log_outcome(report: &Report) {
    match report.differences.first() {
        None => tracing::info!(duration_ms = report.duration_ms, "The audit is clean"),
        Some(first) => tracing::error!(
            differences = report.differences_total(),
            duration_ms = report.duration_ms,
            "The audit is NOT CLEAN: {first}"
        ),
    }
}

fn failed(metrics: &Metrics, error: &Error) {
    metrics.runs.with_label_values(&["failed"]).inc();
    tracing::error!(error = chain(error), "The audit could not be made");
}

//! What ingest counts. Labels are small closed sets: topics, partitions, stages, reasons; never a customer or key.

use ledger::event::Millis;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use crate::batch::Batch;
use crate::book::wall_clock;
use crate::source::Partition;

/// The counters of one process.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Seconds of a round in each stage.
    pub stage_seconds: HistogramVec,
    /// Rows of a batch.
    pub batch_rows: Histogram,
    /// Rounds without a clean answer.
    pub rounds_uncertain: IntCounter,
    /// Recoveries that had to be tried again.
    pub recoveries_retried: IntCounter,
    consumed: IntCounterVec,
    accepted: IntCounterVec,
    duplicate: IntCounterVec,
    quarantined: IntCounterVec,
    unpriced: IntCounterVec,
    skipped: IntCounterVec,
    lag_records: IntGaugeVec,
    lag_seconds: IntGaugeVec,
}

impl Metrics {
    /// The counters, registered.
    ///
    /// # Errors
    /// Where the registry has a metric of one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by_partition = ["topic", "partition"];
        let metrics = Self {
            stage_seconds: HistogramVec::new(
                HistogramOpts::new("tollbook_ingest_stage_seconds", "Seconds of a round in each stage")
                    .buckets(prometheus::exponential_buckets(0.001, 2.0, 16)?),
                &["stage"],
            )?,
            batch_rows: Histogram::with_opts(
                HistogramOpts::new("tollbook_ingest_batch_rows", "Records of a batch")
                    .buckets(prometheus::exponential_buckets(1.0, 4.0, 10)?),
            )?,
            rounds_uncertain: IntCounter::new(
                "tollbook_ingest_insert_retries_total",
                "Rounds whose answer was not a clean one, so that they were read back and completed",
            )?,
            recoveries_retried: IntCounter::new(
                "tollbook_ingest_recovery_retries_total",
                "Recoveries of a partition that had to be tried again",
            )?,
            consumed: counter(
                "tollbook_ingest_events_consumed_total",
                "Records read from the log",
                &by_partition,
            )?,
            accepted: counter(
                "tollbook_ingest_events_accepted_total",
                "Records that were posted",
                &by_partition,
            )?,
            duplicate: counter(
                "tollbook_ingest_events_duplicate_total",
                "Repeats that were dropped",
                &by_partition,
            )?,
            quarantined: counter(
                "tollbook_ingest_events_quarantined_total",
                "Records in quarantine, by reason",
                &["topic", "partition", "reason"],
            )?,
            unpriced: counter(
                "tollbook_ingest_entries_unpriced_total",
                "Entries posted without a price for all that they bill",
                &by_partition,
            )?,
            skipped: counter(
                "tollbook_ingest_offsets_skipped_total",
                "Offsets between records that hold none, as transactions leave them",
                &by_partition,
            )?,
            lag_records: gauge(
                "tollbook_ingest_lag_records",
                "Records in the log that are not posted",
                &by_partition,
            )?,
            lag_seconds: gauge(
                "tollbook_ingest_lag_seconds",
                "Seconds by log time that the ledger is behind",
                &by_partition,
            )?,
        };
        registry.register(Box::new(metrics.stage_seconds.clone()))?;
        registry.register(Box::new(metrics.batch_rows.clone()))?;
        registry.register(Box::new(metrics.rounds_uncertain.clone()))?;
        registry.register(Box::new(metrics.recoveries_retried.clone()))?;
        for counter in [
            &metrics.consumed,
            &metrics.accepted,
            &metrics.duplicate,
            &metrics.quarantined,
            &metrics.unpriced,
            &metrics.skipped,
        ] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(metrics.lag_records.clone()))?;
        registry.register(Box::new(metrics.lag_seconds.clone()))?;
        Ok(metrics)
    }

    /// Counts one closed batch.
    pub fn count_batch(&self, batch: &Batch) {
        let Batch { partition, intent, summary, .. } = batch;
        let number = partition.number.to_string();
        let labels = [partition.topic.as_ref(), number.as_str()];
        self.consumed.with_label_values(&labels).inc_by(summary.received);
        self.accepted.with_label_values(&labels).inc_by(summary.posted);
        let duplicates = u64::try_from(summary.duplicates_at.len()).unwrap_or(u64::MAX);
        self.duplicate.with_label_values(&labels).inc_by(duplicates);
        self.unpriced.with_label_values(&labels).inc_by(summary.unpriced);
        for (reason, count) in &summary.quarantined {
            self.quarantined.with_label_values(&[labels[0], labels[1], reason]).inc_by(*count);
        }
        let skipped = (intent.next - intent.first).saturating_sub(summary.received);
        self.skipped.with_label_values(&labels).inc_by(skipped);
        if skipped > 0 {
            tracing::warn!(
                kafka.partition = %partition, skipped,
                "{skipped} offsets of {partition} between {} and {} hold no record: markers of transactions, or what \
                 was aborted; on a topic without transactional producers, look for lost records",
                intent.first, intent.next
            );
        }
        if let Ok(rows) = u32::try_from(summary.received) {
            self.batch_rows.observe(f64::from(rows));
        }
    }

    /// Notes how far behind a partition is.
    pub fn lag(&self, partition: &Partition, records: u64, complete_through: Option<Millis>) {
        let number = partition.number.to_string();
        let labels = [partition.topic.as_ref(), number.as_str()];
        self.lag_records.with_label_values(&labels).set(i64::try_from(records).unwrap_or(i64::MAX));
        if let Some(at) = complete_through {
            self.lag_seconds.with_label_values(&labels).set((wall_clock().0 - at.0) / 1000);
        }
    }
}

fn counter(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), labels)
}

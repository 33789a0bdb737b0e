//! The posting thread: announces a round, then inserts its rows under the lease that the announcement began.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use ledger::event::Millis;

use super::{Built, Round, chain};
use crate::batch::Batch;
use crate::fault;
use crate::metrics::Metrics;
use crate::recover::lease_end;
use crate::source::{AnnounceError, Announcement, Announcer, Partition};
use crate::store::{self, Rows, Scope, Store};

/// What became of a round.
pub(super) enum Outcome {
    /// Every batch is closed.
    Posted {
        /// Generation of the round.
        generation: u64,
        /// Each partition and where it goes on.
        batches: Vec<(Partition, u64)>,
    },
    /// Some batch may not be closed.
    Failed {
        /// Generation of the round.
        generation: u64,
        /// What happened.
        trouble: String,
        /// Whether an intent has no answer, so that the group has to be left.
        no_answer: bool,
        /// A partition of the round.
        partition: Option<Partition>,
    },
}

/// Why a round is uncertain.
#[derive(Debug, thiserror::Error)]
enum Uncertain {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    #[error("{0} was revoked before its rows were sent")]
    Revoked(Partition),
    #[error("{0}")]
    Injected(String),
}

/// What the posting thread works with.
pub(super) struct Poster {
    pub(super) store: Store,
    pub(super) announcer: Arc<dyn Announcer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) lease: Duration,
    pub(super) worker: String,
    pub(super) inserts_at_once: usize,
}

impl Poster {
    /// Posts rounds until the building thread has ended. After a failure, the rounds of its generation that are
    /// still to come are dropped: their partitions are recovered first.
    pub(super) fn run(&self, rounds: &Receiver<Built>, outcomes: &Sender<Outcome>) {
        let mut failed_generation = None;
        for built in rounds {
            let outcome = match built {
                Built::Round(Round { generation, .. }) | Built::Failed { generation, .. }
                    if failed_generation == Some(generation) =>
                {
                    continue;
                }
                Built::Failed { generation, error } => {
                    Outcome::Failed { generation, trouble: chain(&error), no_answer: false, partition: None }
                }
                Built::Round(round) => self.post_round(round),
            };
            if let Outcome::Failed { generation, .. } = &outcome {
                failed_generation = Some(*generation);
            }
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }

    fn post_round(&self, Round { generation, mut batches }: Round<Batch>) -> Outcome {
        match self.post(&mut batches) {
            Ok(()) => {
                for batch in batches.iter().filter(|batch| !batch.intent.is_empty()) {
                    self.metrics.count_batch(batch);
                }
                let batches = batches.into_iter().map(|batch| (batch.partition, batch.intent.next)).collect();
                Outcome::Posted { generation, batches }
            }
            Err(error) => Outcome::Failed {
                generation,
                trouble: chain(&error),
                no_answer: matches!(error, Uncertain::Announce(AnnounceError::NoAnswer(_))),
                partition: batches.first().map(|batch| batch.partition.clone()),
            },
        }
    }

    fn post(&self, batches: &mut [Batch]) -> Result<(), Uncertain> {
        let _span = tracing::info_span!("post", batches = batches.len()).entered();
        let announcements: Vec<Announcement> = batches
            .iter()
            .map(|batch| Announcement {
                partition: batch.partition.clone(),
                epoch: batch.epoch,
                offset: batch.intent.first,
                metadata: batch.intent.metadata(),
            })
            .collect();
        let topic = batches.first().map_or_else(|| "".into(), |batch| batch.partition.topic.clone());
        let point = |name| fault::point(&topic, name).map_err(Uncertain::Injected);
        point("post.begun")?;
        let mut announced_at = Instant::now();
        let mut write_before = self.announce(&announcements)?;
        point("post.announced")?;
        let _timer = self.metrics.stage_seconds.with_label_values(&["post"]).start_timer();
        let mut batches: Vec<&mut Batch> =
            batches.iter_mut().filter(|batch| !batch.intent.is_empty()).collect();
        for group in batches.chunks_mut(self.inserts_at_once.max(1)) {
            // A round of many partitions may outlast a lease: the same intents again renew it.
            if announced_at.elapsed() > self.lease / 2 {
                announced_at = Instant::now();
                write_before = self.announce(&announcements)?;
            }
            std::thread::scope(|scope| {
                let running: Vec<_> =
                    group.iter_mut().map(|batch| scope.spawn(|| self.insert(batch, write_before))).collect();
                // Every insert is waited for, whatever became of the others.
                let outcomes: Vec<_> = running.into_iter().map(join).collect();
                outcomes.into_iter().collect::<Result<(), _>>()
            })?;
        }
        point("post.closed")
    }

    /// Announces the round; answers the end of the lease, which counts from the store's time before the commit is
    /// sent.
    fn announce(&self, announcements: &[Announcement]) -> Result<Millis, Uncertain> {
        let timer = self.metrics.stage_seconds.with_label_values(&["announce"]).start_timer();
        let now = self.store.now()?;
        self.announcer.announce(announcements)?;
        timer.observe_duration();
        Ok(lease_end(now, self.lease))
    }

    /// Quarantine, then entries, then the row that closes the batch.
    fn insert(&self, batch: &mut Batch, write_before: Millis) -> Result<(), Uncertain> {
        let mut closing = batch.closing(&self.worker, false);
        let Batch { partition, epoch, intent, tables, .. } = batch;
        let scope = Scope { partition, first: intent.first, next: intent.next, attempt: 0 };
        for rows in tables {
            if !self.announcer.owns(partition, *epoch) {
                return Err(Uncertain::Revoked(partition.clone()));
            }
            if rows.rows() > 0 {
                fault::insert(&partition.topic, "post.insert", rows.table()).map_err(Uncertain::Injected)?;
            }
            self.store.insert(rows.as_mut(), scope, write_before)?;
        }
        if !self.announcer.owns(partition, *epoch) {
            return Err(Uncertain::Revoked(partition.clone()));
        }
        fault::insert(&partition.topic, "post.insert", closing.table()).map_err(Uncertain::Injected)?;
        Ok(self.store.insert(&mut closing, scope, write_before)?)
    }
}

fn join(handle: std::thread::ScopedJoinHandle<'_, Result<(), Uncertain>>) -> Result<(), Uncertain> {
    match handle.join() {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

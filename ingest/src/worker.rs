//! One worker of one topic. Three threads, bounded channels between them: `consume` polls and chooses batches,
//! `build` turns records into rows, `post` announces and inserts. Whatever is not a clean answer makes the
//! partitions be recovered, by the same code as at assignment.

mod lanes;
mod post;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ledger::event::Millis;

use crate::batch::{Batch, Chosen, Held, MakeError, Maker};
use crate::book::{Books, Sight};
use crate::metrics::Metrics;
use crate::recover::{self, Cause, Lessons, Recovery};
use crate::source::{self, Announcer, Change, Inbox, Partition, Source};
use crate::store::Store;
use lanes::Lanes;
use post::{Outcome, Poster};

/// How long one poll waits for records.
const POLL: Duration = Duration::from_millis(50);
/// How often progress is told and idle partitions are announced.
const TICK: Duration = Duration::from_secs(1);
/// How long the worker may be unable to hand on work before it holds the source and only serves the group.
const HOLD_AFTER: Duration = Duration::from_secs(5);
/// Pause before a recovery that did not succeed is tried again; doubled up to the maximum.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long leaving the group may take.
const LEAVE_DEADLINE: Duration = Duration::from_secs(10);
/// A batch of usage is not chosen when the command log was last seen carried out to its end longer ago than this.
pub const SIGHT_AGE_MS_MAX: i64 = 30_000;

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the store takes a writer's rows after the store's time was read.
    pub lease: Duration,
    /// Offsets back within which a repeat is dropped.
    pub dedup_window: u64,
    /// Records of a round at most, over all partitions.
    pub round_rows_max: usize,
    /// Bytes of a round's records at most.
    pub round_bytes_max: usize,
    /// Age at which a round is closed although it could grow.
    pub flush_after: Duration,
    /// Inserts of one round that run at once.
    pub inserts_at_once: usize,
    /// Name of this worker in the ledger.
    pub worker: String,
}

/// Why a worker ended although nobody stopped it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source cannot go on.
    #[error("the source cannot go on")]
    Source(#[from] source::Error),
    /// Log and ledger disagree.
    #[error("the worker does not go on")]
    Recover(#[from] recover::Error),
    /// A thread of the worker ended before its time.
    #[error("a thread of the worker has ended; its log says why")]
    Thread,
}

/// What a worker runs on.
pub struct Parts<M: Maker> {
    /// Opens the source: at the start, and again where the group has to be left.
    pub open: Box<dyn Fn() -> Result<Box<dyn Source>, source::Error> + Send>,
    /// The store.
    pub store: Store,
    /// Makes the rows.
    pub maker: Arc<M>,
    /// The command log's sight; `None` for the worker of the command log itself.
    pub books: Option<Arc<Books>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Set to end the worker: what was chosen is posted first.
    pub stop: Arc<AtomicBool>,
    /// What this worker says of itself.
    pub health: Arc<Health>,
}

/// What a worker says of itself, for readiness.
#[derive(Debug, Default)]
pub struct Health {
    trouble: std::sync::Mutex<Option<String>>,
}

impl Health {
    /// What the worker is waiting for; `None` where all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// A round under a generation: after a failure, rounds of older generations are thrown away.
struct Round<T> {
    generation: u64,
    batches: Vec<T>,
}

/// What the building thread sends on. A failure travels in line with the rounds, so that nothing is recovered
/// while a round before it is still being posted.
enum Built {
    /// Rows to post.
    Round(Round<Batch>),
    /// The round after which nothing of its generation follows.
    Failed { generation: u64, error: MakeError },
}

/// What the building thread is sent.
enum Job<M: Maker> {
    /// Records to turn into rows.
    Build(Round<Chosen>),
    /// The state that a partition goes on with.
    State(Partition, M::State),
    /// The partition is not ours any more.
    Forget(Partition),
}

/// Runs a worker until it is stopped or cannot go on.
///
/// # Errors
/// Where it cannot go on; nothing is lost, and the message says what to do.
pub fn run<M: Maker>(config: &Config, parts: &Parts<M>) -> Result<(), Error> {
    loop {
        let mut source = (parts.open)()?;
        let ended = serve(config, parts, source.as_mut());
        leave(source);
        match ended {
            Err(Error::Recover(recover::Error::Rejoin(partition))) => {
                tracing::warn!(kafka.partition = %partition, "Leaving the group: an intent has no answer");
            }
            ended => return ended,
        }
    }
}

/// Leaves the group, so that another worker need not wait for the session to time out. A broker that does not answer
/// keeps nobody from ending.
fn leave(source: Box<dyn Source>) {
    let (done, left) = mpsc::channel();
    let leaving = move || {
        drop(source);
        let _ = done.send(());
    };
    let is_left = match std::thread::Builder::new().name("leave".into()).spawn(leaving) {
        Ok(_) => left.recv_timeout(LEAVE_DEADLINE).is_ok(),
        Err(_) => false,
    };
    if !is_left {
        tracing::warn!(
            "The group is not left after {LEAVE_DEADLINE:?}: its other members wait until the session times out"
        );
    }
}

fn serve<M: Maker>(config: &Config, parts: &Parts<M>, source: &mut dyn Source) -> Result<(), Error> {
    // Without room in between: each thread holds one round, and the consumer gathers the next, so memory is bounded
    // by four rounds however far behind the worker is.
    let (jobs, incoming_jobs) = mpsc::sync_channel::<Job<M>>(0);
    let (rounds, incoming_rounds) = mpsc::sync_channel::<Built>(0);
    let (outcomes, incoming_outcomes) = mpsc::channel::<Outcome>();
    let announcer = source.announcer();
    let poster = Poster {
        store: parts.store.clone(),
        announcer: announcer.clone(),
        metrics: parts.metrics.clone(),
        lease: config.lease,
        worker: config.worker.clone(),
        inserts_at_once: config.inserts_at_once,
    };
    std::thread::scope(|scope| {
        let maker = &parts.maker;
        let metrics = &parts.metrics;
        scope.spawn(move || build(maker.as_ref(), metrics, &incoming_jobs, &rounds));
        scope.spawn(move || poster.run(&incoming_rounds, &outcomes));
        let mut consumer = Consumer {
            config,
            parts,
            source,
            announcer,
            jobs,
            outcomes: incoming_outcomes,
            lanes: Lanes::default(),
            inbox: Inbox::default(),
            generation: 0,
            rounds_under_way: 0,
            sight: Sight::default(),
            ticked: None,
        };
        // When the consumer ends, its channel closes, and the other threads end after it.
        consumer.run()
    })
}

/// The building thread: rows of records, one round after another. After a failure it drops what is left of that
/// generation, or a batch would be skipped.
fn build<M: Maker>(maker: &M, metrics: &Metrics, jobs: &mpsc::Receiver<Job<M>>, rounds: &SyncSender<Built>) {
    let mut states: HashMap<Partition, M::State> = HashMap::new();
    let mut failed_generation = None;
    for job in jobs {
        match job {
            Job::State(partition, state) => {
                states.insert(partition, state);
            }
            Job::Forget(partition) => {
                states.remove(&partition);
            }
            Job::Build(Round { generation, .. }) if failed_generation == Some(generation) => {}
            Job::Build(Round { generation, batches }) => {
                let _span = tracing::info_span!("build", batches = batches.len()).entered();
                let timer = metrics.stage_seconds.with_label_values(&["build"]).start_timer();
                let built = make_all(maker, &mut states, &batches);
                timer.observe_duration();
                let built = match built {
                    Ok(batches) => Built::Round(Round { generation, batches }),
                    Err(error) => {
                        failed_generation = Some(generation);
                        Built::Failed { generation, error }
                    }
                };
                if rounds.send(built).is_err() {
                    return;
                }
            }
        }
    }
}

/// The rows of each batch of a round. A partition without a state was revoked after its batch was chosen.
fn make_all<M: Maker>(
    maker: &M,
    states: &mut HashMap<Partition, M::State>,
    batches: &[Chosen],
) -> Result<Vec<Batch>, MakeError> {
    let nothing_held = Held::default();
    let mut made = Vec::with_capacity(batches.len());
    for chosen in batches {
        if let Some(state) = states.get_mut(&chosen.partition) {
            made.push(maker.make(state, chosen, &nothing_held)?);
        }
    }
    Ok(made)
}

/// The consuming thread.
struct Consumer<'a, M: Maker> {
    config: &'a Config,
    parts: &'a Parts<M>,
    source: &'a mut dyn Source,
    announcer: Arc<dyn Announcer>,
    jobs: SyncSender<Job<M>>,
    outcomes: mpsc::Receiver<Outcome>,
    lanes: Lanes,
    inbox: Inbox,
    generation: u64,
    rounds_under_way: usize,
    sight: Sight,
    ticked: Option<Instant>,
}

impl<M: Maker> Consumer<'_, M> {
    fn run(&mut self) -> Result<(), Error> {
        while !self.parts.stop.load(Ordering::Relaxed) {
            self.poll(POLL)?;
            self.settle_outcomes()?;
            self.tick();
            if self.round_is_due() {
                self.hand_on()?;
            }
            // What may not be handed on yet does not pile up here.
            self.source.hold(self.is_full())?;
        }
        self.finish()
    }

    /// Serves the group and takes what arrived into the lanes.
    fn poll(&mut self, wait: Duration) -> Result<(), Error> {
        self.source.poll(wait, &mut self.inbox)?;
        for (partition, records) in self.inbox.records.drain() {
            self.lanes.take(&partition, records);
        }
        for (partition, offset) in self.inbox.reached.drain() {
            self.lanes.reach(&partition, offset);
        }
        let mut since = None;
        for change in std::mem::take(&mut self.inbox.changes) {
            match change {
                Change::Revoked(partition) => {
                    tracing::info!(kafka.partition = %partition, "{partition} was revoked");
                    self.lanes.remove(&partition);
                    self.send(Job::Forget(partition))?;
                }
                Change::Assigned(partition, epoch) => {
                    tracing::info!(kafka.partition = %partition, "{partition} was assigned");
                    let zombies = self.source.may_have_zombies();
                    self.recover(&partition, epoch, zombies, &mut since)?;
                }
            }
        }
        Ok(())
    }

    /// Brings a partition to where it can go on, however long the store or the broker takes; the group is served
    /// meanwhile, or it would take the partition for abandoned. `zombies` says whether rows of another writer, or of
    /// this one's last try, may still be on their way; `since` is the store's time from which on they are waited for,
    /// one wait for all partitions that came together.
    fn recover(
        &mut self,
        partition: &Partition,
        epoch: u64,
        mut zombies: bool,
        since: &mut Option<Millis>,
    ) -> Result<(), Error> {
        let mut pause = RETRY_MIN;
        let mut lessons = Lessons::default();
        self.serve_group(Duration::ZERO)?;
        while self.announcer.owns(partition, epoch) {
            match self.try_recover(partition, epoch, zombies, since, &mut lessons) {
                Ok(ready) => {
                    // What was read from an earlier position is read again.
                    self.inbox.records.remove(partition);
                    self.inbox.reached.remove(partition);
                    self.source.start(partition, ready.next)?;
                    self.lanes.add(partition, epoch, ready.next, ready.before);
                    self.send(Job::State(partition.clone(), ready.state))?;
                    // The partition's last owner may have told of commands that were not known here yet.
                    self.look();
                    self.parts.health.set(None);
                    return Ok(());
                }
                Err(recover::Error::Revoked(_)) => return Ok(()),
                Err(recover::Error::Again { source: Cause::NotWhole, .. }) => {
                    // What was sent was answered well: the rest follows without another wait for old writers.
                    pause = RETRY_MIN;
                    self.serve_group(RETRY_MIN)?;
                }
                Err(recover::Error::Again { partition, source }) => {
                    let trouble = chain(&source);
                    tracing::warn!(kafka.partition = %partition, "{partition} is being recovered: {trouble}");
                    self.parts.health.set(Some(trouble));
                    self.parts.metrics.recoveries_retried.inc();
                    if self.parts.stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    // What this attempt sent may still be on its way: the next one waits for it as for another's.
                    zombies = true;
                    *since = None;
                    self.serve_group(pause)?;
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Serves the group for a time without taking records. Changes wait in the inbox.
    fn serve_group(&mut self, time: Duration) -> Result<(), Error> {
        let until = Instant::now() + time;
        self.source.hold(true)?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.source.poll(left.min(POLL), &mut self.inbox)?;
            if left.is_zero() || self.parts.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    fn try_recover(
        &mut self,
        partition: &Partition,
        epoch: u64,
        zombies: bool,
        assigned_at: &mut Option<Millis>,
        lessons: &mut Lessons,
    ) -> Result<recover::Ready<M::State>, recover::Error> {
        let again = |source: crate::store::Error| recover::Error::Again {
            partition: partition.clone(),
            source: source.into(),
        };
        if zombies && assigned_at.is_none() {
            *assigned_at = Some(self.parts.store.now().map_err(again)?);
        }
        let recovery = Recovery {
            store: &self.parts.store,
            maker: self.parts.maker.as_ref(),
            announcer: self.announcer.as_ref(),
            lease: self.config.lease,
            worker: &self.config.worker,
            window: self.config.dedup_window,
            partition,
            epoch,
            assigned_at: *assigned_at,
        };
        recovery.run(self.source, lessons)
    }

    /// Takes note of posted rounds; after a failure, every partition is recovered.
    fn settle_outcomes(&mut self) -> Result<(), Error> {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.settle(outcome)?;
        }
        Ok(())
    }

    fn settle(&mut self, outcome: Outcome) -> Result<(), Error> {
        match outcome {
            Outcome::Posted { generation, batches } => {
                if generation == self.generation {
                    self.rounds_under_way = self.rounds_under_way.saturating_sub(1);
                    for (partition, next) in batches {
                        self.lanes.posted(&partition, next);
                    }
                }
                Ok(())
            }
            Outcome::Failed { generation, .. } if generation != self.generation => Ok(()),
            Outcome::Failed { no_answer: true, partition: Some(partition), .. } => {
                Err(recover::Error::Rejoin(partition).into())
            }
            Outcome::Failed { trouble, .. } => {
                tracing::warn!("A round is uncertain and its partitions are being recovered: {trouble}");
                self.parts.metrics.rounds_uncertain.inc();
                self.parts.health.set(Some(trouble));
                self.generation += 1;
                self.rounds_under_way = 0;
                let mut since = None;
                for (partition, epoch) in self.lanes.clear() {
                    // An insert without an answer may still be on its way, whoever sent it.
                    self.recover(&partition, epoch, true, &mut since)?;
                }
                Ok(())
            }
        }
    }

    fn round_is_due(&self) -> bool {
        self.is_full() || self.lanes.age() >= self.config.flush_after
    }

    fn is_full(&self) -> bool {
        self.lanes.rows() >= self.config.round_rows_max || self.lanes.bytes() >= self.config.round_bytes_max
    }

    /// Chooses a round and hands it to the building thread; waits where that has its hands full.
    fn hand_on(&mut self) -> Result<(), Error> {
        if !self.may_choose() {
            return Ok(());
        }
        let Some(round) = self.choose() else { return Ok(()) };
        self.rounds_under_way += 1;
        self.send(Job::Build(round))
    }

    fn choose(&mut self) -> Option<Round<Chosen>> {
        let commands_through = self.parts.books.is_some().then_some(self.sight.through);
        let batches = self.lanes.choose(commands_through, self.config);
        (!batches.is_empty()).then_some(Round { generation: self.generation, batches })
    }

    /// Whether a round may be chosen now. Usage waits where the command log is not known well enough to price by
    /// it; a command waits until the one before it is carried out.
    fn may_choose(&mut self) -> bool {
        if self.parts.books.is_none() {
            return self.rounds_under_way == 0;
        }
        if !self.sight_is_fresh() {
            self.look();
        }
        self.sight_is_fresh()
    }

    fn sight_is_fresh(&self) -> bool {
        self.parts.books.is_none() || self.sight.age_ms() <= SIGHT_AGE_MS_MAX
    }

    /// Looks how far the command log is carried out; a look that fails leaves the last one to age. Whether it did not
    /// fail.
    fn look(&mut self) -> bool {
        let Some(books) = &self.parts.books else { return true };
        match books.sight() {
            Ok(sight) => self.sight = sight,
            Err(error) => {
                tracing::warn!("The command log's position cannot be read: {}", chain(&error));
                return false;
            }
        }
        true
    }

    /// Sends a job. While the building thread is busy, the group is served: after a while with the source held.
    fn send(&mut self, job: Job<M>) -> Result<(), Error> {
        let since = Instant::now();
        let mut job = job;
        let mut held = false;
        loop {
            match self.jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return Err(Error::Thread),
                Err(TrySendError::Full(back)) => job = back,
            }
            match self.outcomes.recv_timeout(Duration::from_millis(5)) {
                Ok(outcome) if matches!(&outcome, Outcome::Failed { generation, .. } if *generation == self.generation) =>
                {
                    // The round that could not be handed on is thrown away with the rest and read again.
                    let stale = matches!(job, Job::Build(_));
                    self.settle(outcome)?;
                    if stale {
                        break;
                    }
                }
                Ok(outcome) => self.settle(outcome)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Thread),
            }
            if since.elapsed() > HOLD_AFTER {
                held = true;
                self.source.hold(true)?;
                self.source.poll(Duration::ZERO, &mut self.inbox)?;
                self.tick();
            }
        }
        if held {
            self.source.hold(false)?;
        }
        Ok(())
    }

    /// Once a second: the command log's position, progress, and an empty intent for partitions without news.
    fn tick(&mut self) {
        if self.ticked.is_some_and(|ticked| ticked.elapsed() < TICK) {
            return;
        }
        self.ticked = Some(Instant::now());
        if !self.look() {
            // A store that does not answer is not asked again at once: what became of the rounds comes first.
            self.parts
                .health
                .set(Some("the store does not say how far the command log is carried out".into()));
            return;
        }
        if self.sight_is_fresh() {
            self.lanes.wake_idle();
        }
        let told = self.lanes.tell(
            self.source,
            &self.parts.store,
            &self.config.worker,
            self.sight.through,
            &self.parts.metrics,
        );
        self.parts.health.set(match told {
            Err(trouble) => {
                if self.parts.health.trouble().as_ref() != Some(&trouble) {
                    tracing::warn!("Progress cannot be told: {trouble}");
                }
                Some(trouble)
            }
            Ok(()) if self.sight_is_fresh() => None,
            Ok(()) => Some(format!(
                "the command log has not been seen carried out to its end for {} s, so usage waits: is its worker up?",
                SIGHT_AGE_MS_MAX / 1000
            )),
        });
    }

    /// Posts what was read before the stop.
    fn finish(&mut self) -> Result<(), Error> {
        if self.lanes.rows() > 0 {
            self.hand_on()?;
        }
        self.source.hold(true)?;
        let deadline = Instant::now() + 3 * self.config.lease;
        while self.rounds_under_way > 0 && Instant::now() < deadline {
            match self.outcomes.recv_timeout(POLL) {
                Ok(Outcome::Posted { .. }) => self.rounds_under_way -= 1,
                // What is uncertain now is completed at the next start.
                Ok(Outcome::Failed { .. }) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.source.poll(Duration::ZERO, &mut self.inbox)?,
            }
        }
        Ok(())
    }
}

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

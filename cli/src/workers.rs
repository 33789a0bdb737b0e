//! Starts the workers of a process: one for the command log, one for usage. Each has a thread; the first that ends
//! stops the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::append::{JournalLog, KafkaLog};
use ingest::book::{Books, wall_clock};
use ingest::commands::CommandMaker;
use ingest::events::EventMaker;
use ingest::metrics::Metrics;
use ingest::registry::Registry;
use ingest::repair;
use ingest::source::embedded::{Embedded, OldWriters};
use ingest::source::kafka::{self, Kafka};
use ingest::source::{self, Source};
use ingest::store::Store;
use ingest::worker::{self, Health, Parts};
use journal::Journal;
use schemas::log::{COMMANDS_TOPIC, Log};

/// Between two looks whether the command log is carried out.
const LOOK: Duration = Duration::from_secs(1);

/// Where the workers read.
#[derive(Clone, Debug)]
pub(crate) enum LogSource {
    /// A Kafka cluster.
    Kafka(kafka::Config),
    /// The embedded journal.
    Embedded(Journal, OldWriters),
}

/// What the workers of a process share.
pub(crate) struct Shared {
    pub(crate) log: LogSource,
    pub(crate) topic: String,
    pub(crate) store: Store,
    pub(crate) config: worker::Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) schemas: Arc<Registry>,
}

/// Running workers.
pub(crate) struct Workers {
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) usage: Arc<Health>,
    pub(crate) commands: Arc<Health>,
    threads: Vec<JoinHandle<Result<(), worker::Error>>>,
}

impl Workers {
    /// Starts both workers.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub(crate) fn start(shared: &Shared) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let books = Arc::new(Books::new(shared.store.clone()));
        let commands = Parts {
            open: shared.open(COMMANDS_TOPIC),
            store: shared.store.clone(),
            maker: Arc::new(CommandMaker::new(shared.store.clone())?),
            books: None,
            metrics: shared.metrics.clone(),
            stop: stop.clone(),
            health: Arc::default(),
        };
        let usage = Parts {
            open: shared.open(&shared.topic),
            store: shared.store.clone(),
            maker: Arc::new(EventMaker::new(shared.store.clone(), books.clone(), shared.schemas.clone())),
            books: Some(books),
            metrics: shared.metrics.clone(),
            stop: stop.clone(),
            health: Arc::default(),
        };
        let (usage_health, commands_health) = (usage.health.clone(), commands.health.clone());
        let threads = vec![
            spawn("commands", shared.config.clone(), commands)?,
            spawn("usage", shared.config.clone(), usage)?,
        ];
        shared.record_repairs(stop.clone())?;
        Ok(Self { stop, usage: usage_health, commands: commands_health, threads })
    }

    /// Whether a worker has ended.
    pub(crate) fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Stops the workers, which post what they have read, and answers with the first failure.
    ///
    /// # Errors
    /// Where a worker could not go on.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut outcome = Ok(());
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => outcome = outcome.and(Err(error.into())),
                Err(_) => {
                    let panicked = anyhow::anyhow!("a worker panicked; its message is in the log");
                    outcome = outcome.and(Err(panicked));
                }
            }
        }
        outcome
    }
}

impl Shared {
    /// Adds to the command log the repairs that it did not take when they were made, beside the workers.
    fn record_repairs(&self, stop: Arc<AtomicBool>) -> std::io::Result<()> {
        let (source, store) = (self.log.clone(), self.store.clone());
        let recording = move || {
            if let Err(error) = record_repairs(&source, &store, &stop) {
                tracing::warn!(
                    "Repairs are not in the command log yet; the next start tries again: {error:#}"
                );
            }
        };
        std::thread::Builder::new().name("record-repairs".into()).spawn(recording).map(drop)
    }

    fn open(&self, topic: &str) -> Box<dyn Fn() -> Result<Box<dyn Source>, source::Error> + Send> {
        let topic = topic.to_owned();
        match self.log.clone() {
            LogSource::Kafka(config) => {
                let config = if topic == COMMANDS_TOPIC { of_commands(&config) } else { config };
                Box::new(move || Ok(Box::new(Kafka::join(&config, &topic)?)))
            }
            LogSource::Embedded(journal, old_writers) => {
                Box::new(move || Ok(Box::new(Embedded::new(journal.clone(), &topic, old_writers))))
            }
        }
    }
}

/// Waits until every command that may be in the log already is carried out: a repair that no command records then is
/// in none.
fn record_repairs(source: &LogSource, store: &Store, stop: &AtomicBool) -> anyhow::Result<()> {
    let books = Books::new(store.clone());
    let started_at = wall_clock();
    let repairs = loop {
        let repairs = repair::unrecorded(store)?;
        if repairs.is_empty() || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if books.sight()?.as_of > started_at.0 {
            break repairs;
        }
        std::thread::sleep(LOOK);
    };
    let log: Box<dyn Log> = match source {
        LogSource::Kafka(config) => Box::new(KafkaLog::new(config, &[COMMANDS_TOPIC])?),
        LogSource::Embedded(journal, _) => Box::new(JournalLog::new(journal.clone(), COMMANDS_TOPIC)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(repair::record(log.as_ref(), &repairs)).map_err(anyhow::Error::msg)
}

/// The same cluster, read by the group of the command log.
pub(crate) fn of_commands(config: &kafka::Config) -> kafka::Config {
    kafka::Config { group: format!("{}.commands", config.group), ..config.clone() }
}

fn spawn<M: ingest::batch::Maker>(
    name: &str,
    config: worker::Config,
    parts: Parts<M>,
) -> anyhow::Result<JoinHandle<Result<(), worker::Error>>> {
    let stop = parts.stop.clone();
    Ok(std::thread::Builder::new().name(format!("worker-{name}")).spawn(move || {
        let outcome = worker::run(&config, &parts);
        if let Err(error) = &outcome {
            tracing::error!("The worker ends: {}", worker::chain(error));
        }
        stop.store(true, Ordering::Relaxed);
        outcome
    })?)
}

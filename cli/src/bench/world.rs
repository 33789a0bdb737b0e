//! What the stages stand on: the engine as a child process, the log, and the command log with its worker, which has
//! published the prices. Merges of the tables that are measured are stopped, so that they count in no stage.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clickhouse::Client;
use ingest::append::JournalLog;
use ingest::book::Books;
use ingest::commands::CommandMaker;
use ingest::metrics::Metrics;
use ingest::registry::Registry;
use ingest::source::Source;
use ingest::source::embedded::{Embedded, OldWriters};
use ingest::store::Store;
use ingest::worker::{self, Parts};
use journal::Journal;
use schemas::command::{Command, PublishPrices};
use schemas::log::{COMMANDS_TOPIC, Log};
use secrecy::SecretString;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use super::Options;
use super::traffic::Topic;
use crate::supervise::{Engine, EngineConfig};
use crate::workers::LogSource;
use crate::{credentials, engine};

/// How long prices may take to be in force.
const PRICES_DEADLINE: Duration = Duration::from_secs(60);
/// The tables that the events of a stage end in.
const LEDGER: &[&str] = &["entries", "batches", "quarantine"];
const LOOK: Duration = Duration::from_millis(20);

/// Everything that runs.
pub(super) struct World {
    pub(super) runtime: Runtime,
    pub(super) topic: Topic,
    pub(super) books: Arc<Books>,
    pub(super) schemas: Arc<Registry>,
    /// The offset of the command log before which the prices lie.
    pub(super) commands_through: u64,
    client: Client,
    engine: Engine,
    commands: Worker,
}

/// A worker that runs.
pub(super) struct Worker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), worker::Error>>,
}

impl World {
    /// Starts everything, with the prices in force and no event in the log.
    ///
    /// # Errors
    /// Where a part does not start; the message names it.
    pub(super) fn start(options: &Options, folder: &Path) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let secret = SecretString::from(credentials::random_text()?);
        let engine = Engine::start(EngineConfig {
            library: options.library.clone().map_or_else(engine::find_library, Ok)?,
            path: folder.join("engine"),
            secret: secret.clone(),
            memory_mib: options.engine_memory_mib,
        })
        .context("starting the engine")?;
        let client = client(&format!("http://{}", engine.address), &secret);
        runtime.block_on(schemas::migrate::migrate(&client))?;
        stop_merges(&runtime, &client, LEDGER)?;

        let mut name = credentials::random_text()?;
        name.truncate(8);
        let name = format!("{}.bench-{name}", options.kafka.topic);
        let journal = Journal::open(
            journal::Config::new(folder.join("log")),
            &[(COMMANDS_TOPIC, 1), (&name, options.partitions)],
        )
        .context("opening the embedded log")?;
        let log = options
            .kafka
            .config()?
            .map_or_else(|| LogSource::Embedded(journal.clone(), OldWriters::Gone), LogSource::Kafka);
        let store = Store::new(client.clone(), runtime.handle().clone());
        let commands = start_commands(options, &journal, &store)?;
        let books = Arc::new(Books::new(store));
        let commands_through = publish(&runtime, &journal, &books)?;
        let schemas = Arc::new(Registry::new(None, runtime.handle().clone())?);
        let topic = Topic { log, name, partitions: options.partitions };
        Ok(Self { runtime, topic, books, schemas, commands_through, client, engine, commands })
    }

    /// The ledger that the whole path fills.
    pub(super) fn store(&self) -> Store {
        Store::new(self.client.clone(), self.runtime.handle().clone())
    }

    /// Another database with the ledger's tables, empty.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub(super) fn empty(&self, database: &str) -> anyhow::Result<Client> {
        let client = self.client.clone().with_database(database);
        self.runtime.block_on(schemas::migrate::migrate(&client))?;
        stop_merges(&self.runtime, &client, LEDGER)?;
        Ok(client)
    }

    /// Creates one more table by that statement.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub(super) fn create(&self, client: &Client, table: &str, statement: &str) -> anyhow::Result<()> {
        self.runtime.block_on(client.query(statement).execute())?;
        stop_merges(&self.runtime, client, &[table])
    }

    /// Removes such a database with its rows.
    ///
    /// # Errors
    /// Where the engine refuses.
    pub(super) fn drop_database(&self, client: &Client) -> anyhow::Result<()> {
        let name = client.database().context("a client without a database")?;
        let drop = self.client.query("DROP DATABASE {name:Identifier} SYNC").param("name", name);
        Ok(self.runtime.block_on(drop.execute())?)
    }

    /// The engine's process.
    ///
    /// # Errors
    /// Where it is not running.
    pub(super) fn engine_process(&self) -> anyhow::Result<u32> {
        self.engine.process().context("the engine is not running")
    }

    /// Ends everything and removes what is not in the folder.
    ///
    /// # Errors
    /// Where the command log's worker had failed, or the topic cannot be removed.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let ended = self.commands.end();
        self.topic.remove(&self.runtime)?;
        ended
    }
}

impl Worker {
    /// Runs the worker on a thread of its own until it is ended.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub(super) fn start<M: ingest::batch::Maker>(
        config: worker::Config,
        parts: Parts<M>,
    ) -> anyhow::Result<Self> {
        let stop = parts.stop.clone();
        let thread =
            std::thread::Builder::new().name("worker".into()).spawn(move || worker::run(&config, &parts))?;
        Ok(Self { stop, thread })
    }

    /// Whether it has ended, which it does by itself only where it cannot go on.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it.
    ///
    /// # Errors
    /// What it could not go on for.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("a worker panicked; its message is above"))??;
        Ok(())
    }
}

/// Stops the merges of those tables. Not of `progress`: each second adds a part to it, and a question over all of them
/// each second would count more and more.
fn stop_merges(runtime: &Runtime, client: &Client, tables: &[&str]) -> anyhow::Result<()> {
    for table in tables {
        let stop = client.query("SYSTEM STOP MERGES {table:Identifier}").param("table", table);
        runtime.block_on(stop.execute()).with_context(|| format!("stopping merges of {table}"))?;
    }
    Ok(())
}

fn client(url: &str, secret: &SecretString) -> Client {
    use secrecy::ExposeSecret;
    Client::default()
        .with_url(url)
        .with_database("tollbook")
        .with_user("default")
        .with_password(secret.expose_secret())
        .with_compression(clickhouse::Compression::None)
}

fn start_commands(options: &Options, journal: &Journal, store: &Store) -> anyhow::Result<Worker> {
    let journal = journal.clone();
    let open = move || {
        Ok(Box::new(Embedded::new(journal.clone(), COMMANDS_TOPIC, OldWriters::Gone)) as Box<dyn Source>)
    };
    let parts = Parts {
        open: Box::new(open),
        store: store.clone(),
        maker: Arc::new(CommandMaker::new(store.clone())?),
        books: None,
        metrics: Arc::new(Metrics::register(&prometheus::Registry::new())?),
        stop: Arc::default(),
        health: Arc::default(),
    };
    Worker::start(options.worker.config()?, parts)
}

/// Publishes the traffic's prices by the command log, as the product does; answers the offset after the command once
/// it is carried out.
fn publish(runtime: &Runtime, journal: &Journal, books: &Books) -> anyhow::Result<u64> {
    let rows: Vec<&RawValue> = serde_json::from_str(::traffic::PRICES_JSON)?;
    let rows = rows.iter().map(|row| row.get().to_owned()).collect();
    let command = Command::PublishPrices(PublishPrices { rows, based_on: None });
    let log = JournalLog::new(journal.clone(), COMMANDS_TOPIC);
    let places = runtime.block_on(log.append(COMMANDS_TOPIC, command.to_records("bench", "bench")?))?;
    let through = places.last().map_or(0, |last| last.offset + 1);
    let deadline = Instant::now() + PRICES_DEADLINE;
    while books.sight()?.through < through {
        ensure!(Instant::now() < deadline, "the prices are not in force after {PRICES_DEADLINE:?}");
        std::thread::sleep(LOOK);
    }
    Ok(through)
}

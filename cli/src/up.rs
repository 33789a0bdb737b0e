//! `tollbook up`: everything in one process. Without further options the engine, the log and their data are
//! embedded; with --clickhouse or --kafka that part is the real one instead.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clickhouse::Client;
use ingest::append::{JournalLog, KafkaLog};
use ingest::metrics::Metrics;
use ingest::registry::Registry;
use ingest::source::embedded::OldWriters;
use ingest::store::Store;
use journal::Journal;
use schemas::log::{COMMANDS_TOPIC, Log};
use secrecy::SecretString;
use tokio::runtime::Runtime;

use crate::options::{AuditOptions, KafkaOptions, StoreOptions, WorkerOptions};
use crate::supervise::{Engine, EngineConfig};
use crate::workers::{LogSource, Shared, Workers};
use crate::{api, credentials, engine, log, store};

const LOOK: Duration = Duration::from_millis(100);

/// Options of `tollbook up`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of the data: the embedded engine and log, and the first admin token
    #[arg(long, env = "TOLLBOOK_DATA", default_value = "tollbook-data", value_name = "FOLDER")]
    data: PathBuf,
    /// Address to serve the API on
    #[arg(long, env = "TOLLBOOK_LISTEN", default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// The engine library libchdb.so; `make setup` installs it into .tollbook/engine, where it is found
    #[arg(long, env = "TOLLBOOK_LIBRARY", value_name = "FILE")]
    library: Option<PathBuf>,
    /// Memory that the embedded engine may use, in MiB
    #[arg(long, env = "TOLLBOOK_ENGINE_MEMORY_MIB", default_value_t = 4096, value_name = "MIB")]
    engine_memory_mib: u64,
    /// MiB of posted records that the embedded log keeps at most; what is not posted yet is never dropped
    #[arg(long, env = "TOLLBOOK_LOG_MIB_MAX", default_value_t = 8192, value_name = "MIB")]
    log_mib_max: u64,
    /// Age up to which the embedded log keeps posted records
    #[arg(long, env = "TOLLBOOK_LOG_AGE_MAX", default_value = "168h", value_parser = crate::options::duration, value_name = "DURATION")]
    log_age_max: Duration,
    /// Partitions of the usage topic in the embedded log; it may grow later, never shrink
    #[arg(long, env = "TOLLBOOK_LOG_PARTITIONS", default_value_t = 1, value_name = "COUNT")]
    log_partitions: u32,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    kafka: KafkaOptions,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    audit: AuditOptions,
}

/// Runs until SIGTERM or SIGINT, then posts what was read and ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.worker.config()?;
    let audit_every = options.audit.every()?;
    std::fs::create_dir_all(&options.data)
        .with_context(|| format!("creating the data folder {}", options.data.display()))?;
    let runtime = Runtime::new()?;
    // The address first: where another Tollbook serves there, nothing else should have started.
    let listener = api::listen(&runtime, options.listen)?;
    let (client, _engine) = open_store(options)?;
    runtime.block_on(schemas::migrate::migrate(&client))?;
    if let Some(token) = runtime.block_on(::api::first_token::mint_where_none(&client))? {
        let path = credentials::keep(&options.data, &token)?;
        println!("First admin token (also in {}): {token}", path.display());
    }
    credentials::keep_url(&options.data, options.listen)?;
    let registry = prometheus::Registry::new();
    let (source, log) = open_log(options, &runtime)?;
    let schemas =
        Arc::new(Registry::new(options.kafka.schema_registry.as_deref(), runtime.handle().clone())?);
    let shared = Shared {
        log: source,
        topic: options.kafka.topic.clone(),
        store: Store::new(client.clone(), runtime.handle().clone()),
        config,
        metrics: Arc::new(Metrics::register(&registry)?),
        schemas: schemas.clone(),
    };
    let workers = Workers::start(&shared)?;
    let (api, router, chores) =
        api::router(client, log, &options.kafka.topic, schemas, (registry, options.audit.step_entries_max))?;
    runtime.spawn(chores.run());
    let signals = log::Signals::listen(&runtime)?;
    api::audit_now_and_then(&runtime, &api, audit_every, signals.clone())?;
    let serving = runtime.spawn(api::serve(listener, router, signals.clone()));
    println!("Tollbook is up at http://{}; its data is in {}", options.listen, options.data.display());
    while !signals.came() && !workers.any_ended() {
        std::thread::sleep(LOOK);
    }
    tracing::info!("Stopping: answering what was asked, posting what was read");
    signals.raise();
    let served = runtime.block_on(serving)?;
    workers.finish()?;
    if let LogSource::Embedded(journal, _) = &shared.log {
        journal.close();
    }
    served
}

/// The named store, or the embedded engine.
fn open_store(options: &Options) -> anyhow::Result<(Client, Option<Engine>)> {
    if let Some(url) = &options.store.clickhouse {
        return Ok((store::client(&options.store, url, options.store.clickhouse_password.as_ref()), None));
    }
    let secret = SecretString::from(credentials::random_text()?);
    let engine = Engine::start(EngineConfig {
        library: options.library.clone().map_or_else(engine::find_library, Ok)?,
        path: options.data.join("engine"),
        secret: secret.clone(),
        memory_mib: options.engine_memory_mib,
    })
    .context("starting the embedded engine")?;
    let url = format!("http://{}", engine.address);
    let local = StoreOptions { clickhouse_user: "default".into(), ..options.store.clone() };
    Ok((store::client(&local, &url, Some(&secret)), Some(engine)))
}

/// The named Kafka cluster, or the embedded log.
fn open_log(options: &Options, runtime: &Runtime) -> anyhow::Result<(LogSource, Arc<dyn Log>)> {
    let topic = &options.kafka.topic;
    if let Some(mut kafka) = options.kafka.config()? {
        options.worker.name(&mut kafka);
        log::ensure_topics(runtime, &kafka, topic)?;
        let log = Arc::new(KafkaLog::new(&kafka, &[topic, COMMANDS_TOPIC])?);
        return Ok((LogSource::Kafka(kafka), log));
    }
    let journal = open_journal(&options.data, options, topic)?;
    let old_writers = match options.store.clickhouse {
        None => OldWriters::Gone,
        Some(_) => OldWriters::MayLinger,
    };
    Ok((LogSource::Embedded(journal.clone(), old_writers), Arc::new(JournalLog::new(journal, topic))))
}

fn open_journal(data: &Path, options: &Options, topic: &str) -> anyhow::Result<Journal> {
    let mut config = journal::Config::new(data.join("log"));
    config.retention_bytes_max = options.log_mib_max << 20;
    config.retention_age_ms_max = u64::try_from(options.log_age_max.as_millis()).unwrap_or(u64::MAX);
    Journal::open(config, &[(topic, options.log_partitions), (COMMANDS_TOPIC, 1)])
        .context("opening the embedded log")
}

//! `tollbook ingest`: a worker of a consumer group, from Kafka into ClickHouse, with its metrics and readiness.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ingest::metrics::Metrics;
use ingest::registry::Registry;
use ingest::store::Store;

use crate::options::{KafkaOptions, StoreOptions, WorkerOptions};
use crate::workers::{LogSource, Shared, Workers};
use crate::{log, probe, store};

/// How often the process looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// Options of `tollbook ingest`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    kafka: KafkaOptions,
    #[command(flatten)]
    worker: WorkerOptions,
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "TOLLBOOK_LISTEN", default_value = "127.0.0.1:8081", value_name = "HOST:PORT")]
    listen: SocketAddr,
}

/// Works until SIGTERM or SIGINT, then posts what was read and ends.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.worker.config()?;
    let url = options.store.url()?;
    let mut kafka = options.kafka.required()?;
    options.worker.name(&mut kafka);
    let client = store::client(&options.store, url, options.store.clickhouse_password.as_ref());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    store::wait_until_migrated(&runtime, &client, url)?;
    log::ensure_topics(&runtime, &kafka, &options.kafka.topic)?;
    let registry = prometheus::Registry::new();
    let schemas =
        Arc::new(Registry::new(options.kafka.schema_registry.as_deref(), runtime.handle().clone())?);
    let shared = Shared {
        log: LogSource::Kafka(kafka),
        topic: options.kafka.topic.clone(),
        store: Store::new(client, runtime.handle().clone()),
        config,
        metrics: Arc::new(Metrics::register(&registry)?),
        schemas,
    };
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(options.listen))
        .with_context(|| format!("listening on {}: choose another address with --listen", options.listen))?;
    let workers = Workers::start(&shared)?;
    let probe = probe::router(registry, workers.usage.clone(), workers.commands.clone());
    runtime.spawn(async move { axum::serve(listener, probe).await });
    let signals = log::Signals::listen(&runtime)?;
    while !signals.came() && !workers.any_ended() {
        std::thread::sleep(LOOK);
    }
    tracing::info!("Stopping: posting what was read");
    workers.finish()
}

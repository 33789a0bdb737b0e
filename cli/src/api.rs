//! `tollbook api`: the HTTP API over a store and a Kafka cluster. It only reads the store and appends to the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::api::Chores;
use anyhow::Context;
use clap::Args;
use ingest::append::KafkaLog;
use ingest::registry::Registry;
use schemas::log::{COMMANDS_TOPIC, Log};
use tokio::runtime::Runtime;

use crate::options::{AuditOptions, KafkaOptions, StoreOptions};
use crate::{log, store};

/// Options of `tollbook api`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    kafka: KafkaOptions,
    #[command(flatten)]
    audit: AuditOptions,
    /// Address to serve the API on
    #[arg(long, env = "TOLLBOOK_LISTEN", default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: SocketAddr,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let url = options.store.url()?;
    let kafka = options.kafka.required()?;
    let audit_every = options.audit.every()?;
    let client = store::client(&options.store, url, options.store.clickhouse_password.as_ref());
    let runtime = Runtime::new()?;
    store::wait_until_migrated(&runtime, &client, url)?;
    log::ensure_topics(&runtime, &kafka, &options.kafka.topic)?;
    let registry = prometheus::Registry::new();
    let log: Arc<dyn Log> = Arc::new(KafkaLog::new(&kafka, &[&options.kafka.topic, COMMANDS_TOPIC])?);
    let schemas =
        Arc::new(Registry::new(options.kafka.schema_registry.as_deref(), runtime.handle().clone())?);
    let signals = log::Signals::listen(&runtime)?;
    let (api, router, chores) =
        router(client, log, &options.kafka.topic, schemas, (registry, options.audit.step_entries_max))?;
    runtime.spawn(chores.run());
    audit_now_and_then(&runtime, &api, audit_every, signals.clone())?;
    let listener = listen(&runtime, options.listen)?;
    println!("Tollbook's API is at http://{}", options.listen);
    runtime.block_on(serve(listener, router, signals))
}

/// The API with the intake, and what it does besides answering calls.
pub(crate) fn router(
    client: clickhouse::Client,
    log: Arc<dyn Log>,
    topic: &str,
    schemas: Arc<Registry>,
    (registry, step_entries_max): (prometheus::Registry, u64),
) -> anyhow::Result<(::api::Api, axum::Router, Chores)> {
    let intake = ingest::intake::Intake::new(log.clone(), topic, schemas);
    let api = ::api::Api::new(client, log, registry)
        .with_judge(Arc::new(intake.clone()))
        .with_step_entries_max(step_entries_max)
        .with_intake_description(ingest::intake::openapi());
    let (router, chores) = ::api::router_and_chores(api.clone(), Some(ingest::intake::router(intake)))?;
    Ok((api, router, chores))
}

/// Starts the audits that the API makes by itself, until a signal comes.
pub(crate) fn audit_now_and_then(
    runtime: &Runtime,
    api: &::api::Api,
    every: Option<Duration>,
    signals: log::Signals,
) -> anyhow::Result<()> {
    let Some(every) = every else { return Ok(()) };
    let audits = api.audits(every)?;
    runtime.spawn(async move {
        tokio::select! {
            () = audits => {}
            () = signals.wait() => {}
        }
    });
    Ok(())
}

/// Takes the address.
pub(crate) fn listen(runtime: &Runtime, address: SocketAddr) -> anyhow::Result<tokio::net::TcpListener> {
    runtime.block_on(tokio::net::TcpListener::bind(address)).with_context(|| {
        format!("listening on {address}: stop what listens there, or choose another address with --listen")
    })
}

/// Serves until a signal comes; requests under way are answered.
pub(crate) async fn serve(
    listener: tokio::net::TcpListener,
    router: axum::Router,
    signals: log::Signals,
) -> anyhow::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(signals.wait()).await?;
    Ok(())
}

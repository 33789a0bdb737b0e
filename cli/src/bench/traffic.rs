//! The topic under measurement: filled with realistic traffic, opened by each stage under a group of its own, and
//! removed at the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ingest::append::{JournalLog, KafkaLog};
use ingest::source::embedded::Embedded;
use ingest::source::kafka::Kafka;
use ingest::source::{self, Source};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use schemas::log::{Log, NewRecord};
use tokio::runtime::Runtime;
use traffic::{AvroEncoder, AvroSchema, Prices, Traffic, Truth};

use super::{Encoding, Options};
use crate::workers::LogSource;

/// Records of one append.
const APPEND_RECORDS: usize = 5_000;
/// Of a thousand events, how many are sent again: the whole path drops them, as it must.
const DUPLICATES_PER_MILLE: u32 = 5;
/// The Confluent schema id; without a registry every id is the built-in schema.
const SCHEMA_ID: u32 = 1;
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic with the events.
pub(super) struct Topic {
    pub(super) log: LogSource,
    pub(super) name: String,
    pub(super) partitions: u32,
}

/// What was written.
pub(super) struct Sent {
    pub(super) count: u32,
    pub(super) bytes: u64,
    pub(super) truth: Truth,
}

impl Topic {
    /// Writes the traffic, and adds up what a ledger must find in it.
    ///
    /// # Errors
    /// Where the log does not take it.
    pub(super) fn fill(&self, options: &Options, runtime: &Runtime) -> anyhow::Result<Sent> {
        let config = traffic::Config {
            seed: options.seed,
            count: u64::from(options.count),
            duplicates_per_mille: DUPLICATES_PER_MILLE,
            ..traffic::Config::default()
        };
        let schema = AvroSchema::usage_v1()?;
        let mut encoder = AvroEncoder::new(&schema);
        let log = self.log(runtime)?;
        let mut truth = Truth::new(Prices::built_in()?);
        let (mut bytes, mut records) = (0, Vec::with_capacity(APPEND_RECORDS));
        for event in Traffic::new(config) {
            truth.add(&event);
            let value = match options.encoding {
                Encoding::Json => event.json()?,
                Encoding::Avro => encoder.confluent(SCHEMA_ID, &event)?,
            };
            bytes += value.as_ref().map_or(0, |value| u64::try_from(value.len()).unwrap_or(u64::MAX));
            records.push(NewRecord {
                key: Some(event.request_id().into_bytes()),
                value,
                headers: Vec::new(),
            });
            if records.len() == APPEND_RECORDS {
                let full = std::mem::replace(&mut records, Vec::with_capacity(APPEND_RECORDS));
                runtime.block_on(log.append(&self.name, full))?;
            }
        }
        if !records.is_empty() {
            runtime.block_on(log.append(&self.name, records))?;
        }
        Ok(Sent { count: options.count, bytes, truth })
    }

    /// Opens the topic as a member of a group; the embedded log has one group only.
    ///
    /// # Errors
    /// Where the group cannot be joined.
    pub(super) fn open(&self, stage: &str) -> Result<Box<dyn Source>, source::Error> {
        self.opener(stage)()
    }

    /// What opens the topic so, as often as it is called.
    pub(super) fn opener(
        &self,
        stage: &str,
    ) -> impl Fn() -> Result<Box<dyn Source>, source::Error> + Send + 'static {
        let (log, name, stage) = (self.log.clone(), self.name.clone(), stage.to_owned());
        move || {
            Ok(match &log {
                LogSource::Embedded(journal, old_writers) => {
                    Box::new(Embedded::new(journal.clone(), &name, *old_writers))
                }
                LogSource::Kafka(config) => {
                    let mut config = config.clone();
                    config.group = format!("{}.{name}.{stage}", config.group);
                    Box::new(Kafka::join(&config, &name)?)
                }
            })
        }
    }

    /// Removes the topic from the brokers.
    ///
    /// # Errors
    /// Where they refuse.
    pub(super) fn remove(&self, runtime: &Runtime) -> anyhow::Result<()> {
        let LogSource::Kafka(config) = &self.log else { return Ok(()) };
        let admin: AdminClient<DefaultClientContext> = config.client().create()?;
        let options = AdminOptions::new().operation_timeout(Some(BROKER_TIMEOUT));
        let outcome = runtime.block_on(admin.delete_topics(&[&self.name], &options))?;
        match outcome.into_iter().next() {
            Some(Err((name, code))) => {
                Err(code).with_context(|| format!("removing topic {name}: remove it by hand"))
            }
            _ => Ok(()),
        }
    }

    fn log(&self, runtime: &Runtime) -> anyhow::Result<Arc<dyn Log>> {
        Ok(match &self.log {
            LogSource::Embedded(journal, _) => Arc::new(JournalLog::new(journal.clone(), &self.name)),
            LogSource::Kafka(config) => {
                let topics = [(self.name.as_str(), Some(self.partitions))];
                runtime.block_on(ingest::append::ensure_topics(config, &topics))?;
                Arc::new(KafkaLog::new(config, &[&self.name])?)
            }
        })
    }
}

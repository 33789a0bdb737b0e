//! Traffic to a Kafka cluster: one idempotent producer, thousands of records under way. Where its queue is full it
//! waits; what the cluster did not acknowledge is an error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::bail;
use ingest::source::kafka::Config;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use traffic::{AvroEncoder, AvroSchema, Event};

use super::flow::Flow;
use super::options::Format;

/// How long the cluster may take to acknowledge a record.
const ACKNOWLEDGE_MS: &str = "60000";
/// How long a full queue is left alone.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);
/// How long one look for outstanding acknowledgments takes.
const FLUSH_STEP: Duration = Duration::from_millis(500);

/// Sends everything, keyed by request; answers once all of it is acknowledged by all replicas in sync.
///
/// # Errors
/// Where the cluster did not acknowledge all of it.
pub(super) fn send(flow: &mut Flow, config: &Config, topic: &str, format: Format) -> anyhow::Result<()> {
    let deliveries = Deliveries::default();
    let producer = ThreadedProducer::from_config_and_context(&producer_config(config), deliveries.clone())?;
    let schema = AvroSchema::usage_v1()?;
    let mut encoder = match format {
        Format::Json => None,
        Format::Avro => Some(AvroEncoder::new(&schema)),
    };
    let (mut value, mut sent) = (Vec::new(), 0);
    for event in flow.by_ref() {
        if deliveries.failed() > 0 {
            break;
        }
        let has_value = encode(&event, encoder.as_mut(), &mut value)?;
        let key = event.request_id();
        let record = BaseRecord::to(topic).key(key.as_bytes());
        enqueue(&producer, if has_value { record.payload(&value) } else { record })?;
        sent += 1;
    }
    while producer.in_flight_count() > 0 {
        // The end of its time is no failure: each record has a time of its own.
        let _ = producer.flush(FLUSH_STEP);
    }
    let failed = deliveries.failed();
    if failed > 0 {
        bail!(
            "the cluster at {} did not acknowledge {failed} of {sent} events for topic {topic}: {}; send the same traffic again when it does, what it already has is recognized",
            config.brokers,
            deliveries.why()
        );
    }
    Ok(())
}

/// Encodes the event into `value`; answers `false` for a tombstone, which has none.
fn encode(event: &Event, encoder: Option<&mut AvroEncoder<'_>>, value: &mut Vec<u8>) -> anyhow::Result<bool> {
    value.clear();
    let Some(encoder) = encoder else { return Ok(event.append_json(value)?) };
    let encoded = encoder.single_object(event)?;
    let has_value = encoded.is_some();
    *value = encoded.unwrap_or_default();
    Ok(has_value)
}

fn enqueue(
    producer: &ThreadedProducer<Deliveries>,
    record: BaseRecord<'_, [u8], [u8]>,
) -> anyhow::Result<()> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                record = again;
                std::thread::sleep(QUEUE_PAUSE);
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Our settings under the operator's.
fn producer_config(config: &Config) -> ClientConfig {
    let mut producer = ClientConfig::new();
    producer
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        // Java's producers choose the same partition for a key.
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "20")
        .set("batch.num.messages", "10000")
        .set("message.timeout.ms", ACKNOWLEDGE_MS)
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "262144");
    for (name, value) in config.client().config_map() {
        producer.set(name.to_string(), value.to_string());
    }
    producer.set_log_level(RDKafkaLogLevel::Warning);
    producer
}

/// What became of the records.
#[derive(Clone, Default)]
struct Deliveries {
    failed: Arc<AtomicU64>,
    first_error: Arc<OnceLock<String>>,
    /// What the client reported last; often the cause behind a plain timeout.
    trouble: Arc<Mutex<String>>,
}

impl Deliveries {
    fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn why(&self) -> String {
        let first = self.first_error.get().map_or("", String::as_str);
        match self.trouble.lock() {
            Ok(trouble) if !trouble.is_empty() => format!("{first}; {trouble}"),
            _ => first.to_owned(),
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(level = ?level, "librdkafka: {facility} {message}");
    }

    /// The client goes on trying, so this is no end; what is not acknowledged in time is.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, "librdkafka: {reason}");
        if let Ok(mut trouble) = self.trouble.lock() {
            reason.clone_into(&mut trouble);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.first_error.get_or_init(|| error.to_string());
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

//! Appends to a Kafka cluster. One idempotent producer, acknowledged by all replicas in sync; where its queue is
//! full, an append waits.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::{Delivery, DeliveryFuture};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use schemas::log::{Error, Log, NewRecord, Position};

use super::explain::explain;
use crate::source::kafka::Config;

/// How long the cluster may take to acknowledge a record.
const ACKNOWLEDGE_MS: &str = "20000";
/// How long an append waits for room in the producer's queue.
const QUEUE_WAIT_MAX: Duration = Duration::from_secs(20);
/// How often an append looks whether there is room.
const QUEUE_LOOK: Duration = Duration::from_millis(5);
/// Records after which other tasks get their turn.
const RECORDS_PER_TURN: usize = 512;
/// How long a check waits for the cluster's answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// A check's answer holds this long, so that checks cost the cluster little however many come.
const CHECK_FRESH: Duration = Duration::from_secs(1);
/// What the client reported longer ago than this explains nothing any more.
const REPORT_FRESH: Duration = Duration::from_secs(60);
/// The client library's default for `message.max.bytes`.
const RECORD_BYTES_MAX: usize = 1_000_000;
/// What a record takes beside its key, value and headers, at most.
const RECORD_OVERHEAD_BYTES: usize = 128;

/// A Kafka cluster as a log.
pub struct KafkaLog {
    brokers: String,
    /// The topics that a check asks for.
    topics: Vec<String>,
    config: ClientConfig,
    record_bytes_max: usize,
    reports: Reports,
    producer: RwLock<FutureProducer<Reports>>,
    checked: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

/// What the client library reported last, which often is the cause behind a plain timeout.
#[derive(Clone, Debug, Default)]
struct Reports(Arc<Mutex<Option<(Instant, String)>>>);

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = %error, "Kafka producer reports: {reason}");
        *self.0.lock() = Some((Instant::now(), reason.to_owned()));
    }
}

impl Reports {
    fn recent(&self) -> Option<String> {
        self.0.lock().as_ref().filter(|(at, _)| at.elapsed() < REPORT_FRESH).map(|(_, reason)| reason.clone())
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaLog").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// A producer for that cluster; it connects by itself, so brokers may still be down. A check asks for `topics`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where a setting is wrong.
    pub fn new(config: &Config, topics: &[&str]) -> Result<Self, Error> {
        let config = producer_config(config);
        let reports = Reports::default();
        let producer = RwLock::new(producer(&config, &reports)?);
        Ok(Self {
            brokers: config.get("bootstrap.servers").unwrap_or_default().to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            record_bytes_max: bytes_max(&config),
            config,
            reports,
            producer,
            checked: tokio::sync::Mutex::default(),
        })
    }

    async fn append_all(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Position>, Error> {
        for record in &records {
            let bytes = size(record);
            if bytes > self.record_bytes_max {
                return Err(Error::TooLarge { bytes, bytes_max: self.record_bytes_max });
            }
        }
        let producer = self.producer()?;
        let mut deliveries = Vec::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            if place % RECORDS_PER_TURN == RECORDS_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
            deliveries.push(self.enqueue(&producer, topic, record).await?);
        }
        let mut positions = Vec::with_capacity(records.len());
        for (delivery, record) in deliveries.into_iter().zip(&records) {
            let delivered = delivery.await.map_err(|_| {
                unavailable(format!("topic {topic}: the producer was closed before the answer"))
            })?;
            positions
                .push(position(topic, &delivered.map_err(|(error, _)| self.failed(topic, record, &error))?)?);
        }
        Ok(positions)
    }

    /// Hands a record to the producer; waits while its queue is full.
    async fn enqueue(
        &self,
        producer: &FutureProducer<Reports>,
        topic: &str,
        record: &NewRecord,
    ) -> Result<DeliveryFuture, Error> {
        let deadline = Instant::now() + QUEUE_WAIT_MAX;
        let mut message = FutureRecord::<[u8], [u8]>::to(topic);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.headers = headers(record);
        loop {
            match producer.send_result(message) {
                Ok(delivery) => return Ok(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                    if Instant::now() < deadline =>
                {
                    message = again;
                    tokio::time::sleep(QUEUE_LOOK).await;
                }
                Err((error, _)) => return Err(self.failed(topic, record, &error)),
            }
        }
    }

    /// The producer, made anew where the client library has given the old one up for good.
    fn producer(&self) -> Result<FutureProducer<Reports>, Error> {
        let present = self.producer.read().clone();
        let Some((code, reason)) = present.client().fatal_error() else { return Ok(present) };
        let mut held = self.producer.write();
        if held.client().fatal_error().is_some() {
            tracing::warn!(error = %code, "The Kafka producer cannot go on and is made anew: {reason}");
            *held = producer(&self.config, &self.reports)?;
        }
        Ok(held.clone())
    }

    fn failed(&self, topic: &str, record: &NewRecord, error: &KafkaError) -> Error {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return Error::TooLarge { bytes: size(record), bytes_max: self.record_bytes_max };
        }
        unavailable(explain(topic, &self.brokers, self.reports.recent().as_deref(), error))
    }

    /// Asks the cluster for the topics, on a thread that may block.
    async fn ask(&self) -> Result<(), String> {
        let producer = self.producer().map_err(|error| error.to_string())?;
        let (topics, brokers, reports) = (self.topics.clone(), self.brokers.clone(), self.reports.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + CHECK_TIMEOUT;
            topics.iter().try_for_each(|topic| {
                let left = deadline.saturating_duration_since(Instant::now());
                find(producer.client(), topic, left)
                    .map_err(|error| explain(topic, &brokers, reports.recent().as_deref(), &error))
            })
        });
        asking.await.unwrap_or_else(|error| Err(format!("the check did not end: {error}")))
    }
}

impl Log for KafkaLog {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(self.append_all(topic, records))
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let mut checked = self.checked.lock().await;
            let answer = match &*checked {
                Some((at, answer)) if at.elapsed() < CHECK_FRESH => answer.clone(),
                _ => {
                    let answer = self.ask().await;
                    *checked = Some((Instant::now(), answer.clone()));
                    answer
                }
            };
            answer.map_err(unavailable)
        })
    }
}

/// Asks for one topic; an error where the cluster does not answer or has no such topic.
fn find<C: ClientContext>(client: &Client<C>, topic: &str, timeout: Duration) -> Result<(), KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), timeout)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let missing = RDKafkaErrorCode::UnknownTopicOrPartition;
    match found.map(|topic| topic.error().map(RDKafkaErrorCode::from)) {
        Some(None) => Ok(()),
        Some(Some(code)) => Err(KafkaError::MetadataFetch(code)),
        None => Err(KafkaError::MetadataFetch(missing)),
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
        .set("linger.ms", "5")
        .set("message.timeout.ms", ACKNOWLEDGE_MS)
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "65536");
    let client = config.client();
    for (name, value) in client.config_map().iter() {
        producer.set(name.to_string(), value.to_string());
    }
    producer.set_log_level(RDKafkaLogLevel::Warning);
    producer
}

fn producer(config: &ClientConfig, reports: &Reports) -> Result<FutureProducer<Reports>, Error> {
    FutureProducer::from_config_and_context(config, reports.clone()).map_err(|error| {
        unavailable(format!("the Kafka producer does not start: {error}; check the Kafka settings"))
    })
}

fn bytes_max(config: &ClientConfig) -> usize {
    config.get("message.max.bytes").and_then(|text| text.parse().ok()).unwrap_or(RECORD_BYTES_MAX)
}

/// The bytes that a record takes at most.
fn size(record: &NewRecord) -> usize {
    let header = |(name, value): &(String, Vec<u8>)| name.len() + value.len();
    let headers: usize = record.headers.iter().map(header).sum();
    let key = record.key.as_ref().map_or(0, Vec::len);
    RECORD_OVERHEAD_BYTES + headers + key + record.value.as_ref().map_or(0, Vec::len)
}

fn headers(record: &NewRecord) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let insert = |headers: OwnedHeaders, (key, value): &(String, Vec<u8>)| {
        headers.insert(Header { key, value: Some(value) })
    };
    Some(record.headers.iter().fold(headers, insert))
}

fn position(topic: &str, delivery: &Delivery) -> Result<Position, Error> {
    match (u32::try_from(delivery.partition), u64::try_from(delivery.offset)) {
        (Ok(partition), Ok(offset)) => Ok(Position { partition, offset }),
        // A record that was sent twice is acknowledged the second time, without its offset.
        _ => Err(unavailable(format!(
            "topic {topic}: the cluster has a record but does not say where; send it again"
        ))),
    }
}

fn unavailable(detail: String) -> Error {
    Error::Unavailable { detail }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Headers, Message};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use rdkafka::{Offset, TopicPartitionList};

    use super::*;

    fn config(brokers: &str, options: &[(&str, &str)]) -> Config {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config {
            brokers: brokers.to_owned(),
            group: "g".to_owned(),
            options: options.collect::<BTreeMap<_, _>>(),
        }
    }

    fn cluster(partitions: i32) -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("usage.events", partitions, 1).unwrap();
        cluster
    }

    fn record(key: &str, value: &str) -> NewRecord {
        NewRecord {
            key: Some(key.into()),
            value: Some(value.into()),
            headers: vec![("tollbook-redacted".to_owned(), b"1".to_vec())],
        }
    }

    #[tokio::test]
    async fn every_record_lies_where_its_position_says_with_key_and_headers() {
        let cluster = cluster(3);
        let log = KafkaLog::new(&config(&cluster.bootstrap_servers(), &[]), &["usage.events"]).unwrap();
        let records: Vec<_> = (0..20).map(|n| record(&format!("r{}", n % 5), &format!("v{n}"))).collect();
        let positions = log.append("usage.events", records.clone()).await.unwrap();
        let read = read_all(&cluster.bootstrap_servers(), 3);
        assert_eq!(read.len(), 20);
        for (sent, position) in records.iter().zip(&positions) {
            assert_eq!(read.get(position), Some(sent));
        }
        assert_eq!(positions[0].partition, positions[5].partition);
    }

    /// All records of the mock's topic by their position.
    fn read_all(brokers: &str, partitions: i32) -> BTreeMap<Position, NewRecord> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "reader")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset("usage.events", partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut read = BTreeMap::new();
        let mut ends = 0;
        while ends < partitions {
            match consumer.poll(Duration::from_secs(10)).expect("an answer within ten seconds") {
                Err(KafkaError::PartitionEOF(_)) => ends += 1,
                Err(error) => panic!("{error}"),
                Ok(message) => {
                    let position = Position {
                        partition: message.partition().try_into().unwrap(),
                        offset: message.offset().try_into().unwrap(),
                    };
                    let headers = message.headers().unwrap();
                    let headers =
                        headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap().to_vec()));
                    let record = NewRecord {
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                        headers: headers.collect(),
                    };
                    read.insert(position, record);
                }
            }
        }
        read
    }

    /// What an append says when the cluster answers it with these errors.
    async fn refusal(errors: &[RDKafkaRespErr]) -> String {
        let cluster = cluster(1);
        let log =
            KafkaLog::new(&config(&cluster.bootstrap_servers(), &[("message.timeout.ms", "3000")]), &[])
                .unwrap();
        cluster.request_errors(RDKafkaApiKey::Produce, errors);
        log.append("usage.events", vec![record("k", "v")]).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_topic_that_may_not_be_written_is_named_with_the_grants_that_are_missing() {
        let refusal = refusal(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]).await;
        assert!(
            refusal.contains("topic usage.events") && refusal.contains("Write and Describe"),
            "{refusal}"
        );
    }

    #[tokio::test]
    async fn an_error_that_passes_is_tried_again_and_stored_once() {
        let cluster = cluster(1);
        let log =
            KafkaLog::new(&config(&cluster.bootstrap_servers(), &[("retry.backoff.ms", "1")]), &[]).unwrap();
        cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2],
        );
        let positions = log.append("usage.events", vec![record("k", "v")]).await.unwrap();
        assert_eq!(positions, [Position { partition: 0, offset: 0 }]);
        let read = read_all(&cluster.bootstrap_servers(), 1);
        assert_eq!(read.len(), 1);
    }

    #[tokio::test]
    async fn a_cluster_that_is_down_is_named_with_its_addresses() {
        let cluster = cluster(1);
        cluster.broker_down(1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let log =
            KafkaLog::new(&config(&brokers, &[("message.timeout.ms", "300")]), &["usage.events"]).unwrap();
        let refusal = log.append("usage.events", vec![record("k", "v")]).await.unwrap_err().to_string();
        assert!(refusal.contains(&brokers) && refusal.contains("no broker"), "{refusal}");
        let check = log.check().await.unwrap_err().to_string();
        assert!(check.contains(&brokers), "{check}");
    }

    #[tokio::test]
    async fn a_producer_that_the_client_library_gave_up_is_made_anew() {
        let cluster = cluster(1);
        let log = KafkaLog::new(&config(&cluster.bootstrap_servers(), &[]), &[]).unwrap();
        cluster.request_errors(
            RDKafkaApiKey::InitProducerId,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
        );
        log.append("usage.events", vec![record("k", "v")]).await.unwrap_err();
        log.append("usage.events", vec![record("k", "v")]).await.unwrap();
    }

    #[tokio::test]
    async fn a_check_passes_where_the_topic_is_there() {
        let cluster = cluster(1);
        let log = KafkaLog::new(&config(&cluster.bootstrap_servers(), &[]), &["usage.events"]).unwrap();
        log.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_record_over_the_limit_is_refused_before_any_is_sent() {
        let cluster = cluster(1);
        let log = KafkaLog::new(&config(&cluster.bootstrap_servers(), &[("message.max.bytes", "2000")]), &[])
            .unwrap();
        let error = log
            .append("usage.events", vec![record("k", "v"), record("k", &"v".repeat(2000))])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::TooLarge { bytes_max: 2000, .. }), "{error}");
        let read = read_all(&cluster.bootstrap_servers(), 1);
        assert!(read.is_empty());
    }

    #[tokio::test]
    async fn a_full_queue_makes_an_append_wait() {
        let cluster = cluster(1);
        let options = [("queue.buffering.max.messages", "10"), ("linger.ms", "0")];
        let log = KafkaLog::new(&config(&cluster.bootstrap_servers(), &options), &[]).unwrap();
        let records = (0..200).map(|n| record("k", &n.to_string())).collect();
        assert_eq!(log.append("usage.events", records).await.unwrap().len(), 200);
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let error =
            KafkaLog::new(&config("localhost:1", &[("no.such.setting", "1")]), &[]).unwrap_err().to_string();
        assert!(error.contains("no.such.setting"), "{error}");
    }

    #[test]
    fn the_operators_settings_win_over_ours() {
        let config = producer_config(&config("b:9092", &[("compression.type", "zstd")]));
        assert_eq!(config.get("compression.type"), Some("zstd"));
        assert_eq!(config.get("acks"), Some("all"));
    }
}

//! A Kafka topic as a source: one consumer of a group, polled by one thread. Offsets and intents are committed by
//! a thread of their own, because a commit has no deadline in the client library.

mod ask;
mod outside;

pub use outside::Bystander;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::{
    AnnounceError, Announcement, Announcer, Bounds, Change, Committed, Error, Inbox, Partition, Records,
    Source,
};

/// Messages and bytes that one poll takes at most, so that the group is served in between and a round of large
/// messages does not outgrow its bound by much.
const MESSAGES_PER_POLL_MAX: usize = 20_000;
const BYTES_PER_POLL_MAX: usize = 16 * 1024 * 1024;
/// How long a question to the broker may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an intent may stay without an answer before the group is left.
const COMMIT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a revocation waits for a commit under way. Past it the process ends: to return would let a commit of
/// ours land after the next owner has begun.
const REVOKE_DEADLINE: Duration = Duration::from_secs(60);

/// The setting that names a member of a group for good; of no meaning to producers and administration.
pub const INSTANCE_ID: &str = "group.instance.id";

/// How a Kafka cluster is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bootstrap brokers, comma-separated.
    pub brokers: String,
    /// Consumer group.
    pub group: String,
    /// Further settings by librdkafka's names (TLS, SASL, protocol …); these win over ours, but for those that
    /// intents depend on: nothing is committed behind the worker's back, and no reset skips records.
    pub options: BTreeMap<String, String>,
}

impl Config {
    /// The client settings that producers, consumers and administration share.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers).set("client.id", "tollbook");
        for (name, value) in self.options.iter().filter(|(name, _)| *name != INSTANCE_ID) {
            client.set(name, value);
        }
        client.set_log_level(RDKafkaLogLevel::Warning);
        client
    }

    fn consumer(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.queue.backoff.ms", "10")
            // How soon partitions are seen that an administrator adds.
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("group.id", &self.group);
        for (name, value) in
            self.client().config_map().iter().map(|(name, value)| (name.to_string(), value.to_string()))
        {
            client.set(name, value);
        }
        if let Some(instance) = self.options.get(INSTANCE_ID) {
            client.set(INSTANCE_ID, instance);
        }
        let assigned_by_broker =
            self.options.get("group.protocol").is_some_and(|protocol| protocol == "consumer");
        if !assigned_by_broker && !self.options.contains_key("partition.assignment.strategy") {
            client.set("partition.assignment.strategy", "range");
        }
        client
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        client.set_log_level(RDKafkaLogLevel::Warning);
        client
    }
}

/// One member of the group, reading one topic.
pub struct Kafka {
    config: Config,
    topic: Arc<str>,
    consumer: Arc<BaseConsumer<Group>>,
    announcer: Arc<Committer>,
    assignment: Arc<Assignment>,
    /// Where each started partition continues.
    positions: HashMap<Partition, u64>,
    held: bool,
}

/// What is assigned to this member. The lock is held over the check of the epoch and the commit, and by the
/// callback that revokes.
#[derive(Debug, Default)]
struct Assignment {
    epochs: Mutex<HashMap<Partition, u64>>,
    changes: Mutex<Vec<Change>>,
    next_epoch: AtomicU64,
    /// Why a rebalance could not be carried out: what is assigned is not known any more.
    broken: Mutex<Option<KafkaError>>,
}

struct Group {
    assignment: Arc<Assignment>,
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(error = %error, "Kafka client reports: {reason}");
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let outcome = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, list, cooperative)
        } else {
            self.revoke(consumer, list, cooperative)
        };
        if let Err(error) = outcome {
            tracing::error!(error = %error, "The rebalance could not be carried out");
            *self.assignment.broken.lock() = Some(error);
        }
    }
}

impl Group {
    /// Takes the partitions, paused: recovery decides where each starts. The offset here matters all the same. The
    /// client library looks up what is not a number, and an answer that comes only after `start` has said where to go
    /// on moves the partition there: to the end, past records that were never read. So it is what is committed, or
    /// else the beginning, from where `take` drops what comes again.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &mut TopicPartitionList,
        cooperative: bool,
    ) -> Result<(), KafkaError> {
        let committed = consumer.committed_offsets(list.clone(), BROKER_TIMEOUT);
        if let Err(error) = &committed {
            tracing::warn!(error = %error, "The committed offsets are not known at the assignment");
        }
        for Partition { topic, number } in partitions_of(list) {
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let known = committed.as_ref().ok().and_then(|known| known.find_partition(&topic, number));
            let offset =
                known.map(|element| element.offset()).filter(|offset| matches!(offset, Offset::Offset(_)));
            list.set_partition_offset(&topic, number, offset.unwrap_or(Offset::Beginning))?;
        }
        if cooperative {
            consumer.incremental_assign(list)?;
        } else {
            consumer.assign(list)?;
        }
        consumer.pause(list)?;
        let mut epochs = self.assignment.epochs.lock();
        let mut changes = self.assignment.changes.lock();
        for partition in partitions_of(list) {
            let epoch = self.assignment.next_epoch.fetch_add(1, Ordering::Relaxed);
            epochs.insert(partition.clone(), epoch);
            changes.push(Change::Assigned(partition, epoch));
        }
        Ok(())
    }

    fn revoke(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
        cooperative: bool,
    ) -> Result<(), KafkaError> {
        let Some(mut epochs) = self.assignment.epochs.try_lock_for(REVOKE_DEADLINE) else {
            tracing::error!(
                "A commit is under way since {REVOKE_DEADLINE:?}; ending the process, so that it cannot land late"
            );
            std::process::abort();
        };
        let mut changes = self.assignment.changes.lock();
        for partition in partitions_of(list) {
            epochs.remove(&partition);
            changes.push(Change::Revoked(partition));
        }
        drop(changes);
        drop(epochs);
        if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements()
        .iter()
        .filter_map(|element| {
            let number = u32::try_from(element.partition()).ok()?;
            Some(Partition { topic: element.topic().into(), number })
        })
        .collect()
}

impl Kafka {
    /// Joins the group.
    ///
    /// # Errors
    /// Where a setting is wrong, or the topic cannot be subscribed to.
    pub fn join(config: &Config, topic: &str) -> Result<Self, Error> {
        let assignment = Arc::new(Assignment::default());
        let group = Group { assignment: assignment.clone() };
        let consumer: BaseConsumer<Group> = BaseConsumer::from_config_and_context(&config.consumer(), group)
            .map_err(ask::failed("joining the group"))?;
        consumer.subscribe(&[topic]).map_err(ask::failed("subscribing"))?;
        let consumer = Arc::new(consumer);
        let announcer = Arc::new(Committer::start(&consumer, assignment.clone())?);
        Ok(Self {
            config: config.clone(),
            topic: topic.into(),
            consumer,
            announcer,
            assignment,
            positions: HashMap::new(),
            held: false,
        })
    }

    fn take(&mut self, message: &BorrowedMessage<'_>, inbox: &mut Inbox) {
        let (Ok(number), Ok(offset)) = (u32::try_from(message.partition()), u64::try_from(message.offset()))
        else {
            return;
        };
        let partition = Partition { topic: self.topic.clone(), number };
        let Some(position) = self.positions.get_mut(&partition) else { return };
        if offset < *position {
            return;
        }
        *position = offset + 1;
        ask::push(inbox.records.entry(partition).or_default(), message, offset);
    }

    /// Moves over the offsets behind the last record that hold nothing for a reader. The client library hands on the
    /// markers of transactions in their order among the records, shows none of them to us, and counts them in its
    /// position as they come by. So the position never passes a record that this thread has not been given: a seek
    /// forgets it, and what was fetched before the seek does not move it.
    fn pass_holes(&mut self, inbox: &mut Inbox) -> Result<(), Error> {
        if self.positions.is_empty() {
            return Ok(());
        }
        let reached = self.consumer.position().map_err(ask::failed("asking for the consumer's position"))?;
        for (partition, position) in &mut self.positions {
            let element = reached.find_partition(&partition.topic, ask::number(partition)?);
            let Some(Offset::Offset(offset)) = element.map(|element| element.offset()) else { continue };
            let offset = u64::try_from(offset).unwrap_or(0);
            if offset > *position {
                *position = offset;
                inbox.reached.insert(partition.clone(), offset);
            }
        }
        Ok(())
    }

    /// The client library says that an offset is out of range but not of which partition: asks for all. Always an
    /// error: the library has given that partition up, and only a new start reads on, after a look at the log.
    fn overtaken(&self) -> Error {
        self.find_overtaken().err().unwrap_or_else(|| Error::Failed {
            what: format!("reading {}", self.topic),
            detail: "an offset was out of range, or the log was cut off, and is in range again".into(),
        })
    }

    fn find_overtaken(&self) -> Result<(), Error> {
        for (partition, from) in &self.positions {
            let Bounds { low, end } = self.bounds(partition)?;
            if low > *from || end < *from {
                return Err(ask::out_of_range(partition, *from, Bounds { low, end }));
            }
        }
        Ok(())
    }
}

impl Source for Kafka {
    fn poll(&mut self, wait: Duration, inbox: &mut Inbox) -> Result<(), Error> {
        let consumer = self.consumer.clone();
        let mut wait = wait;
        let mut bytes = 0;
        let mut drained = false;
        for _ in 0..MESSAGES_PER_POLL_MAX {
            let polled = consumer.poll(wait);
            if let Some(error) = self.assignment.broken.lock().take() {
                return Err(ask::failed("carrying out a rebalance")(error));
            }
            for change in std::mem::take(&mut *self.assignment.changes.lock()) {
                if let Change::Revoked(partition) = &change {
                    self.positions.remove(partition);
                    inbox.records.remove(partition);
                    inbox.reached.remove(partition);
                }
                inbox.changes.push(change);
            }
            match polled {
                None => {
                    drained = true;
                    break;
                }
                Some(Ok(message)) => {
                    bytes += message.payload_len();
                    self.take(&message, inbox);
                }
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    return Err(self.overtaken());
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(Error::Failed { what: "consuming".into(), detail: code.to_string() });
                }
                // Everything else (brokers down, a leader moving) the client library retries by itself.
                Some(Err(error)) => tracing::warn!(error = %error, "Kafka consumer reports an error"),
            }
            if bytes >= BYTES_PER_POLL_MAX {
                break;
            }
            wait = Duration::ZERO;
        }
        if drained && !self.held {
            self.pass_holes(inbox)?;
        }
        Ok(())
    }

    fn start(&mut self, partition: &Partition, offset: u64) -> Result<(), Error> {
        let target = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
        // An assignment takes a moment to be seated; until then a seek is refused as a wrong state.
        let deadline = Instant::now() + BROKER_TIMEOUT;
        loop {
            match self.consumer.seek(
                &partition.topic,
                ask::number(partition)?,
                target,
                Duration::from_secs(5),
            ) {
                Ok(()) => break,
                Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(ask::failed("seeking")(error)),
            }
        }
        self.positions.insert(partition.clone(), offset);
        if !self.held {
            self.consumer.resume(&ask::list(partition, target)?).map_err(ask::failed("resuming"))?;
        }
        Ok(())
    }

    fn hold(&mut self, held: bool) -> Result<(), Error> {
        if held == self.held {
            return Ok(());
        }
        for partition in self.positions.keys() {
            let list = ask::list(partition, Offset::Invalid)?;
            if held { self.consumer.pause(&list) } else { self.consumer.resume(&list) }
                .map_err(ask::failed("pausing"))?;
        }
        self.held = held;
        // A pause purges what the client has already fetched: continue exactly where the last record ended.
        if !held {
            for (partition, position) in self.positions.clone() {
                self.start(&partition, position)?;
            }
        }
        Ok(())
    }

    fn committed(&self, partition: &Partition) -> Result<Option<Committed>, Error> {
        ask::committed(&self.consumer, partition)
    }

    fn bounds(&self, partition: &Partition) -> Result<Bounds, Error> {
        ask::bounds(&self.consumer, partition)
    }

    fn read(&self, partition: &Partition, first: u64, last: u64) -> Result<Records, Error> {
        ask::read(&self.config, partition, first, last)
    }

    fn partitions(&self) -> Result<u32, Error> {
        match ask::partitions(&self.consumer, &self.topic)? {
            0 => Err(Error::Failed {
                what: format!("reading topic {}", self.topic),
                detail: "it does not exist: it was deleted, or this client's principal may not Describe it"
                    .into(),
            }),
            count => Ok(count),
        }
    }

    fn announcer(&self) -> Arc<dyn Announcer> {
        self.announcer.clone()
    }

    fn may_have_zombies(&self) -> bool {
        true
    }
}

/// Commits on a thread of its own.
struct Committer {
    requests: Mutex<mpsc::Sender<Request>>,
    assignment: Arc<Assignment>,
}

struct Request {
    round: Vec<Announcement>,
    answer: mpsc::Sender<Result<(), AnnounceError>>,
}

impl fmt::Debug for Committer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Committer").finish_non_exhaustive()
    }
}

impl Committer {
    /// The thread keeps the consumer only while it commits: whoever drops the source leaves the group with it.
    fn start(consumer: &Arc<BaseConsumer<Group>>, assignment: Arc<Assignment>) -> Result<Self, Error> {
        let (requests, incoming) = mpsc::channel::<Request>();
        let held = assignment.clone();
        let consumer = Arc::downgrade(consumer);
        std::thread::Builder::new()
            .name("kafka-commit".into())
            .spawn(move || {
                let mut last = LastAnnounced::default();
                for request in incoming {
                    let Some(consumer) = consumer.upgrade() else { return };
                    let outcome = last
                        .is_still_there(&consumer, &request.round)
                        .and_then(|()| commit(&consumer, &held, &request.round));
                    last.note(&request.round, outcome.is_ok());
                    // Where nobody waits any more, the deadline has passed and the group is being left.
                    let _ = request.answer.send(outcome);
                }
            })
            .map_err(|error| Error::Failed {
                what: "starting the commit thread".into(),
                detail: error.to_string(),
            })?;
        Ok(Self { requests: Mutex::new(requests), assignment })
    }
}

/// What was announced last of each partition, under which epoch. A broker forgets it when the topic is deleted, and
/// nothing else does while this member is in the group: a topic that was made anew, and has grown past where reading
/// stands before anybody looked, is told by this before a row of it is sent. The client library reads on in silence.
#[derive(Default)]
struct LastAnnounced(HashMap<Partition, (u64, u64)>);

impl LastAnnounced {
    fn is_still_there(
        &self,
        consumer: &BaseConsumer<Group>,
        round: &[Announcement],
    ) -> Result<(), AnnounceError> {
        let known: Vec<(&Partition, u64)> = round
            .iter()
            .filter_map(|Announcement { partition, epoch, .. }| match self.0.get(partition) {
                Some((under, offset)) if under == epoch => Some((partition, *offset)),
                _ => None,
            })
            .collect();
        if known.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(known.len());
        for (partition, _) in &known {
            list.add_partition(&partition.topic, i32::try_from(partition.number).unwrap_or(i32::MAX));
        }
        // Nothing is sent yet, so whatever goes wrong here leaves nothing uncertain.
        let refused = |error: KafkaError| AnnounceError::Refused(error.to_string());
        let committed = consumer.committed_offsets(list, BROKER_TIMEOUT).map_err(refused)?;
        for (partition, offset) in known {
            let number = i32::try_from(partition.number).unwrap_or(i32::MAX);
            let element = committed.find_partition(&partition.topic, number);
            let found = element.map(|element| element.error().map(|()| element.offset()));
            let found = found.transpose().map_err(refused)?.unwrap_or(Offset::Invalid);
            if found != Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX)) {
                return Err(AnnounceError::Refused(format!(
                    "{partition}: offset {offset} was announced, and the group does not have it any more ({found:?}): \
                     the topic was deleted, or something else commits under the group"
                )));
            }
        }
        Ok(())
    }

    /// After an error, what the group has is not known.
    fn note(&mut self, round: &[Announcement], is_announced: bool) {
        for Announcement { partition, epoch, offset, .. } in round {
            if is_announced {
                self.0.insert(partition.clone(), (*epoch, *offset));
            } else {
                self.0.remove(partition);
            }
        }
    }
}

/// The check of the epochs and the commit, under the lock that the revocation takes too.
fn commit(
    consumer: &BaseConsumer<Group>,
    assignment: &Assignment,
    round: &[Announcement],
) -> Result<(), AnnounceError> {
    let sent_at = Instant::now();
    let refused = |error: KafkaError| match error {
        KafkaError::ConsumerCommit(code) if has_no_answer(code) => AnnounceError::NoAnswer(sent_at.elapsed()),
        KafkaError::ConsumerCommit(RDKafkaErrorCode::OffsetMetadataTooLarge) => {
            AnnounceError::TooLarge(round.iter().map(|each| each.metadata.len()).max().unwrap_or(0))
        }
        error => AnnounceError::Refused(error.to_string()),
    };
    let epochs = assignment.epochs.lock();
    let mut list = TopicPartitionList::with_capacity(round.len());
    for announcement in round {
        let partition = &announcement.partition;
        if epochs.get(partition) != Some(&announcement.epoch) {
            return Err(AnnounceError::Revoked(partition.clone()));
        }
        let number = i32::try_from(partition.number).unwrap_or(i32::MAX);
        let offset = i64::try_from(announcement.offset).unwrap_or(i64::MAX);
        let mut element = list.add_partition(&partition.topic, number);
        element.set_offset(Offset::Offset(offset)).map_err(refused)?;
        element.set_metadata(&announcement.metadata);
    }
    let topic = round.first().map_or("", |announcement| &announcement.partition.topic);
    crate::fault::point(topic, "commit.checked").map_err(AnnounceError::Refused)?;
    consumer.commit(&list, CommitMode::Sync).map_err(refused)
}

/// Whether a commit may still land, after whatever is announced next: the library made up the error itself, and not
/// before the commit was sent. A request that waits for its answer fails with whatever befalls its connection.
fn has_no_answer(code: RDKafkaErrorCode) -> bool {
    // The library's own errors lie below those of the protocol, of which -1 is the first.
    let is_of_library = (code as i32) < (RDKafkaErrorCode::Unknown as i32);
    let is_before_sending = matches!(
        code,
        RDKafkaErrorCode::NoOffset | RDKafkaErrorCode::State | RDKafkaErrorCode::InvalidArgument
    );
    is_of_library && !is_before_sending
}

impl Announcer for Committer {
    fn announce(&self, round: &[Announcement]) -> Result<(), AnnounceError> {
        let (answer, incoming) = mpsc::channel();
        let gone = || AnnounceError::Refused("the commit thread has ended".into());
        self.requests.lock().send(Request { round: round.to_vec(), answer }).map_err(|_| gone())?;
        match incoming.recv_timeout(COMMIT_DEADLINE) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(AnnounceError::NoAnswer(COMMIT_DEADLINE)),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    fn owns(&self, partition: &Partition, epoch: u64) -> bool {
        self.assignment.epochs.lock().get(partition) == Some(&epoch)
    }
}

#[cfg(test)]
mod tests;

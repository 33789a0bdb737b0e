//! A real Kafka broker: one node, storage and ports of its own, ready in a second or two. Where a test is about what
//! moves between brokers, a second one beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::metadata::MetadataTopic;
use tempfile::TempDir;

use super::process::{Process, Recipe, ensure_fetched};
use super::{folder, ports, wait};

/// A restart after a kill waits for the old registration to lapse, which takes 5 to 6 s on a quiet machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Where brokers keep the offsets of groups.
const OFFSETS: &str = "__consumer_offsets";

/// A broker that runs. Dropping it kills it and removes its storage.
pub struct Broker {
    recipe: Recipe,
    process: Process,
    bootstrap: String,
    /// How many brokers keep each partition.
    replicas: i32,
    folder: TempDir,
}

/// The second broker of a cluster, whose controller is the first. Dropping it kills it.
pub struct Second {
    recipe: Recipe,
    process: Process,
}

impl Broker {
    /// A broker of its own, for tests that stop, freeze or kill it. Fails with its log when it does not get ready.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// [`Self::start`] with broker settings beside the usual ones, such as `("transaction.max.timeout.ms", "5000")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let kafka = folder::fetched().join("kafka");
        ensure_fetched(&kafka.join("installed"), "kafka")?;
        let folder = folder::fresh("broker")?;
        let (port, controller_port) = (ports::free()?, ports::free()?);
        let bootstrap = format!("127.0.0.1:{port}");

        let mut text = format!(
            "listeners=BROKER://{bootstrap},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=BROKER://{bootstrap}\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n"
        );
        for (name, value) in settings {
            text += &format!("{name}={value}\n");
        }
        let recipe = prepare(&kafka, folder.path(), &text)?;
        let process = recipe.start()?;
        let mut broker = Self { recipe, process, bootstrap, replicas: 1, folder };
        broker.wait_until_ready()?;
        Ok(broker)
    }

    /// Two brokers that both keep every partition. The second coordinates all groups, but for the time that it is dead
    /// or not up to date.
    pub fn start_pair() -> Result<(Self, Second)> {
        let mut broker = Self::start_with(&[
            ("offsets.topic.num.partitions", "1"),
            ("auto.leader.rebalance.enable", "true"),
            ("leader.imbalance.check.interval.seconds", "1"),
        ])?;
        let kafka = folder::fetched().join("kafka");
        let first = fs::read_to_string(broker.folder.path().join("server.properties"))?;
        let voters = first.lines().rfind(|line| line.starts_with("controller.quorum.voters="));
        let own = format!("127.0.0.1:{}", ports::free()?);
        let text = format!(
            "process.roles=broker\nnode.id=2\noffsets.topic.num.partitions=1\nlisteners=BROKER://{own}\nadvertised.listeners=BROKER://{own}\n{}\n",
            voters.context("the first broker names no controller")?
        );
        let folder = broker.folder.path().join("second");
        let recipe = prepare(&kafka, &folder, &text)?;
        let storage = folder.join("storage");
        fs::remove_dir_all(storage.join("__cluster_metadata-0"))?;
        let names = fs::read_to_string(storage.join("meta.properties"))?;
        let names = names.replace("node.id=1", "node.id=2");
        let names = names.lines().filter(|line| !line.starts_with("directory.id=")).collect::<Vec<_>>();
        fs::write(storage.join("meta.properties"), names.join("\n") + "\n")?;
        let mut second = Second { process: recipe.start()?, recipe };
        second.process.wait_for_line("Kafka Server started", READY_WITHIN)?;
        broker.bootstrap = format!("{},{own}", broker.bootstrap);
        broker.replicas = 2;
        // Made by hand, since the broker would choose the leader by lot.
        let offsets = NewTopic::new(OFFSETS, 1, TopicReplication::Variable(&[&[2, 1]]));
        let admin = broker.admin()?;
        wait::until("both brokers", READY_WITHIN, || {
            Ok((admin.inner().fetch_metadata(None, ANSWER_WITHIN)?.brokers().len() == 2).then_some(()))
        })?;
        one(block_on(admin.create_topics([&offsets.set("cleanup.policy", "compact")], &options()))?)
            .context("could not create the topic of the groups' offsets")?;
        broker.wait_for_partitions(&admin, OFFSETS, 1)?;
        Ok((broker, second))
    }

    /// Which broker coordinates the groups of a pair.
    pub fn coordinator(&self) -> Result<i32> {
        let metadata = self.admin()?.inner().fetch_metadata(Some(OFFSETS), ANSWER_WITHIN)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        partitions.map(rdkafka::metadata::MetadataPartition::leader).next().context("there are no groups")
    }

    /// One broker for all tests of this process that only need topics of their own. Started at the first call, gone with
    /// the process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Broker>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref().map_err(|error| anyhow!("the shared broker: {error:#}"))
    }

    /// `host:port`, for `bootstrap.servers`. The same after a restart.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A topic name that no other test of this process has.
    #[must_use]
    pub fn topic_name(&self, prefix: &str) -> String {
        static NAMED: AtomicU32 = AtomicU32::new(0);
        format!("{prefix}.{}", NAMED.fetch_add(1, Ordering::Relaxed))
    }

    /// Creates a topic, with settings such as `("cleanup.policy", "compact")`, and waits until it can be written and read.
    pub fn create_topic(&self, name: &str, partitions: u16, settings: &[(&str, &str)]) -> Result<()> {
        let topic = settings.iter().fold(
            NewTopic::new(name, partitions.into(), TopicReplication::Fixed(self.replicas)),
            |topic, (setting, value)| topic.set(setting, value),
        );
        let admin = self.admin()?;
        one(block_on(admin.create_topics([&topic], &options()))?)
            .with_context(|| format!("could not create topic {name}"))?;
        self.wait_for_partitions(&admin, name, partitions)
    }

    /// Grows a topic to `partitions` in all and waits until they are there.
    pub fn grow_topic(&self, name: &str, partitions: u16) -> Result<()> {
        let admin = self.admin()?;
        let grown = NewPartitions::new(name, partitions.into());
        one(block_on(admin.create_partitions([&grown], &options()))?)
            .with_context(|| format!("could not grow topic {name}"))?;
        self.wait_for_partitions(&admin, name, partitions)
    }

    /// Deletes a topic and waits until the broker no longer names it, so that it can be created anew.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let admin = self.admin()?;
        one(block_on(admin.delete_topics(&[name], &options()))?)
            .with_context(|| format!("could not delete topic {name}"))?;
        wait::until(&format!("topic {name} to be gone"), ANSWER_WITHIN, || {
            let known = admin.inner().fetch_metadata(None, ANSWER_WITHIN)?;
            Ok((!known.topics().iter().any(|topic| topic.name() == name)).then_some(()))
        })
    }

    /// Kills the broker. Its storage stays for [`Self::restart`].
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stops the broker in order. Its storage stays for [`Self::restart`].
    pub fn stop(&mut self) -> Result<()> {
        self.process.terminate()?;
        self.process.wait(STOPPED_WITHIN)?;
        Ok(())
    }

    /// Starts the broker again on the same storage and port, killing it first where it runs, and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.recipe.start()?;
        self.wait_until_ready()
    }

    /// Freezes the broker: connections stay open, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Lets a frozen broker go on.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Ready is when a client gets metadata that names the broker.
    fn wait_until_ready(&mut self) -> Result<()> {
        self.process.wait_for_line("Kafka Server started", READY_WITHIN)?;
        let admin = self.admin()?;
        wait::until("the broker to answer", READY_WITHIN, || {
            let answer = admin.inner().fetch_metadata(None, Duration::from_secs(1));
            Ok(answer.ok().filter(|metadata| !metadata.brokers().is_empty()).map(drop))
        })
    }

    fn wait_for_partitions(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        name: &str,
        partitions: u16,
    ) -> Result<()> {
        wait::until(&format!("{partitions} partitions of {name} to have leaders"), ANSWER_WITHIN, || {
            let metadata = admin.inner().fetch_metadata(Some(name), ANSWER_WITHIN)?;
            let led = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            let led = led.filter(|partition| partition.error().is_none() && partition.leader() >= 0).count();
            Ok((led == usize::from(partitions)).then_some(()))
        })
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("reconnect.backoff.max.ms", "100");
        config.create().context("could not create a Kafka admin client")
    }
}

impl Second {
    /// Kills it. Its storage stays for [`Self::restart`].
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same storage and port, killing it first where it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.recipe.start()?;
        self.process.wait_for_line("Kafka Server started", READY_WITHIN).map(drop)
    }
}

/// Puts a broker's storage and settings into a folder: what is installed, and these.
fn prepare(kafka: &Path, folder: &Path, settings: &str) -> Result<Recipe> {
    let storage = folder.join("storage");
    copy_folder(&kafka.join("storage"), &storage).context("could not copy the broker's storage")?;
    let properties = folder.join("server.properties");
    let usual = fs::read_to_string(kafka.join("server.properties"))?;
    fs::write(&properties, format!("{usual}\n{settings}log.dirs={}\n", storage.display()))?;
    Ok(recipe(kafka, &properties))
}

fn recipe(kafka: &Path, properties: &Path) -> Recipe {
    let at = |file: &str| kafka.join(file).display().to_string();
    Recipe::new("kafka", "java")
        .argument(format!("@{}", at("jvm.args")))
        .argument(format!("-XX:SharedArchiveFile={}", at("classes.jsa")))
        .argument(format!("-Dlog4j2.configurationFile={}", at("log4j2.properties")))
        .arguments(["-cp", &at("libs/*"), "kafka.Kafka"])
        .argument(properties)
        .log_to(properties.with_file_name("broker.log"))
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(ANSWER_WITHIN)).request_timeout(Some(ANSWER_WITHIN))
}

/// The answer for the one topic asked about.
fn one<E: std::fmt::Display>(answers: Vec<Result<String, (String, E)>>) -> Result<()> {
    let answer = answers.into_iter().next().context("the broker answered nothing")?;
    answer.map(drop).map_err(|(name, error)| anyhow!("{name}: {error}"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for item in fs::read_dir(from)? {
        let item = item?;
        let target: PathBuf = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            copy_folder(&item.path(), &target)?;
        } else {
            fs::copy(item.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::{Message, Offset, TopicPartitionList};

    use super::*;

    fn write(broker: &Broker, topic: &str, payload: &str) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap()).set("acks", "all");
        let producer: BaseProducer = config.create().unwrap();
        producer
            .send(BaseRecord::<(), str>::to(topic).partition(0).payload(payload))
            .map_err(|(error, _)| error)
            .unwrap();
        producer.flush(ANSWER_WITHIN).unwrap();
    }

    fn first_record(broker: &Broker, topic: &str) -> String {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap()).set("group.id", "reader");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&from).unwrap();
        next_record(&consumer)
    }

    /// A poll also ends, without a record, when it has served a rebalance.
    fn next_record(consumer: &BaseConsumer) -> String {
        let record = wait::until("a record", ANSWER_WITHIN, || {
            Ok(consumer.poll(Duration::from_millis(100)).transpose()?)
        });
        String::from_utf8_lossy(record.unwrap().payload().unwrap()).into_owned()
    }

    #[test]
    fn the_shared_broker_keeps_what_is_written_to_a_topic() {
        let broker = Broker::shared().unwrap();
        let topic = broker.topic_name("kept");
        broker.create_topic(&topic, 1, &[]).unwrap();
        write(broker, &topic, "one");
        assert_eq!(first_record(broker, &topic), "one");
    }

    #[test]
    fn a_group_is_served_in_either_protocol() {
        let broker = Broker::shared().unwrap();
        for protocol in ["classic", "consumer"] {
            let topic = broker.topic_name(protocol);
            broker.create_topic(&topic, 1, &[]).unwrap();
            write(broker, &topic, protocol);
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", broker.bootstrap()).set("group.id", &topic);
            config.set("group.protocol", protocol).set("auto.offset.reset", "earliest");
            let consumer: BaseConsumer = config.create().unwrap();
            consumer.subscribe(&[&topic]).unwrap();
            assert_eq!(next_record(&consumer), protocol);
        }
    }

    #[test]
    fn a_topic_has_the_settings_it_was_created_with_and_grows() {
        let broker = Broker::shared().unwrap();
        let topic = broker.topic_name("grown");
        broker.create_topic(&topic, 2, &[("cleanup.policy", "compact")]).unwrap();
        broker.grow_topic(&topic, 5).unwrap();
        let error = broker.create_topic(&topic, 2, &[]).unwrap_err();
        assert!(format!("{error:#}").contains("already exists"), "{error:#}");
    }

    #[test]
    fn a_deleted_topic_can_be_created_anew_and_is_empty() {
        let broker = Broker::shared().unwrap();
        let topic = broker.topic_name("anew");
        broker.create_topic(&topic, 1, &[]).unwrap();
        write(broker, &topic, "old");
        broker.delete_topic(&topic).unwrap();
        broker.create_topic(&topic, 1, &[]).unwrap();
        write(broker, &topic, "new");
        assert_eq!(first_record(broker, &topic), "new");
    }

    #[test]
    fn a_killed_broker_comes_back_with_its_topics_and_records() {
        let mut broker = Broker::start().unwrap();
        broker.create_topic("survives", 1, &[]).unwrap();
        write(&broker, "survives", "before");
        broker.kill().unwrap();
        broker.restart().unwrap();
        assert_eq!(first_record(&broker, "survives"), "before");
        broker.stop().unwrap();
        broker.restart().unwrap();
        assert_eq!(first_record(&broker, "survives"), "before");
    }
}

//! The Kafka source against a mock cluster, which can be made slow.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use super::*;

const TOPIC: &str = "events";
const RECORDS: u64 = 5_000;
/// Longer than anything here takes; a test that fails waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

fn produce(brokers: &str, records: u64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
    let payload = vec![b'x'; 1024];
    for _ in 0..records {
        producer
            .send(BaseRecord::<(), _>::to(TOPIC).partition(0).payload(&payload))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

fn config(brokers: &str, options: &[(&str, &str)]) -> Config {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config { brokers: brokers.to_owned(), group: "group".to_owned(), options }
}

#[test]
fn a_partition_that_is_started_while_the_broker_is_slow_skips_nothing() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    produce(&cluster.bootstrap_servers(), RECORDS);
    cluster.broker_round_trip_time(1, Duration::from_millis(200)).unwrap();
    let mut kafka = Kafka::join(&config(&cluster.bootstrap_servers(), &[]), TOPIC).unwrap();
    let mut inbox = Inbox::default();
    let deadline = Instant::now() + DEADLINE;
    while inbox.changes.is_empty() && Instant::now() < deadline {
        kafka.poll(Duration::from_millis(50), &mut inbox).unwrap();
    }
    let partition = Partition { topic: TOPIC.into(), number: 0 };
    assert!(matches!(&inbox.changes[..], [Change::Assigned(assigned, _)] if *assigned == partition));

    kafka.start(&partition, 1).unwrap();
    let mut next = 1;
    while next < RECORDS && Instant::now() < deadline {
        kafka.poll(Duration::from_millis(50), &mut inbox).unwrap();
        for record in inbox.records.remove(&partition).unwrap_or_default().iter() {
            assert_eq!(record.offset, next, "the records before were skipped");
            next += 1;
        }
    }
    assert_eq!(next, RECORDS, "nothing more arrives");
}

/// A broker forgets a group's offset with the topic. A topic that was made anew at once, and has grown past where the
/// reader stands, shows in nothing else.
#[test]
fn nothing_is_announced_where_the_group_does_not_have_the_last_announcement_any_more() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let config = config(&cluster.bootstrap_servers(), &[]);
    let mut kafka = Kafka::join(&config, TOPIC).unwrap();
    let mut inbox = Inbox::default();
    let deadline = Instant::now() + DEADLINE;
    while inbox.changes.is_empty() && Instant::now() < deadline {
        kafka.poll(Duration::from_millis(50), &mut inbox).unwrap();
    }
    let Some(Change::Assigned(partition, epoch)) = inbox.changes.pop() else { panic!("nothing is assigned") };
    let announce = |offset| {
        kafka.announcer().announce(&[Announcement {
            partition: partition.clone(),
            epoch,
            offset,
            metadata: "an intent".to_owned(),
        }])
    };
    announce(3).unwrap();
    announce(5).unwrap();
    let other = ask::list(&partition, Offset::Offset(0)).unwrap();
    kafka.consumer.commit(&other, CommitMode::Sync).unwrap();
    let refused = announce(8).unwrap_err();
    assert!(
        matches!(&refused, AnnounceError::Refused(why) if why.contains("the topic was deleted")),
        "{refused}"
    );
    assert_eq!(kafka.committed(&partition).unwrap().map(|committed| committed.offset), Some(0));
    // What recovery finds then is what it announces anew from.
    announce(8).unwrap();
}

#[test]
fn both_group_protocols_make_a_consumer_and_no_option_lets_it_commit_or_reset_by_itself() {
    for options in [
        &[][..],
        &[("group.protocol", "consumer")],
        &[("group.protocol", "classic"), ("partition.assignment.strategy", "cooperative-sticky")],
        &[
            ("enable.auto.commit", "true"),
            ("enable.auto.offset.store", "true"),
            ("auto.offset.reset", "latest"),
        ],
    ] {
        let config = config("127.0.0.1:1", options).consumer();
        let _consumer: BaseConsumer = config.create().unwrap();
        assert_eq!(config.get("enable.auto.commit"), Some("false"));
        assert_eq!(config.get("enable.auto.offset.store"), Some("false"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
    }
}

#[test]
fn an_error_that_the_library_makes_up_for_a_commit_on_its_way_is_no_answer() {
    use RDKafkaErrorCode as Code;
    for code in [
        Code::BrokerTransportFailure,
        Code::OperationTimedOut,
        Code::SSL,
        Code::Authentication,
        Code::AllBrokersDown,
    ] {
        assert!(has_no_answer(code), "{code:?}");
    }
    for code in
        [Code::NoOffset, Code::State, Code::Unknown, Code::IllegalGeneration, Code::RebalanceInProgress]
    {
        assert!(!has_no_answer(code), "{code:?}");
    }
}

//! Offsets that are not the plain case: holes that transactions leave, and logs that are no longer what they were.
//! Each is named and either carried on over, provably, or refused with a way out.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tests::wait;
use traffic::{Config, Prices, Traffic, Truth};

use crate::world::{PATIENCE, World};

const TOPIC: &str = "usage.events";
const GROUP: &str = "tollbook";

/// A producer that writes in transactions.
struct Transactional(BaseProducer);

impl Transactional {
    fn new(world: &World) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", world.broker.bootstrap())
            .set("transactional.id", "gateway")
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        Self(producer)
    }

    /// Begins a transaction and has its events stored, but not decided upon. Answers what a ledger makes of them once
    /// they are committed.
    fn begin(&self, seed: u64, count: u64) -> Truth {
        self.0.begin_transaction().unwrap();
        let mut truth = Truth::new(Prices::built_in().unwrap());
        for event in Traffic::new(Config { seed, count, ..Config::default() }) {
            truth.add(&event);
            let (key, value) = (event.request_id().into_bytes(), event.json().unwrap().unwrap());
            self.0.send(BaseRecord::to(TOPIC).key(&key).payload(&value)).map_err(|(error, _)| error).unwrap();
        }
        self.0.flush(PATIENCE).unwrap();
        truth
    }

    fn commit(&self) {
        self.0.commit_transaction(PATIENCE).unwrap();
    }

    fn abort(&self) {
        self.0.abort_transaction(PATIENCE).unwrap();
    }
}

/// A consumer that belongs to the workers' group by name but does not join it.
fn outside(world: &World) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", world.broker.bootstrap())
        .set("group.id", GROUP)
        .set("isolation.level", "read_uncommitted")
        .create()
        .unwrap()
}

/// The offset that the group has committed, and the end of the log with everything that is in it.
fn committed_and_end(consumer: &BaseConsumer) -> (i64, i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition(TOPIC, 0);
    let list = consumer.committed_offsets(list, PATIENCE).unwrap();
    let committed = match list.elements()[0].offset() {
        Offset::Offset(offset) => offset,
        _ => -1,
    };
    (committed, consumer.fetch_watermarks(TOPIC, 0, PATIENCE).unwrap().1)
}

fn wait_until_lag_is_zero(world: &World) {
    let consumer = outside(world);
    wait::until("a lag of 0", PATIENCE, || {
        let (committed, end) = committed_and_end(&consumer);
        Ok((committed == end).then_some(()))
    })
    .unwrap();
}

/// Milliseconds up to which the ledger calls itself complete.
fn complete_through(world: &World) -> u64 {
    world.number(
        "SELECT toUInt64(toUnixTimestamp64Milli(max(complete_through))) FROM progress WHERE topic = 'usage.events'",
    )
}

fn wait_until_completeness_passes(world: &World, than: u64) {
    wait::until("completeness to move", PATIENCE, || Ok((complete_through(world) > than).then_some(())))
        .unwrap();
}

/// What the batches say of offsets without a record.
fn holes(world: &World) -> u64 {
    world.number("SELECT sum(holes) FROM batches WHERE topic = 'usage.events'")
}

#[test]
fn the_marker_of_a_committed_transaction_is_a_hole_and_leaves_no_lag() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let producer = Transactional::new(&world);
    let mut truth = producer.begin(1, 50);
    producer.commit();
    world.wait_until_received(truth.received);
    wait_until_lag_is_zero(&world);
    assert_eq!(holes(&world), 1, "the marker");
    // Nothing more comes, and the ledger goes on saying how complete it is.
    wait_until_completeness_passes(&world, complete_through(&world));

    truth.absorb(&producer.begin(2, 50));
    producer.commit();
    world.wait_until_received(truth.received);
    wait_until_lag_is_zero(&world);
    world.assert_holds(&truth);
    assert_eq!(holes(&world), 2);
}

#[test]
fn the_records_of_an_aborted_transaction_are_holes_and_bill_nobody() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let producer = Transactional::new(&world);
    let mut truth = producer.begin(1, 20);
    producer.commit();
    let _never_billed = producer.begin(2, 30);
    producer.abort();
    wait_until_lag_is_zero(&world);
    truth.absorb(&producer.begin(3, 20));
    producer.commit();
    world.wait_until_received(truth.received);
    wait_until_lag_is_zero(&world);
    world.assert_holds(&truth);
    assert_eq!(holes(&world), 30 + 3, "the aborted records and three markers");
}

#[test]
fn a_partition_of_aborted_records_alone_is_read_to_its_end_and_a_new_worker_goes_on_there() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let producer = Transactional::new(&world);
    let _never_billed = producer.begin(1, 25);
    producer.abort();
    wait_until_lag_is_zero(&world);
    wait::until("the batch of holes", PATIENCE, || Ok((holes(&world) == 26).then_some(()))).unwrap();
    worker.kill().unwrap();

    let _next = world.worker();
    let truth = world.produce(Config { seed: 2, count: 40, ..Config::default() });
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
    assert_eq!(world.number("SELECT min(first) FROM batches WHERE topic = 'usage.events'"), 0);
    assert_eq!(holes(&world), 26);
}

/// What is written behind an open transaction waits for it: a reader is given nothing from its first record on.
#[test]
fn an_open_transaction_holds_back_what_follows_it_and_loses_nothing() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let mut truth = world.produce(Config { seed: 1, count: 10, ..Config::default() });
    world.wait_until_received(truth.received);
    let producer = Transactional::new(&world);
    let open = producer.begin(2, 20);
    let behind = world.produce(Config { seed: 3, count: 30, ..Config::default() });
    wait_until_completeness_passes(&world, complete_through(&world));
    assert_eq!(world.number("SELECT sum(received) FROM batches WHERE topic = 'usage.events'"), 10);
    assert_eq!(committed_and_end(&outside(&world)), (10, 60));

    producer.commit();
    truth.absorb(&open);
    truth.absorb(&behind);
    world.wait_until_received(truth.received);
    wait_until_lag_is_zero(&world);
    world.assert_holds(&truth);
    assert_eq!(holes(&world), 1);
}

/// The worker dies between the announcement of a batch of holes and the row that closes it.
#[test]
fn a_batch_of_holes_that_was_left_open_is_closed_by_the_next_worker() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let producer = Transactional::new(&world);
    let trap = world.proxy.once("INSERT INTO batches", tests::proxy::Action::Hold);
    let _never_billed = producer.begin(1, 25);
    producer.abort();
    trap.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    trap.discard();
    let mut next = world.worker();
    next.wait_for_line("Completing the announced batch [0, 26)", PATIENCE).unwrap();
    wait::until("the batch of holes", PATIENCE, || Ok((holes(&world) == 26).then_some(()))).unwrap();
    let truth = world.produce(Config { seed: 2, count: 40, ..Config::default() });
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

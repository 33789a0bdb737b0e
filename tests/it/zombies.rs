//! A worker that is frozen past its session and its lease, at the worst places, and goes on after another has taken
//! over; and traces that a simpler protocol would have lost or doubled records by.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tests::wait;
use traffic::{Config, Truth};

use crate::world::{FAULTS, Gate, PATIENCE, TOPIC, World};

const SESSION: &[&str] =
    &["--kafka-option", "session.timeout.ms=2000", "--kafka-option", "heartbeat.interval.ms=400"];
const LEASE: &str = "2s";

fn some_traffic(world: &World, seed: u64) -> Truth {
    world.produce(Config {
        seed,
        count: 500,
        duplicates_per_mille: 20,
        rejects_per_mille: 20,
        ..Config::default()
    })
}

fn worker(world: &World, faults: &str) -> tests::process::Process {
    world.recipe(LEASE, SESSION).variable(FAULTS, faults).start().unwrap()
}

fn closed_by_a_healer(world: &World) -> u64 {
    world.number("SELECT count() FROM batches WHERE topic = 'usage.events' AND healed = 1")
}

/// It has checked that the partition is its own, and sleeps before it sends the rows.
#[test]
fn a_zombie_that_wakes_between_the_check_and_the_insert_does_no_harm() {
    let world = World::start(1);
    drop(settled(&world));
    let gate = Gate::closed();
    let mut zombie = worker(&world, &format!("{TOPIC} post.insert.entries 1 {}", gate.hold()));
    let mut truth = some_traffic(&world, 1);
    zombie.wait_for_line("Fail point post.insert.entries", PATIENCE).unwrap();
    zombie.pause().unwrap();
    let _owner = worker(&world, "");
    world.wait_until_received(truth.received);
    assert!(closed_by_a_healer(&world) > 0);
    gate.open();
    zombie.resume().unwrap();
    zombie.wait_for_line("being recovered", PATIENCE).unwrap();
    truth.absorb(&some_traffic(&world, 2));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// It recovers another's batch, has announced it again and read back, and sleeps before it sends what is missing.
#[test]
fn a_zombie_that_wakes_between_the_check_and_the_healing_does_no_harm() {
    let world = World::start(1);
    drop(settled(&world));
    let mut first = worker(&world, &format!("{TOPIC} post.insert.entries 1 abort"));
    let mut truth = some_traffic(&world, 1);
    first.wait(PATIENCE).unwrap();
    let gate = Gate::closed();
    let mut zombie = worker(&world, &format!("{TOPIC} recover.read_back 1 {}", gate.hold()));
    zombie.wait_for_line("Fail point recover.read_back", PATIENCE).unwrap();
    zombie.pause().unwrap();
    let _owner = worker(&world, "");
    world.wait_until_received(truth.received);
    gate.open();
    zombie.resume().unwrap();
    zombie.wait_for_line("going on", PATIENCE).unwrap();
    truth.absorb(&some_traffic(&world, 2));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// A worker whose commit is checked but not sent yet keeps the next owner waiting: the revocation waits for the lock.
#[test]
fn a_commit_that_lands_late_lands_before_the_next_owner_begins() {
    let world = World::start(2);
    drop(settled(&world));
    let gate = Gate::closed();
    let mut slow = worker(&world, &format!("{TOPIC} commit.checked 1 {}", gate.hold()));
    let mut truth = some_traffic(&world, 1);
    slow.wait_for_line("Fail point commit.checked", PATIENCE).unwrap();
    let mut next = worker(&world, "");
    // The group rebalances: were there no lock, the next owner would have its partition and all of its records now.
    for _ in 0..3 {
        assert!(next.wait_for_line("usage.events/", Duration::from_secs(1)).is_err(), "{}", next.log());
    }
    assert_eq!(world.received(), 0);
    gate.open();
    next.wait_for_line("usage.events/", PATIENCE).unwrap();
    truth.absorb(&some_traffic(&world, 2));
    world.wait_until_received(truth.received);
    // Another round of owners reads what was committed last.
    drop(slow);
    truth.absorb(&some_traffic(&world, 3));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// The server has the token of the first try and no rows of it, as after a crash between the two.
#[test]
fn a_token_that_was_spent_without_effect_loses_nothing() {
    let world = World::start(1);
    drop(settled(&world));
    let mut first = worker(&world, &format!("{TOPIC} post.insert.entries 1 abort"));
    let event = r#"{"event_id":"e","request_id":"r","occurred_at":"2026-11-02T10:00:00Z","key":"k",
        "endpoint_family":"openai","provider":"openai","model":"gpt-5.5","status":200,
        "usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}"#;
    world.produce_one(event);
    first.wait(PATIENCE).unwrap();
    let ghost = |id: &str| {
        world.execute(&format!(
            "INSERT INTO entries (event_id, occurred_at, topic, offset, write_before) \
             SETTINGS insert_deduplication_token = 'usage.events/0/0-1/entries', async_insert = 0 \
             VALUES ('{id}', '2026-11-02 10:00:00', 'ghosts', 0, now64(3) + INTERVAL 1 DAY)"
        ));
        world.number(&format!("SELECT count() FROM entries WHERE event_id = '{id}'"))
    };
    assert_eq!(ghost("spends"), 1);
    assert_eq!(ghost("is spent"), 0, "the server takes the second for a repeat of the first");
    world.execute("ALTER TABLE entries DELETE WHERE topic = 'ghosts' SETTINGS mutations_sync = 2");
    let _healer = worker(&world, "");
    world.wait_until_received(1);
    assert_eq!(world.number("SELECT count() FROM entries WHERE event_id = 'e'"), 1);
}

/// An intent that an older decoder announced: this one completes it, and the batch names both.
#[test]
fn a_batch_that_another_version_of_the_decoder_announced_is_completed_and_says_so() {
    let world = World::start(1);
    drop(settled(&world));
    let mut first = worker(&world, &format!("{TOPIC} post.insert.entries 1 abort"));
    let truth = some_traffic(&world, 1);
    first.wait(PATIENCE).unwrap();
    let (offset, intent) = committed(&world);
    let older = intent.replace(r#""decoder":2"#, r#""decoder":0"#);
    assert_ne!(older, intent, "the intent names its decoder");
    commit(&world, offset, &older);
    let _next = worker(&world, "");
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
    let named =
        "SELECT count() FROM batches WHERE topic = 'usage.events' AND decoder = 0 AND decoder_closed = 2";
    assert_eq!(world.number(named), 1);
}

/// The second has the first one's name in the group: the first is shut out at once, whatever it has under way.
#[test]
fn of_two_workers_with_one_instance_id_the_later_goes_on_and_the_earlier_ends() {
    let world = World::start(2);
    drop(settled(&world));
    let named = [SESSION, &["--instance", "a"]].concat();
    let gate = Gate::closed();
    let held = format!("{TOPIC} post.insert.entries 1 {}", gate.hold());
    let mut earlier = world.recipe(LEASE, &named).variable(FAULTS, held).start().unwrap();
    let mut truth = some_traffic(&world, 1);
    earlier.wait_for_line("Fail point post.insert.entries", PATIENCE).unwrap();
    let _later = world.recipe(LEASE, &named).start().unwrap();
    world.wait_until_received(truth.received);
    gate.open();
    let status = earlier.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(earlier.log().contains("instance"), "{}", earlier.log());
    truth.absorb(&some_traffic(&world, 2));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// A worker that has seen the prices.
fn settled(world: &World) -> tests::process::Process {
    let worker = worker(world, "");
    world.wait_for_prices();
    worker
}

fn outsider(world: &World) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", world.broker.bootstrap()).set("group.id", "tollbook");
    config.create().unwrap()
}

fn committed(world: &World) -> (i64, String) {
    let mut list = TopicPartitionList::new();
    list.add_partition(TOPIC, 0);
    let list = outsider(world).committed_offsets(list, PATIENCE).unwrap();
    let element = list.find_partition(TOPIC, 0).unwrap();
    (element.offset().to_raw().unwrap(), element.metadata().to_owned())
}

/// Commits from outside the group, which its broker allows once it has no members any more.
fn commit(world: &World, offset: i64, metadata: &str) {
    let consumer = outsider(world);
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(TOPIC, 0);
    element.set_offset(Offset::Offset(offset)).unwrap();
    element.set_metadata(metadata);
    wait::until("the group to be empty", PATIENCE, || Ok(consumer.commit(&list, CommitMode::Sync).ok()))
        .unwrap();
}

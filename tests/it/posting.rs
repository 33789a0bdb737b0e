//! Records of a Kafka topic become entries, batches and sums.

use traffic::Config;

use crate::world::{PATIENCE, World};

/// By hand: 200 × 5 + 800 × 0.5 + 100 × 30 dollars a million = 0.001 + 0.0004 + 0.003 = 0.0044.
#[test]
fn one_event_over_kafka_becomes_an_entry_a_batch_and_a_sum() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    world.produce_one(
        r#"{"event_id":"e1","request_id":"r1","occurred_at":"2026-11-02T10:00:00Z","key":"k1","team":"search",
            "endpoint_family":"openai","provider":"openai","model":"gpt-5.5","status":200,
            "usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,
                     "prompt_tokens_details":{"cached_tokens":800}}}"#,
    );
    world.wait_until_received(1);
    assert_eq!(world.number("SELECT count() FROM entries WHERE event_id = 'e1' AND team = 'search'"), 1);
    assert_eq!(world.number("SELECT toUInt64(sum(cost) * 10000) FROM entries"), 44);
    assert_eq!(
        world.number("SELECT count() FROM batches WHERE topic = 'usage.events' AND first = 0 AND next = 1"),
        1
    );
}

#[test]
fn traffic_with_repeats_conflicts_and_broken_records_adds_up_to_the_last_digit() {
    let world = World::start(4);
    let _worker = world.worker();
    world.wait_for_prices();
    let truth = world.produce(Config {
        count: 20_000,
        duplicates_per_mille: 20,
        conflicts_per_mille: 5,
        rejects_per_mille: 20,
        tombstones: true,
        ..Config::default()
    });
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn two_workers_of_a_group_share_the_partitions_and_post_everything_once() {
    share_the_partitions(&["--kafka-option", "session.timeout.ms=6000"]);
}

#[test]
fn two_workers_under_the_group_protocol_of_the_broker_post_everything_once_too() {
    share_the_partitions(&["--kafka-option", "group.protocol=consumer"]);
}

/// A worker joins while the other is at work, and the first one leaves.
fn share_the_partitions(protocol: &[&str]) {
    let world = World::start(4);
    let mut first = world.worker_with(protocol);
    world.wait_for_prices();
    let mut truth = world.produce(Config { count: 5_000, ..Config::default() });
    let _second = world.worker_with(protocol);
    truth.absorb(&world.produce(Config { seed: 2, count: 5_000, ..Config::default() }));
    first.terminate().unwrap();
    let status = first.wait(PATIENCE).unwrap();
    assert!(status.success(), "a worker that is told to stop posts what it has read and ends well");
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

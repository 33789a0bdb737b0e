//! What happens to the group and its broker: members that come and go, partitions that are added, a broker that dies,
//! freezes, or keeps less beside an offset than an intent needs.

use std::time::Duration;

use tests::broker::Broker;
use tests::engine::Engine;
use tests::wait;
use traffic::{Config, Truth};

use crate::moments::{Moments, pass};
use crate::world::{FAULTS, Gate, PATIENCE, TOPIC, World, no_traffic};

const LEASE: &str = "2s";
const SESSION: &[&str] = &[
    "--kafka-option",
    "session.timeout.ms=2000",
    "--kafka-option",
    "heartbeat.interval.ms=400",
    "--kafka-option",
    "topic.metadata.refresh.interval.ms=1000",
    "--kafka-option",
    "reconnect.backoff.max.ms=500",
];

fn produce_some(world: &World, truth: &mut Truth) {
    let more = world.produce(Config {
        seed: truth.received + 1,
        count: 300,
        duplicates_per_mille: 20,
        conflicts_per_mille: 10,
        rejects_per_mille: 20,
        ..Config::default()
    });
    truth.absorb(&more);
}

#[test]
fn a_storm_of_members_that_come_and_go_with_batches_in_flight_loses_and_doubles_nothing() {
    let world = World::start(4);
    let mut moments = Moments::new();
    let start = || world.recipe(LEASE, SESSION).start().unwrap();
    let mut workers = vec![start()];
    world.wait_for_prices();
    let mut truth = no_traffic();
    for round in 0..10 {
        produce_some(&world, &mut truth);
        if round % 2 == 0 {
            workers.push(start());
            workers.push(start());
        } else {
            for _ in 0..2 {
                let leaving = workers.remove(0);
                leaving.terminate().unwrap();
                moments.pass(Duration::from_millis(300));
                drop(leaving);
            }
        }
        moments.pass(Duration::from_millis(500));
    }
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn partitions_that_are_added_while_a_worker_runs_are_read_from_their_beginning() {
    let world = World::start(1);
    let _worker = world.recipe(LEASE, SESSION).start().unwrap();
    world.wait_for_prices();
    let mut truth = no_traffic();
    produce_some(&world, &mut truth);
    world.broker.grow_topic(TOPIC, 3).unwrap();
    produce_some(&world, &mut truth);
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
    assert_eq!(world.number("SELECT uniqExact(partition) FROM batches WHERE topic = 'usage.events'"), 3);
}

#[test]
fn a_broker_that_is_killed_and_one_that_freezes_in_the_middle_of_a_commit_are_waited_for() {
    let mut world = World::start(2);
    drop(settled(&world));
    let mut truth = no_traffic();
    for freezes in [false, true] {
        let gate = Gate::closed();
        let fault = format!("{TOPIC} commit.checked 1 {}", gate.hold());
        let mut worker = world.recipe(LEASE, SESSION).variable(FAULTS, fault).start().unwrap();
        produce_some(&world, &mut truth);
        worker.wait_for_line("Fail point commit.checked", PATIENCE).unwrap();
        if freezes {
            world.broker.pause().unwrap();
            gate.open();
            // Longer than the session, which the broker ends when it goes on: what it does with the commit is unknown.
            pass(Duration::from_secs(3));
            world.broker.resume().unwrap();
        } else {
            world.broker.kill().unwrap();
            gate.open();
            world.broker.restart().unwrap();
        }
        world.wait_until_received(truth.received);
        world.assert_holds(&truth);
    }
}

#[test]
fn a_broker_that_keeps_too_little_beside_an_offset_is_named_with_the_remedy() {
    let broker = Broker::start_with(&[("offset.metadata.max.bytes", "64")]).unwrap();
    let world = World::start_on(1, broker, Engine::start().unwrap());
    let mut worker = world.recipe(LEASE, SESSION).start().unwrap();
    let line = worker.wait_for_line("offset.metadata.max.bytes", PATIENCE).unwrap();
    assert!(line.contains("4096"), "{line}");
    assert_eq!(world.number("SELECT count() FROM batches"), 0);
}

/// A worker that has seen the prices.
fn settled(world: &World) -> tests::process::Process {
    let worker = world.recipe(LEASE, SESSION).start().unwrap();
    world.wait_for_prices();
    worker
}

/// The second broker coordinates the group; both keep its offsets. What was committed to the first owner is found by
/// the second, and what was under way is uncertain.
#[test]
fn a_coordinator_that_moves_with_batches_in_flight_loses_and_doubles_nothing() {
    let (broker, mut second) = Broker::start_pair().unwrap();
    let world = World::start_on(4, broker, Engine::start().unwrap());
    let _workers = [(), ()].map(|()| world.recipe(LEASE, SESSION).start().unwrap());
    world.wait_for_prices();
    let mut truth = no_traffic();
    for _ in 0..2 {
        assert_eq!(world.broker.coordinator().unwrap(), 2);
        produce_some(&world, &mut truth);
        second.kill().unwrap();
        produce_some(&world, &mut truth);
        world.wait_until_received(truth.received);
        assert_eq!(world.broker.coordinator().unwrap(), 1);
        second.restart().unwrap();
        // It leads again once its copy is whole: another move, without a death.
        wait::until("the groups to move back", PATIENCE, || {
            produce_some(&world, &mut truth);
            Ok((world.broker.coordinator()? == 2).then_some(()))
        })
        .unwrap();
    }
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

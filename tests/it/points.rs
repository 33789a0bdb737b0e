//! A worker that dies at each named point of the protocol. Whatever the point, the next worker brings the partition to
//! the same entries. The cases share one world, so that each begins where the one before it has ended.

use schemas::command::{Command, PublishPrices};
use schemas::log::COMMANDS_TOPIC;
use tests::process::Process;
use traffic::{Config, Truth};

use crate::world::{FAULTS, Gate, PATIENCE, TOPIC, World, no_traffic};

/// Short, so that the next worker need not wait long for the dead one's place in the group.
const SESSION: &[&str] =
    &["--kafka-option", "session.timeout.ms=2000", "--kafka-option", "heartbeat.interval.ms=400"];
const LEASE: &str = "2s";

const POSTING: &[&str] = &[
    "post.begun",
    "commit.checked",
    "post.announced",
    "post.insert.quarantine",
    "post.insert.entries",
    "post.insert.batches",
    "post.closed",
];
const RECOVERING: &[&str] = &[
    "recover.open",
    "recover.waited",
    "recover.read",
    "recover.announced",
    "recover.settled",
    "recover.read_back",
    "recover.insert.quarantine",
    "recover.insert.entries",
    "recover.insert.batches",
    "recover.closed",
];

fn worker_under(world: &World, topic: &str, point: &str, action: &str) -> Process {
    let recipe = world.recipe(LEASE, SESSION).variable(FAULTS, format!("{topic} {point} 1 {action}"));
    recipe.start().unwrap()
}

fn produce_some(world: &World, truth: &mut Truth) {
    let more = world.produce(Config {
        seed: truth.received + 1,
        count: 300,
        duplicates_per_mille: 20,
        conflicts_per_mille: 20,
        rejects_per_mille: 60,
        tombstones: true,
        ..Config::default()
    });
    truth.absorb(&more);
}

/// The ledger after every case has as many rows as the truth says, so a case that breaks it is named.
fn settle(world: &World, case: &str, truth: &Truth) {
    let _worker = world.recipe(LEASE, SESSION).start().unwrap();
    world.wait_until_received(truth.received);
    assert_eq!(world.lost_and_doubled(truth), (0, 0), "lost and doubled after {case}");
}

#[test]
fn a_worker_that_is_killed_at_any_point_of_posting_leaves_nothing_out_and_nothing_twice() {
    let world = World::start(2);
    drop(settled(&world));
    let mut truth = no_traffic();
    for point in POSTING {
        let mut worker = worker_under(&world, TOPIC, point, "abort");
        produce_some(&world, &mut truth);
        assert!(!worker.wait(PATIENCE).unwrap().success(), "{point}");
        settle(&world, point, &truth);
    }
    world.assert_holds(&truth);
}

#[test]
fn a_worker_that_is_killed_at_any_point_of_recovery_leaves_nothing_out_and_nothing_twice() {
    let world = World::start(1);
    drop(settled(&world));
    let mut truth = no_traffic();
    for point in RECOVERING {
        let mut first = worker_under(&world, TOPIC, "post.insert.quarantine", "abort");
        produce_some(&world, &mut truth);
        first.wait(PATIENCE).unwrap();
        let mut second = worker_under(&world, TOPIC, point, "abort");
        second.wait_for_line(&format!("Fail point {point}"), PATIENCE).unwrap();
        second.wait(PATIENCE).unwrap();
        settle(&world, point, &truth);
    }
    world.assert_holds(&truth);
    assert!(world.number("SELECT count() FROM batches WHERE healed = 1") > 5);
}

#[test]
fn a_step_that_fails_is_taken_again_until_it_succeeds() {
    let world = World::start(1);
    drop(settled(&world));
    let mut truth = no_traffic();
    let faults: Vec<String> =
        POSTING.iter().chain(RECOVERING).map(|point| format!("{TOPIC} {point} 1 error")).collect();
    let _worker = world.recipe(LEASE, SESSION).variable(FAULTS, faults.join(";")).start().unwrap();
    for _ in 0..3 {
        produce_some(&world, &mut truth);
        world.wait_until_received(truth.received);
    }
    world.assert_holds(&truth);
}

/// What a command adds is there once, and its outcome is told once, whoever carries it out.
#[test]
fn a_worker_that_is_killed_at_any_point_of_a_command_leaves_it_carried_out_once() {
    let world = World::start(1);
    drop(settled(&world));
    let points = [
        "post.begun",
        "post.announced",
        "post.insert.model_rows",
        "post.insert.commands",
        "post.insert.batches",
        "post.closed",
    ];
    for (number, point) in points.iter().enumerate() {
        let mut worker = worker_under(&world, COMMANDS_TOPIC, point, "abort");
        let row = format!(
            r#"{{"id":"m{number}@1","provider":"acme","model":"m{number}","currency":"USD",
                "prices":[{{"unit":"input_uncached_tokens","amount":"2","per":"1000000"}}]}}"#
        );
        let publish = Command::PublishPrices(PublishPrices { rows: vec![row], based_on: None });
        let records = publish.to_records(point, "test").unwrap();
        world.send(COMMANDS_TOPIC, records.into_iter());
        assert!(!worker.wait(PATIENCE).unwrap().success(), "{point}");
        let next = world.recipe(LEASE, SESSION).start().unwrap();
        world.wait_for_number(
            &format!("SELECT count() FROM batches WHERE topic = '{COMMANDS_TOPIC}' AND next > {number} + 1"),
            1,
        );
        drop(next);
        let outcomes = format!("SELECT count() FROM commands WHERE command_id = '{point}'");
        let applied = format!("{outcomes} AND outcome = 'applied'");
        let rows = format!("SELECT count() FROM model_rows WHERE row_id = 'm{number}@1'");
        assert_eq!([outcomes, applied, rows].map(|sql| world.number(&sql)), [1, 1, 1], "{point}");
    }
}

/// By hand: a million tokens at 2 dollars a million are 2 dollars, at 3 dollars 3. The intent names the book, so the batch
/// keeps its price although another one holds when it is made again.
#[test]
fn a_price_that_changes_between_the_first_try_and_the_second_does_not_change_the_batch() {
    let world = World::start(1);
    let publish = |id: &str, amount: &str, year: &str| {
        let row = format!(
            r#"{{"id":"{id}","provider":"acme","model":"m","currency":"USD","effective_from":"{year}-01-01T00:00:00Z",
                "prices":[{{"unit":"input_uncached_tokens","amount":"{amount}","per":"1000000"}}]}}"#
        );
        Command::PublishPrices(PublishPrices { rows: vec![row], based_on: None })
    };
    let event = |id: &str| {
        format!(
            r#"{{"event_id":"{id}","request_id":"r","occurred_at":"2026-11-02T10:00:00Z","key":"k",
                "endpoint_family":"openai","provider":"acme","model":"m","status":200,
                "units":{{"input_uncached_tokens":1000000}}}}"#
        )
    };
    let mut first = settled(&world);
    assert_eq!(world.command("two", &publish("m@1", "2", "2020")).0, "applied");
    first.terminate().unwrap();
    first.wait(PATIENCE).unwrap();

    let mut killed = worker_under(&world, TOPIC, "post.insert.entries", "abort");
    world.produce_one(&event("before"));
    killed.wait(PATIENCE).unwrap();
    let gate = Gate::closed();
    let mut healer = worker_under(&world, TOPIC, "recover.open", &gate.hold());
    healer.wait_for_line("Fail point recover.open", PATIENCE).unwrap();
    let later = publish("m@2", "3", "2021");
    let (outcome, detail) = world.command("three", &later);
    assert_eq!(outcome, "applied", "{detail}");
    gate.open();
    world.wait_until_received(1);
    world.wait_for_prices_of(3);
    world.produce_one(&event("after"));
    world.wait_until_received(2);
    for (id, cost) in [("before", 2), ("after", 3)] {
        let sql = format!("SELECT toUInt64(sum(cost)) FROM entries WHERE event_id = '{id}'");
        assert_eq!(world.number(&sql), cost, "{id}");
    }
}

/// A worker that has seen the prices.
fn settled(world: &World) -> Process {
    let worker = world.recipe(LEASE, SESSION).start().unwrap();
    world.wait_for_prices();
    worker
}

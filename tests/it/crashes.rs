//! A crash at a named point: between intent and insert, during the insert, and after an answer that was lost. What
//! the next owner completes is what the first one announced.

use std::time::Duration;

use tests::proxy::Action;
use traffic::Config;

use crate::world::{PATIENCE, World};

const INSERT_ENTRIES: &str = "INSERT INTO entries";
const READ_BACK: &str = "The rows that a table holds of a range of offsets";
const INSERT_BATCH: &str = "INSERT INTO batches";

fn some_traffic(world: &World) -> traffic::Truth {
    world.produce(Config {
        count: 2_000,
        duplicates_per_mille: 20,
        conflicts_per_mille: 10,
        ..Config::default()
    })
}

#[test]
fn a_worker_killed_between_intent_and_insert_leaves_a_batch_that_the_next_one_completes() {
    let world = World::start(2);
    let mut worker = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    trap.discard();
    assert_eq!(world.number("SELECT count() FROM entries WHERE topic = 'usage.events'"), 0);
    let _next = world.worker();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
    assert!(world.number("SELECT count() FROM batches WHERE healed = 1") > 0);
}

#[test]
fn an_insert_of_a_killed_worker_that_arrives_late_is_refused_or_counted_but_never_doubled() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    let _next = world.worker();
    world.wait_until_received(truth.received);
    // The lease of the first worker is long over: the server refuses its rows.
    trap.release();
    world.assert_holds(&truth);
}

/// The first worker's rows arrive within its lease, while the next one has just read that the table has none of
/// them. With the wait, the next one reads only after the lease, when they can arrive no more; the lease is the first
/// one's, which its intent names, and not the next one's shorter own.
#[test]
fn a_new_owner_reads_back_only_when_the_old_one_can_write_no_more() {
    const SESSION: &[&str] = &["--kafka-option", "session.timeout.ms=6000"];
    let world = World::start(1);
    let mut worker = world.worker_under("15s", SESSION);
    world.wait_for_prices();
    let held = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    let truth = some_traffic(&world);
    held.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    // The quarantine is read back first, then the entries.
    let quarantine = world.proxy.once(READ_BACK, Action::HoldAnswer);
    let _next = world.worker_under("2s", SESSION);
    quarantine.wait(PATIENCE).unwrap();
    let entries = world.proxy.once(READ_BACK, Action::HoldAnswer);
    quarantine.release();
    entries.wait(PATIENCE).unwrap();
    held.release();
    // Whatever was released has reached the store before these questions have.
    for _ in 0..50 {
        world.number("SELECT count() FROM system.processes");
    }
    entries.release();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn an_engine_killed_between_intent_and_insert_is_waited_for_and_everything_is_posted_once() {
    let mut world = World::start(2);
    let mut worker = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    world.engine.kill().unwrap();
    trap.release();
    worker.wait_for_line("being recovered", PATIENCE).unwrap();
    world.engine.restart().unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn an_answer_that_is_lost_after_the_insert_is_read_back_and_not_sent_again() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let entries = world.proxy.once(INSERT_ENTRIES, Action::LoseAnswer);
    let batch = world.proxy.once(INSERT_BATCH, Action::LoseAnswer);
    let truth = some_traffic(&world);
    entries.wait(PATIENCE).unwrap();
    batch.wait(PATIENCE).unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn a_worker_that_was_stopped_past_its_lease_and_continued_does_no_harm() {
    let world = World::start(1);
    let zombie = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    zombie.pause().unwrap();
    let _owner = world.worker();
    world.wait_until_received(truth.received);
    zombie.resume().unwrap();
    trap.release();
    let more = world.produce(Config { seed: 9, count: 500, ..Config::default() });
    let mut all = truth;
    all.absorb(&more);
    world.wait_until_received(all.received);
    world.assert_holds(&all);
}

#[test]
fn a_slow_answer_past_the_lease_makes_the_worker_read_back_and_go_on() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Delay(Duration::from_secs(4)));
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn a_row_that_the_store_refuses_is_found_and_quarantined_alone() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let refuse = "ALTER TABLE entries ADD CONSTRAINT picky CHECK event_id != 'refused'";
    world.runtime.block_on(world.store().query(refuse).execute()).unwrap();
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    let mut truth = world.produce(Config { count: 20, ..Config::default() });
    trap.wait(PATIENCE).unwrap();
    // Repeats make no rows, so they must not stand in the way of the one that is looked for.
    let repeats = Config { seed: 3, count: 100, duplicates_per_mille: 300, ..Config::default() };
    truth.absorb(&world.produce(repeats));
    let refused = truth.received;
    world.produce_one(
        r#"{"event_id":"refused","request_id":"r","occurred_at":"2026-11-02T10:00:00Z","key":"k",
            "endpoint_family":"openai","provider":"openai","model":"gpt-5.5","status":200,
            "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
    );
    truth.absorb(&world.produce(Config { seed: 2, count: 40, ..Config::default() }));
    truth.received += 1;
    *truth.quarantined.entry("unpostable").or_default() += 1;
    trap.release();
    let line = format!("The store refuses the record at offset {refused}");
    worker.wait_for_line(&line, PATIENCE).unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn a_store_that_was_emptied_behind_a_committed_offset_makes_the_worker_refuse_to_go_on() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let mut truth = some_traffic(&world);
    world.wait_until_received(truth.received);
    truth.absorb(&world.produce(Config { seed: 2, count: 100, ..Config::default() }));
    world.wait_until_received(truth.received);
    worker.terminate().unwrap();
    worker.wait(PATIENCE).unwrap();
    for table in ["entries", "batches", "quarantine"] {
        let truncate =
            format!("ALTER TABLE {table} DELETE WHERE topic = 'usage.events' SETTINGS mutations_sync = 2");
        world.runtime.block_on(world.store().query(&truncate).execute()).unwrap();
    }
    let mut refusing = world.worker();
    refusing.wait_for_line("the store was emptied or is another one", PATIENCE).unwrap();
    let status = refusing.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(1));
}

//! Answers of the store that are lost, late or untrue, and batches of an awkward shape.

use std::time::Duration;

use ledger::event::Millis;
use tests::proxy::Action;
use tests::wait;
use traffic::{Config, Truth};

use crate::world::{PATIENCE, World};

const INSERT_ENTRIES: &str = "INSERT INTO entries";
/// What ClickHouse answers where it finds out too late for a status: an exception behind a good beginning.
const EXCEPTION_INSIDE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\n\
     X-ClickHouse-Exception-Tag: abcdefghijklmnop\r\nContent-Length: 135\r\nConnection: close\r\n\r\n\
     \r\n__exception__\r\nabcdefghijklmnop\r\n\
     Code: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT)\n64 abcdefghijklmnop\r\n__exception__\r\n";
const EXCEPTION_IN_A_HEADER: &str =
    "HTTP/1.1 200 OK\r\nX-ClickHouse-Exception-Code: 241\r\nContent-Length: 0\r\n\r\n";
const RUNNING: &str =
    "SELECT count() FROM system.processes WHERE startsWith(query_id, 'tollbook/usage.events/')";
const MONTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);

fn some_traffic(world: &World) -> Truth {
    world.produce(Config { count: 500, duplicates_per_mille: 20, rejects_per_mille: 20, ..Config::default() })
}

#[test]
fn an_exception_inside_a_good_answer_is_no_good_answer() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let mut truth = some_traffic(&world);
    world.wait_until_received(truth.received);
    for (seed, answer) in [(2, EXCEPTION_INSIDE), (3, EXCEPTION_IN_A_HEADER)] {
        let trap = world.proxy.once(INSERT_ENTRIES, Action::Answer(answer));
        truth.absorb(&world.produce(Config { seed, count: 300, ..Config::default() }));
        trap.wait(PATIENCE).unwrap();
        world.wait_until_received(truth.received);
    }
    worker.wait_for_nth_line("A round is uncertain", 2, PATIENCE).unwrap();
    world.assert_holds(&truth);
}

#[test]
fn an_insert_that_breaks_off_in_the_middle_of_its_body_is_sent_again_whole() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let tables = ["INSERT INTO quarantine", INSERT_ENTRIES, "INSERT INTO batches"];
    let traps = tables.map(|insert| world.proxy.once(insert, Action::CutInHalf));
    let truth = some_traffic(&world);
    for trap in traps {
        trap.wait(PATIENCE).unwrap();
    }
    worker.wait_for_line("A round is uncertain", PATIENCE).unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// The insert goes on in the store while its connection is gone: recovery waits for its end before it reads back.
#[test]
fn an_insert_that_still_runs_when_its_connection_is_gone_is_waited_for() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    world.execute("ALTER TABLE entries ADD CONSTRAINT slow CHECK sleep(1.5) = 0");
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Abandon);
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    worker.wait_for_line("A round is uncertain", PATIENCE).unwrap();
    world.execute("ALTER TABLE entries DROP CONSTRAINT slow");
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// Longer than the worker waits for the answer of an insert: when the store wakes, the insert is still running there.
#[test]
fn an_insert_that_outlasts_its_timeout_because_the_store_is_frozen_is_found() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    world.execute("ALTER TABLE entries ADD CONSTRAINT slow CHECK sleep(1.5) = 0");
    let truth = some_traffic(&world);
    wait::until("a running insert", PATIENCE, || Ok((world.number(RUNNING) > 0).then_some(()))).unwrap();
    world.engine.pause().unwrap();
    worker.wait_for_line("A round is uncertain", PATIENCE).unwrap();
    world.engine.resume().unwrap();
    world.execute("ALTER TABLE entries DROP CONSTRAINT slow");
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn an_engine_that_is_killed_in_the_middle_of_an_insert_and_at_its_start_loses_nothing() {
    let mut world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    world.execute("ALTER TABLE entries ADD CONSTRAINT slow CHECK sleep(1.5) = 0");
    let mut truth = some_traffic(&world);
    wait::until("a running insert", PATIENCE, || Ok((world.number(RUNNING) > 0).then_some(()))).unwrap();
    world.engine.kill().unwrap();
    for _ in 0..3 {
        world.engine.kill_at_start().unwrap();
    }
    world.engine.restart().unwrap();
    world.execute("ALTER TABLE entries DROP CONSTRAINT slow");
    truth.absorb(&world.produce(Config { seed: 2, count: 300, ..Config::default() }));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// Recovery asks more often than fits into a lease of two seconds: it renews the lease before it sends.
#[test]
fn an_engine_that_is_slow_at_everything_is_waited_for() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let lost = world.proxy.once(INSERT_ENTRIES, Action::LoseAnswer);
    let truth = some_traffic(&world);
    lost.wait(PATIENCE).unwrap();
    let slow = world.proxy.always("", Action::Delay(Duration::from_millis(400)));
    world.wait_until_received(truth.received);
    drop(slow);
    world.assert_holds(&truth);
}

/// Many other inserts come between the insert whose answer is lost and its repetition, so that the server has forgotten
/// the token.
#[test]
fn a_retry_after_the_server_has_forgotten_the_token_doubles_nothing() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    for table in ["entries", "quarantine", "batches"] {
        world.execute(&format!("ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 1"));
    }
    let trap = world.proxy.once(INSERT_ENTRIES, Action::LoseAnswer);
    let truth = some_traffic(&world);
    trap.wait(PATIENCE).unwrap();
    for number in 0..3 {
        world.execute(&format!(
            "INSERT INTO entries (event_id, occurred_at, topic, offset, write_before) \
             SETTINGS insert_deduplication_token = 'other-{number}', async_insert = 0 \
             VALUES ('other', '2026-11-02 10:00:00', 'ghosts', 0, now64(3) + INTERVAL 1 DAY)"
        ));
    }
    world.execute("ALTER TABLE entries DELETE WHERE topic = 'ghosts' SETTINGS mutations_sync = 2");
    worker.wait_for_line("A round is uncertain", PATIENCE).unwrap();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// Two parts, of which a crash may leave one: here the answer of both is lost.
#[test]
fn a_batch_over_two_months_and_one_over_more_than_a_hundred_are_whole() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let mut truth = Truth::new(traffic::Prices::built_in().unwrap());
    // From 2026-10-31T23:50 for twenty minutes; then from 2016-01-01 for 125 months.
    for (seed, start, spread) in
        [(1, 1_793_490_600_000, Duration::from_secs(20 * 60)), (2, 1_451_606_400_000, MONTH * 125)]
    {
        let trap = world.proxy.once(INSERT_ENTRIES, Action::LoseAnswer);
        truth.absorb(&world.produce(Config {
            seed,
            count: 600,
            start: Millis(start),
            spread,
            ..Config::default()
        }));
        trap.wait(PATIENCE).unwrap();
        world.wait_until_received(truth.received);
    }
    world.assert_holds(&truth);
    assert!(
        world.number("SELECT uniqExact(toYYYYMM(occurred_at)) FROM entries WHERE topic = 'usage.events'")
            > 100
    );
}

//! Repeats that the window does not reach are posted, found by a search over all partitions, and reversed once, so that
//! every sum is that of the first record of each id alone.

use std::time::Duration;

use api::audit::{Check, Sweep};
use futures::future::BoxFuture;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::log::{self, Log, NewRecord, Position};
use tests::proxy::Action;

use crate::world::{FULL, PATIENCE, World};

const TOPIC: &str = "usage.events";
const INSERT_ENTRIES: &str = "INSERT INTO entries";
/// A window of five records, and a session that ends soon after its worker was killed.
const SHORT_WINDOW: &[&str] = &["--dedup-window", "5", "--kafka-option", "session.timeout.ms=6000"];

/// The log as the audit appends to it.
#[derive(Debug)]
struct Appender(String);

impl Appender {
    fn send(&self, topic: &str, partition: i32, values: &[Vec<u8>]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.0)
            .set("enable.idempotence", "true")
            .create()
            .unwrap();
        for value in values {
            let record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(topic).partition(partition).payload(value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }
}

impl Log for Appender {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'a, Result<Vec<Position>, log::Error>> {
        let values: Vec<Vec<u8>> = records.into_iter().filter_map(|record| record.value).collect();
        self.send(topic, 0, &values);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), log::Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// An event of 10 input tokens at 5 dollars a million and `output` output tokens at 30.
fn event(id: &str, output: u32) -> Vec<u8> {
    format!(
        r#"{{"event_id":"{id}","request_id":"r-{id}","occurred_at":"2026-11-02T10:00:00Z","key":"k",
            "endpoint_family":"openai","provider":"openai","model":"gpt-5.5","status":200,
            "usage":{{"prompt_tokens":10,"completion_tokens":{output},"total_tokens":{}}}}}"#,
        10 + output
    )
    .into_bytes()
}

/// An event of two models: two entries.
fn advised(id: &str) -> Vec<u8> {
    format!(
        r#"{{"event_id":"{id}","request_id":"r-{id}","occurred_at":"2026-11-02T10:00:00Z","key":"k",
            "endpoint_family":"anthropic","provider":"anthropic","model":"claude-haiku-4-5","status":200,
            "usage":{{"input_tokens":3,"output_tokens":1,"iterations":[
                {{"type":"message","input_tokens":3,"output_tokens":1}},
                {{"type":"advisor_message","model":"claude-opus-5-5","input_tokens":5,"output_tokens":2}}]}}}}"#
    )
    .into_bytes()
}

fn sweep(world: &World, wait: Duration) -> Sweep {
    let log = Appender(world.broker.bootstrap().to_owned());
    world.runtime.block_on(api::audit::reverse_repeats(&world.store(), &log, "test", wait)).unwrap()
}

/// Attempts, requests, input and output tokens, and cost, over all entries.
fn totals(world: &World) -> (i64, i64, i64, i64, String) {
    world
        .runtime
        .block_on(
            world
                .store()
                .query(
                    "SELECT sum(attempts), sum(requests), sum(input_uncached_tokens), sum(output_text_tokens), \
                     toString(sum(toDecimal256(cost, 18))) FROM entries",
                )
                .fetch_one(),
        )
        .unwrap()
}

/// Six of the nineteen records repeat an id: two in another partition, four beyond the window, one of those with other
/// content; one of them is the third of its id, and one made two entries.
fn produce_repeats(world: &World) {
    let log = Appender(world.broker.bootstrap().to_owned());
    let mut first =
        vec![event("far", 5), event("thrice", 5), event("clash", 5), event("across", 5), advised("advised")];
    first.extend((0..8).map(|filler| event(&format!("filler-{filler}"), 5)));
    log.send(TOPIC, 0, &first);
    log.send(TOPIC, 1, &[event("thrice", 5), event("across", 5)]);
    log.send(TOPIC, 0, &[event("far", 5), event("clash", 7), advised("advised"), event("thrice", 5)]);
    world.wait_until_received(19);
}

/// 13 ids: 12 of 10 × 0.000005 + 5 × 0.00003 = 0.0002 each, and one of two models: 3 × 0.000001 + 1 × 0.000005 and
/// 5 × 0.000004 + 2 × 0.00002, together 0.000068.
const IDS: i64 = 13;
const INPUT: i64 = 12 * 10 + 3 + 5;
const OUTPUT: i64 = 12 * 5 + 1 + 2;
const COST: &str = "0.002468";

#[test]
fn repeats_beyond_the_window_are_reversed_once_and_the_first_of_each_id_stays() {
    let world = World::start(2);
    let _worker = world.worker_with(SHORT_WINDOW);
    world.wait_for_prices();
    produce_repeats(&world);
    assert_eq!(totals(&world).0, 19);

    // Two audits at once: both find all six, and each is reversed once.
    let log = Appender(world.broker.bootstrap().to_owned());
    let store = world.store();
    let one = api::audit::reverse_repeats(&store, &log, "one", PATIENCE);
    let other = api::audit::reverse_repeats(&store, &log, "other", PATIENCE);
    let (one, other) = world.runtime.block_on(futures::future::try_join(one, other)).unwrap();
    assert_eq!((one.repeats, one.carried_out, other.repeats, other.carried_out), (6, true, 6, true));

    assert_eq!(totals(&world), (IDS, IDS, INPUT, OUTPUT, COST.to_owned()));
    let reversals = "SELECT count() FROM entries WHERE kind = 'reversal'";
    assert_eq!(world.number(reversals), 7);
    assert_eq!(world.number(&format!("{reversals} AND reason = 'conflict'")), 1);
    let report = world.runtime.block_on(api::audit::run_with(&store, FULL)).unwrap();
    assert!(report.clean, "{report}");
    let reversed: Vec<(&str, u32, u64, u64)> = report
        .partitions
        .iter()
        .map(|found| (found.topic.as_str(), found.partition, found.reversed, found.reversed_conflicts))
        .collect();
    assert_eq!(reversed, [("tollbook.commands", 0, 0, 0), (TOPIC, 0, 4, 1), (TOPIC, 1, 2, 0)]);

    // What was searched is not searched again, and one more repeat is found among the new.
    assert_eq!(sweep(&world, PATIENCE), Sweep { carried_out: true, ..Sweep::default() });
    log.send(TOPIC, 1, &[event("far", 5)]);
    world.wait_until_received(20);
    let found = sweep(&world, PATIENCE);
    assert_eq!((found.records, found.repeats, found.carried_out), (1, 1, true));
    assert_eq!(totals(&world), (IDS, IDS, INPUT, OUTPUT, COST.to_owned()));

    // A reversal that was tampered with is found.
    let tamper = "ALTER TABLE entries UPDATE cost = -1 WHERE kind = 'reversal' AND event_id = 'clash'";
    world.runtime.block_on(store.query(tamper).with_setting("mutations_sync", "2").execute()).unwrap();
    let report = world.runtime.block_on(api::audit::run(&store)).unwrap();
    let found = report.differences.iter().find(|difference| difference.check == Check::Reversal).unwrap();
    assert_eq!((found.topic.as_deref(), found.partition, found.offset), (Some(TOPIC), Some(0), Some(14)));
}

/// What a reversal copies, and what it negates, is written down column by column.
#[test]
fn every_column_of_entries_that_is_summed_is_negated_in_a_reversal() {
    const REVERSALS: &str = include_str!("../../schemas/clickhouse/queries/reversals.sql");
    let world = World::start(1);
    let columns: Vec<String> = world
        .runtime
        .block_on(
            world
                .store()
                .query(
                    "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'entries' \
                     AND (type LIKE '%Decimal%' OR type IN ('Int8', 'Int64')) AND name NOT LIKE '%\\_price'",
                )
                .fetch_all(),
        )
        .unwrap();
    assert!(columns.len() > 15, "{columns:?}");
    for column in columns {
        let is_negated = REVERSALS.lines().any(|line| {
            line.contains("negate(") && line.trim_end_matches(',').ends_with(&format!(" AS {column}"))
        });
        assert!(is_negated, "schemas/clickhouse/queries/reversals.sql does not negate {column}");
    }
}

#[test]
fn a_worker_killed_between_the_command_and_its_rows_leaves_a_reversal_that_the_next_one_completes() {
    let world = World::start(2);
    let mut worker = world.worker_with(SHORT_WINDOW);
    world.wait_for_prices();
    produce_repeats(&world);
    let trap = world.proxy.once(INSERT_ENTRIES, Action::Hold);
    assert!(!sweep(&world, Duration::ZERO).carried_out);
    trap.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    trap.discard();
    assert_eq!(totals(&world).0, 19);
    // The next one sends the rows and gets no answer: it reads them back and sends none again.
    let lost = world.proxy.once(INSERT_ENTRIES, Action::LoseAnswer);
    let _next = world.worker_with(SHORT_WINDOW);
    lost.wait(PATIENCE).unwrap();
    let command = "SELECT count() FROM commands WHERE name = 'reverse_repeats' AND outcome = 'applied'";
    tests::wait::until("the reversal", PATIENCE, || Ok((world.number(command) == 1).then_some(()))).unwrap();
    assert_eq!(totals(&world), (IDS, IDS, INPUT, OUTPUT, COST.to_owned()));
    // The command's batch is closed after its row is there.
    let closed =
        "SELECT count() FROM batches WHERE topic = 'tollbook.commands' AND healed = 1 AND entry_rows = 7";
    tests::wait::until("the closed batch", PATIENCE, || Ok((world.number(closed) == 1).then_some(())))
        .unwrap();
    let report = world.runtime.block_on(api::audit::run_with(&world.store(), FULL)).unwrap();
    assert!(report.clean, "{report}");
}

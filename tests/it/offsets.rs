//! Offsets that are not the plain case: holes that transactions leave, and logs that are no longer what they were.
//! Each is named and either carried on over, provably, or refused with a way out.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tests::process::{Finished, Process, Recipe};
use tests::proxy::Action;
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
    of_group(world, GROUP)
}

fn of_group(world: &World, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", world.broker.bootstrap())
        .set("group.id", group)
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
    let trap = world.proxy.once("INSERT INTO batches", Action::Hold);
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

/// Runs `tollbook audit --repair` on the world's log and store.
fn repair(world: &World, arguments: &[&str]) -> Finished {
    Recipe::tollbook("audit")
        .unwrap()
        .arguments(["--repair", "--kafka", world.broker.bootstrap(), "--lease", "2s"])
        .arguments(["--clickhouse", &world.engine.url(), "--clickhouse-password", world.engine.password()])
        .arguments(["--actor", "ana", "--reason", "after the incident"])
        .arguments(arguments.iter().copied())
        .run(PATIENCE)
        .unwrap()
}

fn stop(mut worker: Process) {
    worker.terminate().unwrap();
    assert!(worker.wait(PATIENCE).unwrap().success());
}

/// Sets a group to an offset as an administrator's tool does: with nothing beside it.
fn reset(world: &World, group: &str, topic: &str, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    of_group(world, group).commit(&list, CommitMode::Sync).unwrap();
}

/// A worker that refuses to go on, and says so in such a line.
fn assert_refuses(world: &World, needle: &str) -> String {
    let mut worker = world.worker();
    let line = worker.wait_for_line(needle, PATIENCE).unwrap();
    assert_eq!(worker.wait(PATIENCE).unwrap().code(), Some(1));
    line
}

fn admin(world: &World) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", world.broker.bootstrap()).create().unwrap()
}

/// Deletes the records of the usage partition before that offset, as retention does.
fn delete_records(world: &World, before: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Offset(before)).unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    world.runtime.block_on(admin(world).delete_records(&list, &options)).unwrap();
}

fn recreate_topic(world: &World) {
    world.broker.delete_topic(TOPIC).unwrap();
    world.broker.create_topic(TOPIC, 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
}

/// A ledger that has posted some traffic, and the worker that did.
fn posted(count: u64) -> (World, Process, Truth) {
    let world = World::start(1);
    let worker = world.worker();
    world.wait_for_prices();
    let truth = world.produce(Config { seed: 1, count, ..Config::default() });
    world.wait_until_received(truth.received);
    (world, worker, truth)
}

#[test]
fn offsets_that_an_administrator_set_back_or_ahead_are_refused_and_repaired_to_where_the_ledger_ends() {
    let (world, worker, mut truth) = posted(100);
    stop(worker);
    truth.absorb(&world.produce(Config { seed: 2, count: 50, ..Config::default() }));
    for (round, offset) in [(3, 10), (4, 200)] {
        reset(&world, GROUP, TOPIC, offset);
        let line = assert_refuses(&world, "is not Tollbook's");
        assert!(line.contains("tollbook audit --repair"), "{line}");
        let unasked = repair(&world, &[]);
        assert!(!unasked.status.success() && unasked.stderr.contains("--yes"), "{}", unasked.stderr);
        let said = repair(&world, &["--yes"]).success().unwrap();
        assert!(said.contains("repair: set the group to offset"), "{said}");
        let worker = world.worker();
        truth.absorb(&world.produce(Config { seed: round, count: 20, ..Config::default() }));
        world.wait_until_received(truth.received);
        world.assert_holds(&truth);
        stop(worker);
        // The other round begins where the ledger ends after this one.
        if round == 3 {
            truth.absorb(&world.produce(Config { seed: 9, count: 30, ..Config::default() }));
        }
    }
    let recorded = "SELECT count() FROM commands WHERE name = 'record_repair' AND outcome = 'applied' \
                    AND actor = 'ana' AND position(body, 'after the incident') > 0";
    let _worker = world.worker();
    wait::until("the records of the repairs", PATIENCE, || Ok((world.number(recorded) == 2).then_some(())))
        .unwrap();
    let said = world.number("SELECT count() FROM commands WHERE name = 'record_repair'");
    assert_eq!(said, 2, "each is recorded once");
}

#[test]
fn a_repair_is_refused_while_a_worker_runs_and_does_nothing_where_all_agree() {
    let (world, worker, truth) = posted(50);
    let refused = repair(&world, &["--yes"]);
    assert!(!refused.status.success() && refused.stderr.contains("stop every worker"), "{}", refused.stderr);
    stop(worker);
    let said = repair(&world, &["--yes"]).success().unwrap();
    assert!(said.contains("There is nothing to repair"), "{said}");
    assert_eq!(world.number("SELECT count() FROM repairs"), 0);
    world.assert_holds(&truth);
}

#[test]
fn a_group_that_expired_is_set_to_where_the_ledger_ends() {
    let (world, worker, mut truth) = posted(100);
    stop(worker);
    let options = AdminOptions::new();
    world.runtime.block_on(admin(&world).delete_groups(&[GROUP], &options)).unwrap();
    let line = assert_refuses(&world, "no offset is committed");
    assert!(line.contains("tollbook audit --repair"), "{line}");
    repair(&world, &["--yes"]).success().unwrap();
    let _worker = world.worker();
    truth.absorb(&world.produce(Config { seed: 2, count: 50, ..Config::default() }));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// The entries are in, the batch is not closed, and what was announced is wiped: set before the rows, the group would
/// have them posted twice.
#[test]
fn rows_whose_announcement_was_wiped_are_announced_again_and_not_doubled() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once("INSERT INTO batches", Action::Hold);
    let mut truth = world.produce(Config { seed: 1, count: 200, ..Config::default() });
    trap.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    trap.discard();
    assert!(world.number("SELECT count() FROM entries") > 0);
    let wiped = || {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, 0, Offset::Offset(0)).unwrap();
        Ok(outside(&world).commit(&list, CommitMode::Sync).ok())
    };
    wait::until("the session of the killed worker to end", PATIENCE, wiped).unwrap();
    assert_refuses(&world, "is not Tollbook's");
    let said = repair(&world, &["--yes"]).success().unwrap();
    assert!(said.contains("repair: announce [0, "), "{said}");
    let _next = world.worker();
    truth.absorb(&world.produce(Config { seed: 2, count: 50, ..Config::default() }));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

#[test]
fn records_that_retention_removed_unposted_are_named_and_closed_as_an_acknowledged_loss() {
    let (world, mut worker, mut truth) = posted(100);
    worker.pause().unwrap();
    let _lost = world.produce(Config { seed: 2, count: 30, ..Config::default() });
    delete_records(&world, 130);
    truth.absorb(&world.produce(Config { seed: 3, count: 20, ..Config::default() }));
    worker.resume().unwrap();
    let line = worker.wait_for_line("offsets 100 to 130 are gone", PATIENCE).unwrap();
    assert!(line.contains("tollbook audit --repair"), "{line}");
    assert_eq!(worker.wait(PATIENCE).unwrap().code(), Some(1));

    let said = repair(&world, &["--yes"]).success().unwrap();
    assert!(said.contains("close [100, 130)") && said.contains("30 offsets are lost"), "{said}");
    let _next = world.worker();
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
    let report = world.runtime.block_on(api::audit::run(&world.store())).unwrap();
    let [loss] = &report.losses[..] else { panic!("{report}") };
    assert_eq!((loss.first, loss.next, loss.lost), (100, 130, 30));
    assert_eq!((&*loss.acknowledged_by, &*loss.reason), ("ana", "after the incident"));
    assert!(report.to_string().contains("clean, but for 1 acknowledged losses"), "{report}");
}

/// A part of the announced batch is in the ledger when its records are removed: that part stays and counts.
#[test]
fn an_open_batch_whose_records_are_gone_keeps_the_rows_that_are_in() {
    let world = World::start(1);
    let mut worker = world.worker();
    world.wait_for_prices();
    let trap = world.proxy.once("INSERT INTO batches", Action::Hold);
    let mut truth = world.produce(Config { seed: 1, count: 60, ..Config::default() });
    trap.wait(PATIENCE).unwrap();
    worker.kill().unwrap();
    trap.discard();
    let rows = world.number("SELECT count() FROM entries");
    delete_records(&world, 60);
    assert_refuses(&world, "retention overtook it");
    let said = repair(&world, &["--yes"]).success().unwrap();
    assert!(said.contains("close [0, 60)"), "{said}");
    let _next = world.worker();
    let more = world.produce(Config { seed: 2, count: 40, ..Config::default() });
    world.wait_until_received(rows + more.received);
    truth.absorb(&more);
    let report = world.runtime.block_on(api::audit::run(&world.store())).unwrap();
    assert!(report.clean, "{report}");
    assert_eq!(world.number("SELECT count() FROM entries"), rows + more.accepted);
    assert_eq!(report.losses.iter().map(|loss| loss.lost).sum::<u64>(), 60 - rows, "{report}");
}

#[test]
fn a_topic_that_was_made_anew_is_refused_with_the_way_out_whether_it_is_shorter_or_longer() {
    let (world, worker, truth) = posted(100);
    stop(worker);
    recreate_topic(&world);
    world.produce(Config { seed: 2, count: 10, ..Config::default() });
    let line = assert_refuses(&world, "the topic was recreated");
    assert!(line.contains("--topic NAME"), "{line}");
    world.produce(Config { seed: 3, count: 200, ..Config::default() });
    assert_refuses(&world, "the topic was recreated");
    let refused = repair(&world, &["--yes"]);
    assert!(!refused.status.success() && refused.stdout.contains("--topic NAME"), "{}", refused.stdout);
    assert_eq!(world.number("SELECT count() FROM repairs"), 0);
    world.assert_holds(&truth);

    world.broker.create_topic("usage.again", 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
    let _worker = world.worker_with(&["--topic", "usage.again"]);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", world.broker.bootstrap()).create().unwrap();
    for event in Traffic::new(Config { seed: 4, count: 25, ..Config::default() }) {
        let value = event.json().unwrap().unwrap();
        producer
            .send(BaseRecord::<(), _>::to("usage.again").payload(&value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    wait::until("the other topic", PATIENCE, || {
        let received = world.number("SELECT sum(received) FROM batches WHERE topic = 'usage.again'");
        Ok((received == 25).then_some(()))
    })
    .unwrap();
}

/// The client library reads on in the new log at the old offset, and says nothing.
#[test]
fn a_topic_that_is_made_anew_under_a_running_worker_is_never_read_on_in_silence() {
    let (world, mut worker, truth) = posted(5);
    recreate_topic(&world);
    world.produce(Config { seed: 2, count: 300, ..Config::default() });
    worker.wait_for_line("The worker ends", PATIENCE).unwrap();
    assert_eq!(worker.wait(PATIENCE).unwrap().code(), Some(1));
    assert!(worker.log().contains("the topic was recreated"), "{}", worker.log());
    world.assert_holds(&truth);
}

#[test]
fn a_topic_that_is_deleted_for_good_is_named_while_the_worker_runs() {
    let (world, mut worker, truth) = posted(20);
    world.broker.delete_topic(TOPIC).unwrap();
    worker.wait_for_line("it does not exist", PATIENCE).unwrap();
    world.assert_holds(&truth);
}

#[test]
fn partitions_that_are_added_while_the_worker_runs_are_read_from_their_beginning() {
    let world = World::start(1);
    let _worker = world.worker_with(&["--kafka-option", "topic.metadata.refresh.interval.ms=500"]);
    world.wait_for_prices();
    let mut truth = world.produce(Config { seed: 1, count: 100, ..Config::default() });
    world.wait_until_received(truth.received);
    world.broker.grow_topic(TOPIC, 3).unwrap();
    truth.absorb(&world.produce(Config { seed: 2, count: 300, ..Config::default() }));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
    assert_eq!(world.number("SELECT uniqExact(partition) FROM batches WHERE topic = 'usage.events'"), 3);
}

#[test]
fn a_compacted_topic_is_refused_at_the_start() {
    let world = World::start(1);
    world.broker.create_topic("compacted", 1, &[("cleanup.policy", "compact,delete")]).unwrap();
    let mut worker = world.worker_with(&["--topic", "compacted"]);
    worker.wait_for_line("topic compacted has `cleanup.policy=", PATIENCE).unwrap();
    assert_eq!(worker.wait(PATIENCE).unwrap().code(), Some(1));
}

#[test]
fn the_offset_of_the_command_log_is_repaired_likewise() {
    let (world, worker, mut truth) = posted(50);
    stop(worker);
    reset(&world, "tollbook.commands", schemas::log::COMMANDS_TOPIC, 0);
    let line = assert_refuses(&world, "tollbook.commands/0: offset 0 is committed");
    assert!(line.contains("tollbook audit --repair"), "{line}");
    let said = repair(&world, &["--yes"]).success().unwrap();
    assert!(said.contains("set the group to offset 1"), "{said}");
    let _worker = world.worker();
    let (outcome, detail) = world.command(
        "revoke",
        &schemas::command::Command::RevokeToken(schemas::command::RevokeToken { token_id: "none".into() }),
    );
    assert_eq!(outcome, "refused", "{detail}");
    truth.absorb(&world.produce(Config { seed: 2, count: 50, ..Config::default() }));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

/// The session would last a hundred seconds.
#[test]
fn a_worker_that_is_told_to_stop_leaves_the_group_and_the_next_one_need_not_wait() {
    const SESSION: &[&str] = &["--kafka-option", "session.timeout.ms=100000"];
    let world = World::start(1);
    let first = world.worker_with(SESSION);
    world.wait_for_prices();
    let mut truth = world.produce(Config { seed: 1, count: 20, ..Config::default() });
    world.wait_until_received(truth.received);
    stop(first);
    let stopped_at = Instant::now();
    let _next = world.worker_with(SESSION);
    truth.absorb(&world.produce(Config { seed: 2, count: 20, ..Config::default() }));
    world.wait_until_received(truth.received);
    assert!(stopped_at.elapsed() < Duration::from_secs(60), "it took {:?}", stopped_at.elapsed());
    world.assert_holds(&truth);
}

#[test]
fn a_named_worker_takes_its_partitions_up_again_and_a_second_one_of_the_name_ends() {
    let named = |world: &World| {
        world.worker_with(&["--instance", "one", "--kafka-option", "session.timeout.ms=30000"])
    };
    let world = World::start(1);
    let first = named(&world);
    world.wait_for_prices();
    let mut truth = world.produce(Config { seed: 1, count: 20, ..Config::default() });
    world.wait_until_received(truth.received);
    stop(first);
    let mut again = named(&world);
    truth.absorb(&world.produce(Config { seed: 2, count: 20, ..Config::default() }));
    world.wait_until_received(truth.received);
    let _usurper = named(&world);
    again.wait_for_line("The worker ends", PATIENCE).unwrap();
    truth.absorb(&world.produce(Config { seed: 3, count: 20, ..Config::default() }));
    world.wait_until_received(truth.received);
    world.assert_holds(&truth);
}

//! A broker, an engine behind a proxy, a ledger in a database of its own, and the workers that a test starts.

use std::collections::BTreeMap;
use std::time::Duration;

use clickhouse::Client;
use ledger::unit::Unit;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use schemas::command::{Command, PublishPrices};
use schemas::log::{COMMANDS_TOPIC, NewRecord};
use tempfile::TempDir;
use tests::broker::Broker;
use tests::engine::Engine;
use tests::process::{Process, Recipe};
use tests::proxy::Proxy;
use tests::{folder, ports, wait};
use tokio::runtime::Runtime;
use traffic::{Config, PRICES_JSON, Prices, Sum, Traffic, Truth};

/// How long a ledger may take to catch up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The lease of the workers, short so that a new owner does not wait long.
const LEASE: &str = "2s";
pub(crate) const TOPIC: &str = "usage.events";
/// The variable that sets fail points in a process under test.
pub(crate) const FAULTS: &str = "TOLLBOOK_FAULTS";
const DATABASE: &str = "tollbook";
/// An audit that reads every row and derives every amount again.
pub(crate) const FULL: api::audit::Options =
    api::audit::Options { depth: api::audit::Depth::Full, reprice: Some(api::audit::Sample::All) };

/// Everything that a worker needs.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) engine: Engine,
    pub(crate) proxy: Proxy,
    pub(crate) runtime: Runtime,
    /// The first admin token.
    pub(crate) token: String,
}

/// A file that a fail point waits for: closed from the start, opened once.
pub(crate) struct Gate(TempDir);

impl Gate {
    pub(crate) fn closed() -> Self {
        let folder = folder::fresh("gate").unwrap();
        std::fs::write(folder.path().join("gate"), "").unwrap();
        Self(folder)
    }

    /// The action of a fail point that waits here.
    pub(crate) fn hold(&self) -> String {
        format!("hold={}", self.0.path().join("gate").display())
    }

    pub(crate) fn open(&self) {
        std::fs::remove_file(self.0.path().join("gate")).unwrap();
    }
}

/// What the ledger says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    entries: u64,
    requests: i64,
    unpriced: i64,
    cost_atto: String,
    cost_avoided_atto: String,
}

impl World {
    /// A broker with a usage topic of that many partitions, a migrated store, and published prices.
    pub(crate) fn start(partitions: u16) -> Self {
        Self::start_on(partitions, Broker::start().unwrap(), Engine::start().unwrap())
    }

    /// The same on a broker and an engine that have settings of their own.
    pub(crate) fn start_on(partitions: u16, broker: Broker, engine: Engine) -> Self {
        broker.create_topic(TOPIC, partitions, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
        broker.create_topic(COMMANDS_TOPIC, 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
        let proxy = Proxy::start(engine.address()).unwrap();
        let printed = Recipe::tollbook("migrate")
            .unwrap()
            .arguments(["--clickhouse", &engine.url(), "--clickhouse-password", engine.password()])
            .run(PATIENCE)
            .unwrap()
            .success()
            .unwrap();
        let token = printed.trim().rsplit(' ').next().unwrap().to_owned();
        let world = Self { broker, engine, proxy, runtime: Runtime::new().unwrap(), token };
        world.publish_prices();
        world
    }

    /// Starts a worker that reaches the store through the proxy.
    pub(crate) fn worker(&self) -> Process {
        self.worker_with(&["--kafka-option", "session.timeout.ms=6000"])
    }

    /// The same with other arguments about Kafka.
    pub(crate) fn worker_with(&self, arguments: &[&str]) -> Process {
        self.worker_under(LEASE, arguments)
    }

    /// The same with another lease.
    pub(crate) fn worker_under(&self, lease: &str, arguments: &[&str]) -> Process {
        self.recipe(lease, arguments).start().unwrap()
    }

    /// How a worker is started.
    pub(crate) fn recipe(&self, lease: &str, arguments: &[&str]) -> Recipe {
        let listen = format!("127.0.0.1:{}", ports::free().unwrap());
        Recipe::tollbook("ingest")
            .unwrap()
            .arguments(["--clickhouse", &self.proxy.url(), "--clickhouse-password", self.engine.password()])
            .arguments(["--kafka", self.broker.bootstrap(), "--lease", lease, "--listen", &listen])
            .arguments(["--flush-after", "50ms"])
            .arguments(arguments.iter().copied())
    }

    /// Sends a traffic to the topic, and answers what a ledger must make of it.
    pub(crate) fn produce(&self, config: Config) -> Truth {
        let mut truth = no_traffic();
        let records = Traffic::new(config).map(|event| {
            truth.add(&event);
            record_of(&event)
        });
        self.send(TOPIC, records);
        truth
    }

    /// Sends one record to the usage topic.
    pub(crate) fn produce_one(&self, value: &str) {
        let record = NewRecord { key: None, value: Some(value.as_bytes().to_vec()), headers: Vec::new() };
        self.send(TOPIC, [record].into_iter());
    }

    /// Sends a command under that id and waits for its outcome: `applied` or `refused`, and why.
    pub(crate) fn command(&self, id: &str, command: &Command) -> (String, String) {
        self.send(COMMANDS_TOPIC, command.to_records(id, "test").unwrap().into_iter());
        let client = self.store();
        wait::until(&format!("the outcome of {id}"), PATIENCE, || {
            let outcome = self.runtime.block_on(
                client
                    .query(
                        "SELECT outcome, detail FROM commands WHERE command_id = ? AND outcome != 'part' \
                         ORDER BY offset DESC LIMIT 1",
                    )
                    .bind(id)
                    .fetch_optional::<(String, String)>(),
            );
            Ok(outcome.unwrap_or_default())
        })
        .unwrap()
    }

    fn publish_prices(&self) {
        let rows = schemas::prices::list_from_json(PRICES_JSON).unwrap();
        let rows = rows.iter().map(|row| schemas::prices::to_json(row).unwrap()).collect();
        let command = Command::PublishPrices(PublishPrices { rows, based_on: None });
        self.send(COMMANDS_TOPIC, command.to_records("prices", "test").unwrap().into_iter());
    }

    pub(crate) fn send(&self, topic: &str, records: impl Iterator<Item = NewRecord>) {
        send(&producer(self.broker.bootstrap()), topic, records);
    }

    /// A client that goes past the proxy.
    pub(crate) fn store(&self) -> Client {
        self.engine.client().with_database(DATABASE)
    }

    /// Waits until the ledger has received that many usage records.
    pub(crate) fn wait_until_received(&self, count: u64) {
        let client = self.store();
        wait::until(&format!("{count} received records"), PATIENCE, || {
            // The engine may be down for a moment in this test: then it is asked again.
            let received = self.runtime.block_on(
                client
                    .query("SELECT sum(received) FROM batches WHERE topic = ?")
                    .bind(TOPIC)
                    .fetch_one::<u64>(),
            );
            Ok((received.unwrap_or(0) >= count).then_some(()))
        })
        .unwrap();
    }

    /// Waits until the workers price by the published prices: every partition's worker has passed their command.
    pub(crate) fn wait_for_prices(&self) {
        self.wait_for_prices_of(1);
    }

    /// Waits until every partition's worker has passed that many records of the command log.
    pub(crate) fn wait_for_prices_of(&self, commands: u64) {
        let client = self.store();
        wait::until("the published prices", PATIENCE, || {
            let told = self.runtime.block_on(
                client
                    .query(
                        "SELECT count() > 0 AND count() = any(of) AND min(through) >= ? FROM (\
                         SELECT partition, max(partitions) AS of, max(commands_through) AS through \
                         FROM progress WHERE topic = ? GROUP BY partition)",
                    )
                    .bind(commands)
                    .bind(TOPIC)
                    .fetch_one::<bool>(),
            );
            Ok(told.unwrap_or(false).then_some(()))
        })
        .unwrap();
    }

    /// How many usage records the closed batches have received; 0 while the engine does not answer.
    pub(crate) fn received(&self) -> u64 {
        self.number_or_none("SELECT sum(received) FROM batches WHERE topic = 'usage.events'")
    }

    /// How many commands have an outcome; 0 while the engine does not answer.
    pub(crate) fn outcomes_of_commands(&self) -> u64 {
        self.number_or_none("SELECT count() FROM commands WHERE outcome != 'part'")
    }

    /// How many rows of usage there are in all, closed or not; 0 while the engine does not answer.
    pub(crate) fn rows(&self) -> u64 {
        self.number_or_none(
            "SELECT (SELECT count() FROM entries WHERE topic = 'usage.events') \
             + (SELECT count() FROM quarantine WHERE topic = 'usage.events')",
        )
    }

    fn number_or_none(&self, sql: &str) -> u64 {
        self.runtime.block_on(self.store().query(sql).fetch_one()).unwrap_or(0)
    }

    /// How many accepted events and rejected records are missing, and how many rows there are too many.
    pub(crate) fn lost_and_doubled(&self, truth: &Truth) -> (u64, u64) {
        let rejected: u64 = truth.quarantined.values().sum();
        [("entries", truth.accepted), ("quarantine", rejected)].iter().fold(
            (0, 0),
            |(lost, doubled), (table, expected)| {
                let rows = self.number(&format!("SELECT count() FROM {table} WHERE topic = '{TOPIC}'"));
                let places = self.number(&format!(
                    "SELECT uniqExact(partition, offset) FROM {table} WHERE topic = '{TOPIC}'"
                ));
                (lost + expected.saturating_sub(places), doubled + rows - places.min(*expected))
            },
        )
    }

    /// Carries out a statement past the proxy.
    pub(crate) fn execute(&self, sql: &str) {
        self.runtime.block_on(self.store().query(sql).execute()).unwrap();
    }

    /// Waits until that number is at least `least`; the engine may be down meanwhile.
    pub(crate) fn wait_for_number(&self, sql: &str, least: u64) {
        wait::until(&format!("at least {least} from {sql}"), PATIENCE, || {
            Ok((self.number_or_none(sql) >= least).then_some(()))
        })
        .unwrap();
    }

    /// One number from the store.
    pub(crate) fn number(&self, sql: &str) -> u64 {
        self.runtime.block_on(self.store().query(sql).fetch_one()).unwrap()
    }

    /// What became of the record at that offset of partition 0: `entry`, `duplicate`, the reason of its rejection, or all
    /// of several.
    pub(crate) fn fate_of(&self, offset: u64) -> String {
        let sql = format!(
            "SELECT arrayStringConcat(groupArray(fate), ' and ') FROM (\
             SELECT 'entry' AS fate FROM entries WHERE topic = '{TOPIC}' AND offset = {offset} \
             UNION ALL SELECT toString(reason) FROM quarantine WHERE topic = '{TOPIC}' AND offset = {offset} \
             UNION ALL SELECT 'duplicate' FROM batches WHERE topic = '{TOPIC}' AND has(duplicates_at, {offset}))"
        );
        self.runtime.block_on(self.store().query(&sql).fetch_one()).unwrap()
    }

    /// The ledger's own audit finds nothing.
    pub(crate) fn assert_audit_is_clean(&self) {
        let report = self.runtime.block_on(api::audit::run(&self.store())).unwrap();
        assert!(report.clean, "{report}");
    }

    /// The ledger holds exactly what the truth says: counts, quantities and money, and its own audit is clean.
    pub(crate) fn assert_holds(&self, truth: &Truth) {
        assert_holds(&self.runtime, &self.store(), truth);
    }
}

/// The truth of no traffic at all.
pub(crate) fn no_traffic() -> Truth {
    Truth::new(Prices::built_in().unwrap())
}

/// An event as a record: all attempts at a request are in one partition.
pub(crate) fn record_of(event: &traffic::Event) -> NewRecord {
    NewRecord {
        key: Some(event.request_id().into_bytes()),
        value: event.json().unwrap(),
        headers: Vec::new(),
    }
}

/// A producer that writes each record once, in order.
pub(crate) fn producer(brokers: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("enable.idempotence", "true");
    config.create().unwrap()
}

/// Sends records and waits until all are in the log.
pub(crate) fn send(producer: &BaseProducer, topic: &str, records: impl Iterator<Item = NewRecord>) {
    for record in records {
        let key = record.key.unwrap_or_default();
        let mut headers = OwnedHeaders::new();
        for (name, value) in &record.headers {
            headers = headers.insert(Header { key: name.as_str(), value: Some(value) });
        }
        let mut message = BaseRecord::to(topic).key(&key).headers(headers);
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        while let Err((_, back)) = producer.send(message) {
            message = back;
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.flush(PATIENCE).unwrap();
}

/// The ledger in that database holds exactly what the truth says.
pub(crate) fn assert_holds(runtime: &Runtime, client: &Client, truth: &Truth) {
    runtime.block_on(async {
        let (received, posted, duplicates, quarantined): (u64, u64, u64, u64) = client
            .query("SELECT sum(received), sum(posted), sum(duplicates), sum(quarantined) FROM batches WHERE topic = ?")
            .bind(TOPIC)
            .fetch_one()
            .await
            .unwrap();
        let expected: u64 = truth.quarantined.values().sum();
        assert_eq!(
            (received, posted, duplicates, quarantined),
            (truth.received, truth.accepted, truth.duplicates, expected),
            "received, posted, duplicates, quarantined"
        );
        let reasons: Vec<(String, u64)> = client
            .query("SELECT reason, count() FROM quarantine WHERE topic = ? GROUP BY reason ORDER BY reason")
            .bind(TOPIC)
            .fetch_all()
            .await
            .unwrap();
        let expected: Vec<(String, u64)> =
            truth.quarantined.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        assert_eq!(reasons, expected, "quarantine by reason");
        assert_totals(client, "", &truth.total).await;
        for (model, sum) in &truth.by_model {
            assert_totals(client, &format!("AND model = '{model}'"), sum).await;
        }
        for (team, sum) in &truth.by_team {
            assert_totals(client, &format!("AND team = '{team}'"), sum).await;
        }
        let report = api::audit::run_with(client, FULL).await.unwrap();
        assert!(report.clean, "{report}");
    });
}

async fn assert_totals(client: &Client, condition: &str, sum: &Sum) {
    let (entries, requests, unpriced, cost_atto, cost_avoided_atto): (u64, i64, i64, String, String) = client
        .query_raw(&format!(
            "SELECT count(), sum(requests), sum(unpriced), \
             toString(toInt256(sum(toDecimal256(cost, 18)) * 1000000000000000000)), \
             toString(toInt256(sum(toDecimal256(cost_avoided, 18)) * 1000000000000000000)) \
             FROM entries WHERE topic = '{TOPIC}' {condition}"
        ))
        .fetch_one()
        .await
        .unwrap();
    let found = Totals { entries, requests, unpriced, cost_atto, cost_avoided_atto };
    let expected = Totals {
        entries: sum.attempts,
        requests: i64::try_from(sum.requests).unwrap(),
        unpriced: i64::try_from(sum.unpriced).unwrap(),
        cost_atto: sum.cost_atto.to_string(),
        cost_avoided_atto: sum.cost_avoided_atto.to_string(),
    };
    assert_eq!(found, expected, "totals {condition}");
    let expected: BTreeMap<String, u64> =
        sum.quantities().map(|(unit, quantity)| (unit.name().to_owned(), quantity)).collect();
    assert_eq!(quantities(client, condition).await, expected, "quantities {condition}");
}

async fn quantities(client: &Client, condition: &str) -> BTreeMap<String, u64> {
    let fixed: Vec<String> = Unit::FIXED.iter().map(|unit| format!("('{unit}', sum({unit}))")).collect();
    let rows: Vec<(String, i64)> = client
        .query_raw(&format!(
            "SELECT unit, sum(quantity) AS quantity FROM (\
             SELECT tupleElement(pair, 1) AS unit, tupleElement(pair, 2) AS quantity \
             FROM (SELECT arrayJoin([{}]) AS pair FROM entries WHERE topic = '{TOPIC}' {condition}) \
             UNION ALL \
             SELECT unit, toInt64(sum(quantity)) FROM (\
             SELECT arrayJoin(arrayZip(line_units, line_quantities)) AS pair, \
             tupleElement(pair, 1) AS unit, tupleElement(pair, 2) AS quantity \
             FROM entries WHERE topic = '{TOPIC}' {condition}) GROUP BY unit\
             ) GROUP BY unit HAVING quantity != 0 ORDER BY unit",
            fixed.join(", ")
        ))
        .fetch_all()
        .await
        .unwrap();
    rows.into_iter().map(|(unit, quantity)| (unit, u64::try_from(quantity).unwrap())).collect()
}

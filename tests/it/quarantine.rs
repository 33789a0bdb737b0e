//! What was not posted is found, corrected and sent again under its id, or let go; whatever dies on the way, the event
//! is in the ledger once.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use reqwest::{Method, StatusCode};
use schemas::command::{Command, RecordId, Resolution, ResolveQuarantine, ResolvedRecord};
use serde_json::{Value, json};
use tests::process::{Process, Recipe};
use tests::{ports, wait};

use crate::embedded::Embedded;
use crate::world::{PATIENCE, World};

const SECRET: &str = "sk-ant-0123456789abcdefghij";
const NOVEMBER: &str = "from=2026-11-01&to=2026-12-01";

/// An event that costs, by hand, 200 × 5 + 800 × 0.5 + 100 × 30 dollars a million = 0.0044.
fn event(id: &str) -> Value {
    json!({
        "event_id": id, "request_id": format!("r-{id}"), "occurred_at": "2026-11-02T10:00:00Z", "key": "k1",
        "team": "search", "customer": "acme", "endpoint_family": "openai", "provider": "openai", "model": "gpt-5.5",
        "status": 200,
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                  "prompt_tokens_details": {"cached_tokens": 800}}
    })
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event[field] = value;
    event
}

fn without(mut event: Value, field: &str) -> Value {
    event.as_object_mut().unwrap().remove(field);
    event
}

impl Embedded {
    fn ask(&self, method: Method, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
        self.runtime
            .block_on(async {
                let call = self.http.request(method, self.url(path)).bearer_auth(token).json(body);
                let answer = call.send().await?;
                anyhow::Ok((answer.status(), answer.json().await?))
            })
            .unwrap()
    }

    fn change(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, &self.token(), body)
    }

    /// The ids of the records of those events in quarantine, once all are there.
    fn quarantined(&self, events: &[&str]) -> Vec<String> {
        let id_of = |event: &str| {
            let rows = self.get(&format!("/v1/quarantine?event_id={event}"))["rows"].take();
            rows[0]["id"].as_str().map(str::to_owned)
        };
        wait::until("the records in quarantine", PATIENCE, || {
            Ok(events.iter().map(|event| id_of(event)).collect::<Option<Vec<_>>>())
        })
        .unwrap()
    }

    /// How many entries an event has, and what they cost together.
    fn entries(&self) -> Vec<(String, String)> {
        let entries = self.get(&format!("/v1/entries?{NOVEMBER}&limit=1000"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut entries: Vec<_> = entries["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (text(&entry["event_id"]), text(&entry["cost"])))
            .collect();
        entries.sort();
        entries
    }

    fn wait_for_entries(&self, count: usize) {
        wait::until(&format!("{count} entries"), PATIENCE, || {
            Ok((self.entries().len() >= count).then_some(()))
        })
        .unwrap();
    }

    fn assert_clean(&self) {
        let report = self.get("/v1/audit");
        assert_eq!(report["clean"], true, "{report}");
    }

    /// `tollbook quarantine` with these arguments: whether it succeeded, and all that it said.
    fn cli(&self, arguments: &[&str]) -> (bool, String) {
        let finished = Recipe::tollbook("quarantine")
            .unwrap()
            .arguments(arguments.iter().copied())
            .arguments(["--data", self.folder.path().to_str().unwrap()])
            .run(PATIENCE)
            .unwrap();
        (finished.status.success(), finished.stdout + &finished.stderr)
    }
}

fn call(id: &str, what: &str) -> String {
    format!("/v1/quarantine/{}{what}", id.replace('/', "%2F"))
}

/// Four poisoned events: one lacks its model, one takes another's id, one is let go, one is of another customer.
#[test]
fn a_poisoned_event_is_corrected_replayed_under_its_id_and_posted_once() {
    let mut embedded = Embedded::start();
    embedded.publish_prices();
    let bodies = [
        without(event("lacks"), "model"),
        event("taken"),
        with(event("taken"), "team", json!("other")),
        with(event("gone"), "occurred_at", json!(5)),
        with(without(event("theirs"), "model"), "customer", json!("globex")),
    ];
    embedded.send(&bodies.map(|body| body.to_string()), |_| ());
    let ids = embedded.quarantined(&["lacks", "taken", "gone", "theirs"]);
    let [lacks, taken, gone, theirs] = [0, 1, 2, 3].map(|index: usize| ids[index].as_str());

    let (status, problem) = embedded.change(&call(lacks, "/replay"), &json!({}));
    assert_eq!((status, &problem["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("missing_field")));
    let secret = with(event("lacks"), "tags", json!({"a": SECRET}));
    let (status, problem) = embedded.change(&call(lacks, "/replay"), &json!({"event": secret}));
    assert_eq!((status, &problem["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("secret")));
    let (status, answer) = embedded.change(&call(lacks, "/replay"), &json!({"event": event("lacks")}));
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, problem) = embedded.change(&call(lacks, "/replay"), &json!({"event": event("lacks")}));
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains(answer["operation"].as_str().unwrap()), "{problem}");

    let file = embedded.folder.path().join("corrected.json");
    let file_name = file.to_str().unwrap();
    std::fs::write(&file, event("taken").to_string()).unwrap();
    let (succeeded, said) = embedded.cli(&["replay", taken, "--event", file_name]);
    assert!(!succeeded && said.contains("new `event_id`"), "{said}");
    std::fs::write(&file, event("taken-again").to_string()).unwrap();
    let (succeeded, said) = embedded.cli(&["replay", taken, "--event", file_name, "--note", "sent twice"]);
    assert!(succeeded && said.contains("event taken-again is record usage.events/0/"), "{said}");

    let (succeeded, said) = embedded.cli(&["discard", "--reason", "invalid_time", "--note", "a test's"]);
    assert!(!succeeded && said.contains("--yes"), "{said}");
    let (succeeded, said) =
        embedded.cli(&["discard", "--reason", "invalid_time", "--note", "a test's", "--yes"]);
    assert!(succeeded && said.contains("1 records discarded"), "{said}");
    let (succeeded, said) = embedded.cli(&["list", "--state", "discarded", "--format", "json"]);
    assert!(succeeded && said.contains(gone) && said.contains("a test's"), "{said}");

    let minting = json!({"name": "acme", "scopes": ["read", "ingest"], "customers": ["acme"]});
    let (_, minted) = embedded.change("/v1/tokens", &minting);
    let acme = minted["token"].as_str().unwrap();
    let (_, seen) = embedded.ask(Method::GET, "/v1/quarantine?state=open&state=replayed", acme, &Value::Null);
    assert_eq!(seen["rows"].as_array().unwrap().len(), 2, "{seen}");
    let fixed = json!({"event": with(event("theirs"), "customer", json!("globex"))});
    let (status, _) = embedded.ask(Method::POST, &call(theirs, "/replay"), acme, &fixed);
    assert_eq!(status, StatusCode::NOT_FOUND);

    embedded.wait_for_entries(3);
    let cost = |id: &str| (id.to_owned(), "0.0044".to_owned());
    assert_eq!(embedded.entries(), [cost("lacks"), cost("taken"), cost("taken-again")]);
    let shown = embedded.get(&call(lacks, ""));
    assert_eq!((&shown["state"], &shown["resolution"]["event"]), (&json!("replayed"), &event("lacks")));
    let (succeeded, said) = embedded.cli(&["list", "--summary"]);
    assert!(succeeded && said.contains("conflict       replayed         1"), "{said}");
    embedded.assert_clean();
}

/// The process is killed at various moments of a replay, which is then asked for again until it is answered: with yes,
/// or with the first one's name.
#[test]
fn a_replay_whose_process_is_killed_is_finished_and_posts_its_event_once() {
    let mut embedded = Embedded::start();
    embedded.publish_prices();
    let names = ["a", "b", "c", "d"];
    let bodies: Vec<String> = names.iter().map(|name| without(event(name), "model").to_string()).collect();
    embedded.send(&bodies, |_| ());
    let ids = embedded.quarantined(&names);
    for ((id, name), patience_ms) in ids.iter().zip(names).zip([1, 30, 90, 200]) {
        let request = embedded
            .http
            .post(embedded.url(&call(id, "/replay")))
            .bearer_auth(embedded.token())
            .json(&json!({"event": event(name)}));
        let patience = Duration::from_millis(patience_ms);
        let sent = async { tokio::time::timeout(patience, request.send()).await.is_ok() };
        // Whether it was answered in time matters as little as it does to the one who asks again.
        let _ = embedded.runtime.block_on(sent);
        embedded.process.kill().unwrap();
        embedded.restart();
        embedded.wait_until_ready();
        let (status, answer) = embedded.change(&call(id, "/replay"), &json!({"event": event(name)}));
        assert!(matches!(status, StatusCode::OK | StatusCode::CONFLICT), "{status} {answer}");
    }
    embedded.wait_for_entries(names.len());
    let expected = names.map(|name| (name.to_owned(), "0.0044".to_owned()));
    assert_eq!(embedded.entries(), expected);
    wait::until("every replay on record with its place", PATIENCE, || {
        let replayed = embedded.get("/v1/quarantine?state=replayed");
        let places = replayed["rows"].as_array().unwrap().iter().map(|row| &row["resolution"]["replayed_as"]);
        Ok((places.filter(|place| place.is_string()).count() == names.len()).then_some(()))
    })
    .unwrap();
    assert_eq!(embedded.entries(), expected);
    embedded.assert_clean();
}

fn api_process(world: &World) -> Process {
    Recipe::tollbook("api")
        .unwrap()
        .arguments(["--clickhouse", &world.engine.url(), "--clickhouse-password", world.engine.password()])
        .arguments(["--kafka", world.broker.bootstrap()])
        .arguments(["--listen", &format!("127.0.0.1:{}", ports::free().unwrap())])
        .start()
        .unwrap()
}

fn replay(offset: u64, event: &Value) -> Command {
    let record = RecordId { topic: "usage.events".to_owned(), partition: 0, offset };
    Command::ResolveQuarantine(ResolveQuarantine {
        resolution: Resolution::Replay,
        records: vec![ResolvedRecord { record, event: Some(event.to_string()) }],
        note: String::new(),
    })
}

/// A command may name more records than the address of one question holds.
fn discard(count: u64) -> Command {
    let record = |offset| RecordId { topic: "usage.events".to_owned(), partition: 7, offset };
    Command::ResolveQuarantine(ResolveQuarantine {
        resolution: Resolution::Discard,
        records: (0..count).map(|offset| ResolvedRecord { record: record(offset), event: None }).collect(),
        note: "a test's".to_owned(),
    })
}

/// An API process that dies leaves a decision whose event is not in the log, or is there and nobody says so. Either
/// way another process finishes the replay; what it appends a second time is dropped as a repeat.
#[test]
fn what_a_dead_api_left_between_decision_and_log_is_finished_by_another_over_kafka() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    world.produce_one(&without(event("a"), "model").to_string());
    world.produce_one(&without(event("b"), "model").to_string());
    world.wait_until_received(2);
    assert_eq!(world.command("replay-a", &replay(0, &event("a"))).0, "applied");
    assert_eq!(world.command("replay-b", &replay(1, &event("b"))).0, "applied");
    let (outcome, detail) = world.command("again", &replay(0, &with(event("a"), "team", json!("other"))));
    assert_eq!(outcome, "refused");
    assert!(detail.contains("replay-a"), "{detail}");
    let (outcome, detail) = world.command("many", &discard(3_000));
    assert_eq!(
        (outcome.as_str(), detail.as_str()),
        ("applied", "3000 records discarded, 0 were resolved before")
    );
    world.produce_one(&event("b").to_string());
    let _api = api_process(&world);
    world.wait_until_received(5);
    wait::until("both replays on record", PATIENCE, || {
        let logged = world.number("SELECT count() FROM quarantine_resolutions WHERE state = 'logged'");
        Ok((logged == 2).then_some(()))
    })
    .unwrap();
    let of = |condition: &str| world.number(&format!("SELECT count() FROM entries WHERE {condition}"));
    assert_eq!((of("event_id = 'a'"), of("event_id = 'b'"), of("true")), (1, 1, 2));
    assert_eq!(world.number("SELECT sum(duplicates) FROM batches WHERE topic = 'usage.events'"), 1);
    let report = world.runtime.block_on(api::audit::run(&world.store())).unwrap();
    assert!(report.clean, "{report}");
}

/// Whatever a producer wrote the credential into, no table has it.
#[test]
fn a_credential_of_a_kafka_record_is_in_no_table_wherever_it_stood() {
    let world = World::start(1);
    let _worker = world.worker();
    world.wait_for_prices();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", world.broker.bootstrap()).create().unwrap();
    let broken = format!("{{\"event_id\": \"e\", \"customer\": \"{SECRET}\"");
    let whole = with(event("e"), "app", json!(SECRET)).to_string();
    let content_type = format!("application/{SECRET}");
    for value in [broken.as_bytes(), whole.as_bytes(), &[b' '; 300_000]] {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "content-type", value: Some(&content_type) })
            .insert(Header { key: SECRET, value: Some(SECRET) });
        let record = BaseRecord::to("usage.events").key(SECRET).payload(value).headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    world.wait_until_received(3);
    assert_eq!(world.number("SELECT count() FROM quarantine WHERE topic = 'usage.events'"), 3);
    let found = |text: &str| {
        world.number(&format!(
            "SELECT countSubstrings(toString(groupArray(tuple(*))), '{text}') FROM quarantine"
        ))
    };
    assert_eq!((found("sk-ant"), found("[redacted]") > 0), (0, true));
}

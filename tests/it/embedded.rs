//! `tollbook up`: everything embedded in one process and its engine, over HTTP, killed and started again.

use std::time::Duration;

use journal::{Cursor, Journal};
use reqwest::Method;
use serde_json::Value;
use tests::process::{Process, Recipe};
use tests::{folder, ports, wait};
use tokio::runtime::Runtime;
use traffic::{Config, PRICES_JSON, Prices, Traffic, Truth};

use crate::world::{FAULTS, PATIENCE};

/// Events of one request.
const EVENTS_PER_REQUEST: usize = 200;

/// One embedded Tollbook and its data.
pub(crate) struct Embedded {
    pub(crate) folder: tempfile::TempDir,
    port: u16,
    pub(crate) process: Process,
    pub(crate) runtime: Runtime,
    pub(crate) http: reqwest::Client,
    arguments: Vec<String>,
}

impl Embedded {
    pub(crate) fn start() -> Self {
        Self::start_in(folder::fresh("embedded").unwrap(), Vec::new())
    }

    /// The same with its data in that folder, and with further arguments of `tollbook up`.
    pub(crate) fn start_in(folder: tempfile::TempDir, arguments: Vec<String>) -> Self {
        let port = ports::free().unwrap();
        let process = up(&folder, port, &arguments, "");
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        let runtime = Runtime::new().unwrap();
        let mut embedded = Self { folder, port, process, runtime, http, arguments };
        embedded.wait_until_ready();
        embedded
    }

    pub(crate) fn restart(&mut self) {
        self.restart_under("");
    }

    /// Starts again with these fail points.
    pub(crate) fn restart_under(&mut self, faults: &str) {
        self.process = up(&self.folder, self.port, &self.arguments, faults);
    }

    pub(crate) fn wait_until_ready(&mut self) {
        wait::until("readiness", PATIENCE, || {
            let answer = self.runtime.block_on(async { self.http.get(self.url("/readyz")).send().await });
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", self.process.log()));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("admin.token")).unwrap().trim().to_owned()
    }

    /// A call with a JSON body: status and answer.
    pub(crate) fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method, self.url(path)).bearer_auth(self.token()).json(body);
        self.runtime
            .block_on(async {
                let answer = request.send().await?;
                let status = answer.status().as_u16();
                Ok::<_, reqwest::Error>((status, answer.json().await?))
            })
            .unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.runtime
            .block_on(async {
                let answer = self.http.get(self.url(path)).bearer_auth(self.token()).send().await?;
                answer.error_for_status()?.json().await
            })
            .unwrap()
    }

    /// The status of an answer.
    pub(crate) fn status(&self, path: &str) -> u16 {
        let request = self.http.get(self.url(path)).bearer_auth(self.token());
        self.runtime.block_on(async { request.send().await.map(|answer| answer.status().as_u16()) }).unwrap()
    }

    /// The text of an answer, whatever its status.
    pub(crate) fn text(&self, path: &str) -> String {
        let request = self.http.get(self.url(path)).bearer_auth(self.token());
        self.runtime.block_on(async { request.send().await?.text().await }).unwrap()
    }

    /// The bytes of an answer that is in order.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let request = self.http.get(self.url(path)).bearer_auth(self.token());
        let answer = async { request.send().await?.error_for_status()?.bytes().await };
        self.runtime.block_on(answer).unwrap().to_vec()
    }

    /// Sends events until they are acknowledged; a request without an answer is sent again, as a gateway does.
    /// Answers how many times it had to be.
    pub(crate) fn send(&mut self, bodies: &[String], mut meanwhile: impl FnMut(&mut Self)) -> u64 {
        let mut again = 0;
        for body in bodies {
            while !self.try_send(body) {
                again += 1;
                meanwhile(self);
            }
        }
        again
    }

    pub(crate) fn try_send(&self, body: &str) -> bool {
        self.post("/v1/events", &[("content-type", "application/x-ndjson")], body)
            .is_ok_and(|(status, _)| status == 202)
    }

    /// Status and body of the answer to a request.
    pub(crate) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(u16, String), reqwest::Error> {
        let request = self.http.post(self.url(path)).bearer_auth(self.token()).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.runtime.block_on(async {
            let answer = request.send().await?;
            Ok((answer.status().as_u16(), answer.text().await?))
        })
    }

    /// Waits until the ledger has as many attempts as the truth, and compares model by model.
    fn assert_holds(&mut self, mut truth: Truth) {
        self.wait_until_ready();
        wait::until("all events in the ledger", PATIENCE, || {
            let spend = self.get("/v1/spend?from=2026-11-01&to=2026-12-01&quantities=false");
            Ok((spend["rows"][0]["attempts"] == truth.accepted).then_some(()))
        })
        .unwrap();
        let report = self.get("/v1/audit");
        assert_eq!(report["clean"], true, "{report}");
        let spend =
            self.get("/v1/spend?from=2026-11-01&to=2026-12-01&group_by=model&quantities=false&limit=1000");
        for row in spend["rows"].as_array().unwrap() {
            let sum = truth.by_model.remove(row["group"]["model"].as_str().unwrap()).unwrap();
            assert_eq!(row["amount"], sum.cost().unwrap().to_string(), "{row}");
            assert_eq!(row["attempts"], sum.attempts, "{row}");
        }
        assert!(truth.by_model.is_empty(), "models without a row: {:?}", truth.by_model.keys());
    }

    fn wait_until_posted(&self, attempts: u64) {
        wait::until("the events in the ledger", PATIENCE, || {
            let spend = self.get("/v1/spend?from=2026-11-01&to=2026-12-01&quantities=false");
            Ok((spend["rows"][0]["attempts"] == attempts).then_some(()))
        })
        .unwrap();
    }

    pub(crate) fn publish_prices(&self) {
        let rows: Value = serde_json::from_str(PRICES_JSON).unwrap();
        let request = self
            .http
            .post(self.url("/v1/models"))
            .bearer_auth(self.token())
            .json(&serde_json::json!({ "rows": rows }));
        let answer = self.runtime.block_on(async { request.send().await }).unwrap();
        assert_eq!(answer.status(), 200, "{:?}", self.runtime.block_on(answer.text()));
    }
}

fn up(folder: &tempfile::TempDir, port: u16, arguments: &[String], faults: &str) -> Process {
    let data = folder.path().to_str().unwrap();
    let listen = format!("127.0.0.1:{port}");
    Recipe::tollbook("up")
        .unwrap()
        .arguments(["--data", data, "--listen", &listen, "--lease", "2s", "--flush-after", "50ms"])
        .arguments(["--library", folder::fetched().join("engine/libchdb.so").to_str().unwrap()])
        .arguments(arguments)
        .variable(FAULTS, faults)
        .start()
        .unwrap()
}

/// A traffic as bodies of NDJSON, and what a ledger must make of it. Nothing in it is sent twice: what a killed
/// process made the sender repeat is counted apart.
fn bodies(config: Config) -> (Vec<String>, Truth) {
    let mut truth = Truth::new(Prices::built_in().unwrap());
    let lines: Vec<String> = Traffic::new(config)
        .map(|event| {
            truth.add(&event);
            String::from_utf8(event.json().unwrap().unwrap()).unwrap()
        })
        .collect();
    (lines.chunks(EVENTS_PER_REQUEST).map(|chunk| chunk.join("\n")).collect(), truth)
}

/// By hand: 200 × 5 + 800 × 0.5 + 100 × 30 dollars a million = 0.0044.
#[test]
fn an_event_over_http_becomes_money_and_its_request_has_a_proof() {
    let mut embedded = Embedded::start();
    embedded.publish_prices();
    let event = r#"{"event_id":"e1","request_id":"r1","occurred_at":"2026-11-02T10:00:00Z","key":"k1","team":"search","endpoint_family":"openai","provider":"openai","model":"gpt-5.5","status":200,"usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100,"prompt_tokens_details":{"cached_tokens":800}}}"#;
    embedded.send(&[event.to_owned(), event.to_owned()], |_| ());
    wait::until("the event in the ledger", PATIENCE, || {
        let spend = embedded.get("/v1/spend?group_by=team&from=2026-11-01&to=2026-12-01");
        Ok((spend["rows"].as_array().is_some_and(|rows| !rows.is_empty())).then_some(()))
    })
    .unwrap();
    let spend = embedded.get("/v1/spend?group_by=team&from=2026-11-01&to=2026-12-01");
    assert_eq!(spend["rows"][0]["amount"], "0.0044");
    assert_eq!(spend["rows"][0]["group"]["team"], "search");
    let proof = embedded.get("/v1/requests/r1");
    assert_eq!(proof["totals"][0]["charge"], "0.0044");
    assert_eq!(proof["attempts"][0]["lines"][0]["unit"], "input_uncached_tokens");
    assert_eq!(proof["attempts"].as_array().unwrap().len(), 1, "the repeat is dropped");
    embedded.process.terminate().unwrap();
    assert!(embedded.process.wait(PATIENCE).unwrap().success());
}

/// The engine dies alone and is started again by its process, which goes on.
#[test]
fn ten_kills_of_the_embedded_engine_alone_lose_and_double_nothing() {
    let mut embedded = Embedded::start();
    embedded.publish_prices();
    let (bodies, truth) = bodies(Config { count: 6_000, ..Config::default() });
    for (round, chunk) in bodies.chunks(3).enumerate() {
        embedded.send(chunk, |_| ());
        if round < 10 {
            assert_eq!(embedded.process.kill_children().unwrap(), 1);
            embedded.wait_until_ready();
        }
    }
    embedded.assert_holds(truth);
}

/// The cursor is wiped while nothing runs: `up` says how to get out, and afterwards goes on where the ledger ends.
#[test]
fn a_wiped_cursor_of_the_embedded_log_is_refused_and_repaired() {
    let mut embedded = Embedded::start();
    embedded.publish_prices();
    let (all, truth) = bodies(Config { count: 400, ..Config::default() });
    embedded.send(&all[..1], |_| ());
    embedded.wait_until_posted(u64::try_from(EVENTS_PER_REQUEST).unwrap());
    embedded.process.terminate().unwrap();
    assert!(embedded.process.wait(PATIENCE).unwrap().success());

    let journal = Journal::open(journal::Config::new(embedded.folder.path().join("log")), &[]).unwrap();
    journal.commit("tollbook", vec![Cursor::new("usage.events", 0, 7, "")]).unwrap();
    journal.close();
    drop(journal);
    embedded.restart();
    let line = embedded.process.wait_for_line("The worker ends", PATIENCE).unwrap();
    assert!(line.contains("tollbook audit --repair"), "{line}");
    assert!(!embedded.process.wait(PATIENCE).unwrap().success());

    let data = embedded.folder.path().to_str().unwrap();
    let library = folder::fetched().join("engine/libchdb.so");
    let said = Recipe::tollbook("audit")
        .unwrap()
        .arguments(["--repair", "--yes", "--actor", "ana", "--data", data])
        .arguments(["--library", library.to_str().unwrap()])
        .run(PATIENCE)
        .unwrap()
        .success()
        .unwrap();
    assert!(said.contains("repair: set the group to offset 200"), "{said}");
    embedded.restart();
    embedded.wait_until_ready();
    embedded.send(&all[1..], |_| ());
    embedded.wait_until_posted(truth.accepted);
    let report = embedded.get("/v1/audit");
    assert_eq!(report["clean"], true, "{report}");
}

/// Every acknowledged event is in the ledger once, whatever was under way when the process was killed. What the
/// sender had to repeat may have been logged twice; the repeat is then a duplicate, and nothing else differs.
#[test]
fn ten_kills_of_the_whole_process_lose_and_double_nothing() {
    let mut embedded = Embedded::start();
    embedded.publish_prices();
    let (bodies, truth) = bodies(Config { count: 6_000, ..Config::default() });
    for (round, chunk) in bodies.chunks(3).enumerate() {
        embedded.send(chunk, Embedded::wait_until_ready);
        if round < 10 {
            embedded.process.kill().unwrap();
            embedded.restart();
        }
    }
    embedded.assert_holds(truth);
}

//! What senders are promised, one ruling a test: requests go through the router, records arrive in a log in memory.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use proptest::prelude::*;
use schemas::caller::Scope;
use schemas::event::{Arena, Encoder, Record};
use schemas::log::{Error, NewRecord, Position};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::source::Truncated;

/// 2025-06-01T12:00:00Z
const NOW: Millis = Millis(1_748_779_200_000);
const SECRET: &str = "sk-ant-api03-0123456789abcdef";

/// A log in memory.
#[derive(Debug, Default)]
struct Memory {
    records: Mutex<Vec<NewRecord>>,
    is_down: AtomicBool,
}

impl Log for Memory {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>> {
        assert_eq!(topic, "usage.events");
        Box::pin(async move {
            if self.is_down.load(Ordering::Relaxed) {
                return Err(Error::Unavailable { detail: "broker b1.internal:9092 is down".to_owned() });
            }
            let mut held = self.records.lock();
            let first = held.len();
            held.extend(records);
            Ok((first..held.len())
                .map(|at| Position { partition: 0, offset: at.try_into().unwrap() })
                .collect())
        })
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

struct Service {
    log: Arc<Memory>,
    intake: Intake,
}

impl Service {
    fn new() -> Self {
        let log = Arc::new(Memory::default());
        let schemas = BuiltIn(Arc::new(Decoder::new().unwrap()));
        let intake = Intake::new(log.clone(), "usage.events", Arc::new(schemas)).with_clock(Arc::new(|| NOW));
        Self { log, intake }
    }

    async fn send(&self, caller: Option<Caller>, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::post("/v1/events").body(body.into()).unwrap();
        for (name, value) in headers {
            let name = header::HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let response = router(self.intake.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&body).unwrap() }
    }

    async fn post(&self, content_type: &str, body: impl Into<Body>) -> Reply {
        self.send(None, &[("content-type", content_type)], body).await
    }

    fn logged(&self) -> Vec<NewRecord> {
        self.log.records.lock().clone()
    }

    /// The values in the log, as text.
    fn values(&self) -> Vec<String> {
        let text = |record: NewRecord| String::from_utf8(record.value.unwrap()).unwrap();
        self.logged().into_iter().map(text).collect()
    }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    #[track_caller]
    fn answer(&self) -> Answer {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{}", self.body);
        serde_json::from_value(self.body.clone()).unwrap()
    }

    /// Accepted, duplicates, and the index and reason of each rejected event.
    #[track_caller]
    fn summary(&self) -> (usize, usize, Vec<(usize, String)>) {
        let answer = self.answer();
        let rejected =
            answer.rejected.into_iter().map(|rejected| (rejected.index, rejected.reason.into_owned()));
        (answer.accepted, answer.duplicates, rejected.collect())
    }

    #[track_caller]
    fn problem(&self, status: StatusCode) -> Problem {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: Problem = serde_json::from_value(self.body.clone()).unwrap();
        assert!(problem.kind.starts_with("urn:tollbook:problem:"), "{}", problem.kind);
        assert_eq!(problem.status, status.as_u16());
        problem
    }
}

fn event(id: &str) -> Value {
    json!({
        "event_id": id,
        "request_id": format!("request of {id}"),
        "occurred_at": "2025-06-01T11:59:59Z",
        "key": "gateway-1",
        "endpoint_family": "openai",
        "provider": "openai",
        "model": "gpt-4o",
        "usage": {"prompt_tokens": 10, "completion_tokens": 5}
    })
}

fn with(mut event: Value, field: &str, value: impl Into<Value>) -> Value {
    event[field] = value.into();
    event
}

fn ndjson(lines: &[String]) -> String {
    lines.join("\n")
}

fn bound(customers: &[&str], teams: &[&str]) -> Option<Caller> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some(Caller {
        token_id: "t".to_owned(),
        scopes: vec![Scope::Ingest],
        customers: names(customers),
        teams: names(teams),
    })
}

#[tokio::test]
async fn one_object_an_array_and_ndjson_are_taken() {
    for (content_type, body, count) in [
        ("application/json", event("a").to_string(), 1),
        ("application/json", serde_json::to_string_pretty(&event("a")).unwrap(), 1),
        ("application/json", json!([event("a"), event("b")]).to_string(), 2),
        ("application/x-ndjson", format!("{}\n\n{}\n", event("a"), event("b")), 2),
        ("application/jsonl", event("a").to_string(), 1),
        ("text/plain", json!([event("a"), event("b")]).to_string(), 2),
        ("", format!("{}\r\n{}", event("a"), event("b")), 2),
    ] {
        let service = Service::new();
        let reply = service.post(content_type, body).await;
        assert_eq!(reply.summary(), (count, 0, vec![]), "{content_type}");
        assert_eq!(service.logged().len(), count);
    }
}

#[tokio::test]
async fn a_record_holds_the_event_as_it_was_sent_under_its_request_id() {
    let service = Service::new();
    let sent = event("a").to_string().replace("tokens\":5", "tokens\" : 5.00");
    assert_eq!(service.post("application/json", format!(" {sent} ")).await.summary(), (1, 0, vec![]));
    let record = NewRecord { key: Some(b"request of a".to_vec()), value: Some(sent.into()), headers: vec![] };
    assert_eq!(service.logged(), [record]);
}

#[tokio::test]
async fn an_empty_body_is_refused_with_what_is_expected() {
    let service = Service::new();
    let problem = service.post("application/json", " \n").await.problem(StatusCode::BAD_REQUEST);
    assert!(problem.detail.contains("empty") && problem.detail.contains("NDJSON"), "{}", problem.detail);
}

#[tokio::test]
async fn a_broken_json_body_is_refused_as_a_whole_and_a_broken_ndjson_line_by_itself() {
    let service = Service::new();
    let broken = format!("[{}, {{]", event("a"));
    service.post("application/json", broken).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(service.logged(), []);
    let lines = format!("{}\n{{\"event_id\":\"b\",\n[]\n{}", event("a"), event("c"));
    let reply = service.post("application/x-ndjson", lines).await;
    assert_eq!(reply.summary(), (2, 0, vec![(1, "decode".to_owned()), (2, "decode".to_owned())]));
    assert_eq!(reply.answer().rejected[0].event_id.as_deref(), Some("b"));
    assert_eq!(service.values()[1], "{\"event_id\":\"b\",");
    assert_eq!(service.logged().len(), 4);
}

#[tokio::test]
async fn json_that_is_neither_object_nor_array_is_refused() {
    let service = Service::new();
    for body in ["5", "\"text\"", "true", "null"] {
        service.post("application/json", body).await.problem(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_body_over_16_mib_is_refused_with_and_without_a_length() {
    let service = Service::new();
    let body = vec![b' '; BYTES_MAX + 1];
    let headers = [("content-length", "16777217")];
    service.send(None, &headers, "{}").await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    let chunks =
        body.chunks(1 << 20).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    let stream = Body::from_stream(futures::stream::iter(chunks));
    service.post("application/json", stream).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    let mut body = vec![b' '; BYTES_MAX - 2];
    body.extend(b"[]");
    assert_eq!(service.post("application/json", body).await.summary(), (0, 0, vec![]));
}

#[tokio::test]
async fn a_body_in_chunks_is_put_together() {
    let service = Service::new();
    let body = event("a").to_string().into_bytes();
    let chunks: Vec<_> = body.chunks(7).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let reply = service.post("", Body::from_stream(futures::stream::iter(chunks))).await;
    assert_eq!(reply.summary(), (1, 0, vec![]));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let chunks = vec![Ok(b"{".to_vec()), Err(std::io::Error::other("connection reset"))];
    let reply = Service::new().post("", Body::from_stream(futures::stream::iter(chunks))).await;
    assert!(reply.problem(StatusCode::BAD_REQUEST).detail.contains("connection reset"));
}

#[tokio::test]
async fn more_bodies_than_memory_is_kept_for_are_sent_away_for_a_while() {
    let service = Service::new();
    let full = Budget::default();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(full.read(&HeaderMap::new(), Body::from(vec![0; BYTES_MAX])).await.unwrap());
    }
    let service = Service { intake: Intake { budget: full, ..service.intake.clone() }, ..service };
    let reply = service.post("application/json", event("a").to_string()).await;
    reply.problem(StatusCode::SERVICE_UNAVAILABLE);
    drop(held);
    assert_eq!(service.post("application/json", event("a").to_string()).await.summary(), (1, 0, vec![]));
}

#[tokio::test]
async fn an_encoding_that_no_layer_has_undone_is_refused() {
    let service = Service::new();
    let reply = service.send(None, &[("content-encoding", "br")], "x").await;
    assert_eq!(
        reply.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE).parameter.as_deref(),
        Some("content-encoding")
    );
    let reply = service.send(None, &[("content-encoding", "identity")], event("a").to_string()).await;
    assert_eq!(reply.summary(), (1, 0, vec![]));
}

#[tokio::test]
async fn every_rule_is_told_and_the_rejected_are_logged_all_the_same() {
    let service = Service::new();
    let events = [
        with(event("a"), "model", Value::Null),
        with(event("b"), "attempt", 0),
        with(event("c"), "occurred_at", "2025-06-02T12:00:00.001Z"),
        with(event("d"), "units", json!({"input_tokens": 1})),
        with(event("e"), "usage", json!({"prompt_tokens": -1})),
        with(event("f"), "endpoint_family", "morse"),
        event("g"),
    ];
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let reply = service.post("application/x-ndjson", ndjson(&lines)).await;
    let reasons = [
        "missing_field",
        "invalid_field",
        "invalid_time",
        "usage_and_units",
        "malformed_usage",
        "unknown_family",
    ];
    let rejected = reasons.iter().enumerate().map(|(index, reason)| (index, (*reason).to_owned())).collect();
    assert_eq!(reply.summary(), (1, 0, rejected));
    let ids: Vec<_> = reply.answer().rejected.into_iter().filter_map(|rejected| rejected.event_id).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(service.values(), lines);
}

#[tokio::test]
async fn what_the_ledger_cannot_keep_is_unpostable() {
    let service = Service::new();
    let line = event("a").to_string().replace(":10", &format!(":{}", "9".repeat(40)));
    let reply = service.post("application/json", line).await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "unpostable".to_owned())]));
    assert_eq!(service.logged().len(), 1);
}

#[tokio::test]
async fn a_repeat_within_a_request_is_a_duplicate_and_other_content_a_conflict() {
    let service = Service::new();
    let same_otherwise_written = with(event("a"), "occurred_at", "2025-06-01T13:59:59+02:00");
    let body = json!([event("a"), same_otherwise_written, with(event("a"), "model", "gpt-5"), event("b")]);
    let reply = service.post("application/json", body.to_string()).await;
    assert_eq!(reply.summary(), (2, 1, vec![(2, "conflict".to_owned())]));
    assert_eq!(service.logged().len(), 4);
}

#[tokio::test]
async fn a_repeat_of_a_rejected_event_is_rejected_again() {
    let service = Service::new();
    let wrong = with(event("a"), "usage", json!({"prompt_tokens": -1}));
    let reply = service.post("application/json", json!([wrong, wrong, event("a")]).to_string()).await;
    let wrong = "malformed_usage".to_owned();
    assert_eq!(reply.summary(), (1, 0, vec![(0, wrong.clone()), (1, wrong)]));
}

#[tokio::test]
async fn a_secret_is_redacted_before_it_is_logged() {
    let service = Service::new();
    for body in [
        with(event("a"), "route", SECRET).to_string(),
        with(event(SECRET), "model", Value::Null).to_string(),
        format!("{{\"route\":\"{SECRET}\", broken"),
    ] {
        let reply = service.post("application/x-ndjson", body).await;
        assert_eq!(reply.summary(), (0, 0, vec![(0, "secret".to_owned())]));
        assert!(!reply.body.to_string().contains(SECRET), "{}", reply.body);
    }
    for record in service.logged() {
        assert_eq!(record.headers, [("tollbook-redacted".to_owned(), b"1".to_vec())]);
        let value = String::from_utf8(record.value.unwrap()).unwrap();
        assert!(value.contains("[redacted]") && !value.contains(SECRET), "{value}");
    }
    assert_eq!(service.logged().len(), 3);
}

#[tokio::test]
async fn an_event_over_256_kib_is_rejected_by_itself_and_its_beginning_is_kept() {
    let service = Service::new();
    let large = with(event("big"), "context", json!({"text": "x".repeat(300_000)})).to_string();
    let reply = service.post("application/json", format!("[{},{large},{}]", event("a"), event("b"))).await;
    assert_eq!(reply.summary(), (2, 0, vec![(1, "too_large".to_owned())]));
    let record = &service.logged()[1];
    assert_eq!(record.value.as_deref(), large.as_bytes().get(..65536));
    let [(name, text)] = &record.headers[..] else { panic!("{:?}", record.headers) };
    assert_eq!(name, "tollbook-truncated");
    let truncated = Truncated::parse(std::str::from_utf8(text).unwrap()).unwrap();
    assert_eq!(usize::try_from(truncated.length).unwrap(), large.len());
}

#[tokio::test]
async fn a_secret_in_an_event_over_256_kib_wins() {
    let service = Service::new();
    let large = with(event("big"), "context", json!({"text": "x".repeat(300_000), "z": SECRET})).to_string();
    let reply = service.post("application/json", large).await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "secret".to_owned())]));
    let names: Vec<_> = service.logged()[0].headers.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["tollbook-truncated", "tollbook-redacted"]);
}

#[tokio::test]
async fn an_event_of_exactly_256_kib_is_accepted() {
    let service = Service::new();
    let mut body = event("a").to_string();
    body.insert_str(1, &" ".repeat(256 * 1024 - body.len()));
    assert_eq!(service.post("application/json", body.clone()).await.summary(), (1, 0, vec![]));
    let reply = service.post("application/json", body.replacen(' ', "  ", 1)).await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "too_large".to_owned())]));
}

#[tokio::test]
async fn cloud_events_are_taken_structured_in_batches_and_in_binary_mode() {
    let service = Service::new();
    let structured =
        |id: &str| json!({"specversion": "1.0", "id": id, "source": "/g", "type": "u", "data": event(id)});
    let reply =
        service.post("application/cloudevents+json; charset=utf-8", structured("a").to_string()).await;
    assert_eq!(reply.summary(), (1, 0, vec![]));
    let batch = json!([structured("b"), structured("c"), event("d")]).to_string();
    let reply = service.post("application/cloudevents-batch+json", batch).await;
    assert_eq!(reply.summary(), (2, 0, vec![(2, "decode".to_owned())]));
    let headers = [("content-type", "application/json"), ("ce-specversion", "1.0"), ("ce-id", "e")];
    let reply = service.send(None, &headers, event("e").to_string()).await;
    assert_eq!(reply.summary(), (1, 0, vec![]));
    let records = service.logged();
    let of_content = |record: &NewRecord| {
        record.headers.first().map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    };
    assert_eq!(of_content(&records[0]).as_deref(), Some("application/cloudevents+json"));
    assert_eq!(of_content(&records[4]), None);
    assert_eq!(records[0].key.as_deref(), Some(b"request of a".as_slice()));
}

/// The event of that id in Avro.
fn avro(id: &str) -> Vec<u8> {
    let (text, arena) = (event(id).to_string(), Arena::new());
    let record = Record { value: Some(text.as_bytes()), content_type: None, log_time: NOW };
    let decoded = Decoder::new().unwrap().decode(record, &arena).unwrap();
    Encoder::new().unwrap().avro_confluent(7, &decoded).unwrap()
}

#[tokio::test]
async fn an_avro_record_is_taken_with_its_content_type() {
    let service = Service::new();
    for content_type in ["application/avro", "avro/binary", "application/vnd.confluent.avro", ""] {
        assert_eq!(service.post(content_type, avro("a")).await.summary(), (1, 0, vec![]), "{content_type}");
    }
    let records = service.logged();
    assert_eq!(records[0].headers, [("content-type".to_owned(), b"application/avro".to_vec())]);
    assert_eq!(records[3].headers, []);
    assert!(records.iter().all(|record| record.key.as_deref() == Some(b"request of a")));
    let reply = service.post("application/avro", event("a").to_string()).await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "decode".to_owned())]));
}

/// A registry that has schema 7, or does not answer.
#[derive(Debug)]
struct Registry {
    answers: bool,
}

impl Schemas for Registry {
    fn decoder(&self) -> Arc<Decoder> {
        Arc::new(Decoder::with_registry().unwrap())
    }

    fn fetch(&self, id: u32) -> Result<Arc<Decoder>, String> {
        if !self.answers {
            return Err("connection refused".to_owned());
        }
        let mut decoder = Decoder::with_registry().unwrap();
        decoder.add_schema(id, include_str!("../../../schemas/events/usage.v1.avsc")).unwrap();
        Ok(Arc::new(decoder))
    }
}

#[tokio::test]
async fn a_schema_that_is_not_known_yet_is_fetched_first() {
    let service = Service::new();
    let intake = |answers| Intake { schemas: Arc::new(Registry { answers }), ..service.intake.clone() };
    let up = Service { intake: intake(true), log: service.log.clone() };
    assert_eq!(up.post("application/avro", avro("a")).await.summary(), (1, 0, vec![]));
    let down = Service { intake: intake(false), log: service.log.clone() };
    let reply = down.post("application/avro", avro("a")).await;
    assert!(reply.problem(StatusCode::SERVICE_UNAVAILABLE).detail.contains("schema 7"));
    assert_eq!(service.logged().len(), 1);
}

#[tokio::test]
async fn a_bound_token_fills_in_what_is_absent_and_keeps_every_other_byte() {
    let service = Service::new();
    let sent = event("a").to_string().replace(":10", ":1.0e1");
    let reply = service.send(bound(&["acme"], &["blue"]), &[], sent.clone()).await;
    assert_eq!(reply.summary(), (1, 0, vec![]));
    let expected = sent.replacen('{', "{\"customer\":\"acme\",\"team\":\"blue\",", 1);
    assert_eq!(service.values(), [expected]);
    let named = with(with(event("b"), "customer", "acme"), "team", Value::Null).to_string();
    service.send(bound(&["acme"], &["blue"]), &[], named.clone()).await.answer();
    assert_eq!(service.values()[1], named.replace("\"team\":null", "\"team\":\"blue\""));
}

#[tokio::test]
async fn an_event_that_names_another_is_forbidden_and_not_logged() {
    let service = Service::new();
    let broken = "{\"customer\":\"zeta\",";
    let lines = [
        event("a").to_string(),
        with(event("b"), "customer", "zeta").to_string(),
        with(with(event("c"), "customer", "zeta"), "model", Value::Null).to_string(),
        broken.to_owned(),
    ];
    let reply = service
        .send(bound(&["acme"], &[]), &[("content-type", "application/x-ndjson")], ndjson(&lines))
        .await;
    let forbidden = |index| (index, "forbidden".to_owned());
    assert_eq!(reply.summary(), (1, 0, vec![forbidden(1), forbidden(2), forbidden(3)]));
    assert_eq!(reply.answer().rejected[0].event_id.as_deref(), Some("b"));
    assert_eq!(service.logged().len(), 1);
}

#[tokio::test]
async fn a_request_of_forbidden_events_alone_is_answered_without_the_log() {
    let service = Service::new();
    service.log.is_down.store(true, Ordering::Relaxed);
    let reply =
        service.send(bound(&["acme"], &[]), &[], with(event("a"), "customer", "zeta").to_string()).await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "forbidden".to_owned())]));
}

#[tokio::test]
async fn a_token_of_several_needs_the_event_to_name_one_of_them() {
    let service = Service::new();
    let body =
        json!([event("a"), with(event("b"), "customer", "zeta"), with(event("c"), "customer", "other")]);
    let reply = service.send(bound(&["acme", "zeta"], &[]), &[], body.to_string()).await;
    assert_eq!(reply.summary(), (1, 0, vec![(0, "forbidden".to_owned()), (2, "forbidden".to_owned())]));
    let reply =
        service.send(bound(&["acme", "zeta"], &[]), &[("content-type", "application/x-ndjson")], "{").await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "decode".to_owned())]));
}

#[tokio::test]
async fn what_a_bound_token_sends_is_quarantined_under_its_own_name() {
    let service = Service::new();
    let lines =
        [with(event("a"), "model", Value::Null).to_string(), with(event("b"), "route", SECRET).to_string()];
    let reply = service
        .send(bound(&["acme"], &[]), &[("content-type", "application/x-ndjson")], ndjson(&lines))
        .await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "missing_field".to_owned()), (1, "secret".to_owned())]));
    for value in service.values() {
        assert!(value.starts_with("{\"customer\":\"acme\","), "{value}");
        assert!(!value.contains(SECRET), "{value}");
    }
}

#[tokio::test]
async fn an_event_that_grows_over_the_limit_when_it_is_filled_in_is_too_large() {
    let service = Service::new();
    let mut body = event("a").to_string();
    body.insert_str(1, &" ".repeat(256 * 1024 - body.len()));
    let reply = service.send(bound(&["acme"], &[]), &[], body).await;
    assert_eq!(reply.summary(), (0, 0, vec![(0, "too_large".to_owned())]));
}

#[tokio::test]
async fn avro_and_cloud_events_of_a_bound_token_are_filled_in_too() {
    let service = Service::new();
    assert_eq!(service.send(bound(&["acme"], &[]), &[], avro("a")).await.summary(), (1, 0, vec![]));
    let cloud_event =
        json!({"specversion": "1.0", "id": "b", "source": "/g", "type": "u", "data": event("b")});
    let headers = [("content-type", "application/cloudevents+json")];
    let reply = service.send(bound(&["acme"], &[]), &headers, cloud_event.to_string()).await;
    assert_eq!(reply.summary(), (1, 0, vec![]));
    let records = service.logged();
    assert_eq!(records[0].headers, []);
    for (record, id) in records.iter().zip(["a", "b"]) {
        let arena = Arena::new();
        let content_type = record.headers.first().map(|(_, value)| std::str::from_utf8(value).unwrap());
        let record = Record { value: record.value.as_deref(), content_type, log_time: NOW };
        let decoder = Decoder::new().unwrap();
        let decoded = decoder.decode(record, &arena).unwrap();
        assert_eq!((decoded.event_id, decoded.owners.customer), (id, Some("acme")));
    }
}

#[tokio::test]
async fn a_log_that_is_down_acknowledges_nothing_and_says_when_to_come_back() {
    let service = Service::new();
    service.log.is_down.store(true, Ordering::Relaxed);
    let reply = service.post("application/json", event("a").to_string()).await;
    let problem = reply.problem(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers[header::RETRY_AFTER], "5");
    assert!(!problem.detail.contains("b1.internal"), "{}", problem.detail);
}

#[tokio::test]
async fn a_large_body_is_judged_as_a_small_one_is() {
    let service = Service::new();
    let lines: Vec<_> = (0..3000).map(|n| event(&format!("e{}", n % 2000)).to_string()).collect();
    let reply = service.post("application/x-ndjson", ndjson(&lines)).await;
    assert_eq!(reply.summary(), (2000, 1000, vec![]));
    assert_eq!(service.values(), lines);
}

#[test]
fn the_openapi_document_names_the_route_and_its_answers() {
    let document = serde_json::to_value(openapi()).unwrap();
    let responses = &document["paths"]["/v1/events"]["post"]["responses"];
    for status in ["202", "400", "413", "415", "503"] {
        assert!(responses[status].is_object(), "{status}");
    }
    assert!(document["components"]["schemas"]["Answer"].is_object());
}

/// Lines of every kind: valid, repeated, broken, empty, binary.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof!["[a-d]", Just(SECRET.to_owned())];
    prop_oneof![
        4 => (id, 0..3_i32).prop_map(|(id, tokens)| {
            with(event(&id), "usage", json!({"prompt_tokens": tokens - 1})).to_string().into_bytes()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => "[ \\t\\r]{0,3}".prop_map(String::into_bytes),
        1 => Just(event("a").to_string().into_bytes()[..60].to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn accepted_duplicates_and_rejected_add_up_to_the_lines_that_are_not_blank(
        lines in prop::collection::vec(line(), 0..20),
        is_bound in any::<bool>(),
    ) {
        let body = lines.join(&b'\n');
        let count = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let service = Service::new();
        let caller = if is_bound { bound(&["acme"], &[]) } else { None };
        let headers = [("content-type", "application/x-ndjson")];
        let reply = runtime.block_on(service.send(caller, &headers, body));
        if count == 0 {
            reply.problem(StatusCode::BAD_REQUEST);
        } else {
            let answer = reply.answer();
            prop_assert_eq!(answer.events(), count);
            let is_forbidden = |rejected: &&Rejected| rejected.reason == FORBIDDEN;
            let forbidden = answer.rejected.iter().filter(is_forbidden).count();
            prop_assert_eq!(service.logged().len(), count - forbidden);
            prop_assert!(answer.rejected.iter().map(|rejected| rejected.index).is_sorted());
        }
    }
}

/// What becomes of events that are sent again from quarantine: the same verdicts, and nothing is logged by judging.
#[tokio::test]
async fn events_that_are_sent_again_are_judged_and_not_logged() {
    use schemas::judge::{Judge, Rejected, Sent};

    let service = Service::new();
    let gateway = bound(&["acme"], &[]).unwrap();
    let sent = |event: Value| Sent { value: event.to_string().into_bytes(), content_type: None };
    let events = vec![
        sent(event("e1")),
        sent(with(event("e1"), "customer", "zeta")),
        sent(with(event("e1"), "model", "another")),
        sent(with(event("e1"), "workflow", SECRET)),
        sent(event("e2")),
    ];
    let verdicts = Judge::judge(&service.intake, &gateway, events).await.unwrap();
    let reasons: Vec<Result<&str, &str>> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Ok(accepted) => Ok(accepted.event_id.as_str()),
            Err(Rejected { reason, .. }) => Err(reason.as_ref()),
        })
        .collect();
    assert_eq!(reasons, [Ok("e1"), Err("forbidden"), Err("conflict"), Err("secret"), Ok("e2")]);
    let last = verdicts.into_iter().next_back().unwrap().unwrap().record;
    assert!(String::from_utf8(last.value.unwrap()).unwrap().contains("\"customer\":\"acme\""));
    assert_eq!(last.key.as_deref(), Some(b"request of e2".as_slice()));
    assert!(service.logged().is_empty());
}

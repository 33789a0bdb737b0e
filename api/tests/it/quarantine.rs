//! Records that were not posted: found by what they are, sent again, and let go.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use api::quarantine::open::{self, Open, Owner};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures::FutureExt;
use serde_json::{Value, json};
use tests::wait::until_async;

use crate::world::World;

const FIRST: &str = "/v1/quarantine/usage.events%2F3%2F1";
const SECRET: &str = "sk-ant-0123456789abcdefghij";

/// An event in order, but for what `fields` say.
fn event(event_id: &str, fields: &Value) -> Value {
    over(
        &json!({
            "event_id": event_id, "request_id": "r", "occurred_at": "2026-11-02T10:00:00Z", "key": "k",
            "endpoint_family": "openai", "provider": "openai", "model": "gpt-5", "status": 200,
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        }),
        fields,
    )
}

/// A record in quarantine at that offset of partition 3, but for what `fields` say.
fn row(offset: u64, reason: &str, fields: &Value) -> Value {
    let raw = fields["raw"].as_str().unwrap_or("{\"x\":1}");
    over(
        &json!({
            "topic": "usage.events", "partition": 3, "offset": offset, "ordinal": 0,
            "log_time": format!("2025-11-10 12:00:{offset:02}.000"), "recorded_at": "2025-11-10 12:00:59.000",
            "reason": reason, "detail": "why", "raw": raw, "raw_length": raw.len(),
            "raw_sha256": "0123456789abcdef0123456789abcdef", "redacted": 0,
        }),
        fields,
    )
}

fn over(row: &Value, fields: &Value) -> Value {
    let mut row = row.clone();
    if let (Value::Object(row), Value::Object(fields)) = (&mut row, fields) {
        row.extend(fields.clone());
    }
    row
}

fn offsets(answer: &Value) -> Vec<u64> {
    answer["rows"].as_array().into_iter().flatten().filter_map(|row| row["offset"].as_u64()).collect()
}

async fn with(rows: &[Value]) -> Result<World> {
    let world = World::new().await?;
    world.insert("quarantine", rows).await?;
    Ok(world)
}

impl World {
    async fn ask(&self, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        self.call(Method::POST, path, &self.admin, Some(body)).await
    }

    /// The replayed events in the log, each with the record that its header names.
    fn usage(&self) -> Result<Vec<(Value, String)>> {
        let usage = self.worker.usage.lock().map_err(|_| anyhow!("a test panicked here"))?;
        usage
            .iter()
            .map(|record| {
                let of = record.headers.iter().find(|(name, _)| name == "tollbook-replays");
                let (_, of) = of.context("no record is logged here but by a replay")?;
                let value = record.value.as_deref().unwrap_or_default();
                Ok((serde_json::from_slice(value)?, String::from_utf8(of.clone())?))
            })
            .collect()
    }
}

#[tokio::test]
async fn records_are_found_by_what_they_are_and_counted_by_reason_and_state() -> Result<()> {
    let world = with(&[
        row(1, "decode", &json!({"detail": "broken JSON at byte 7"})),
        row(2, "conflict", &json!({"customer": "acme", "team": "search", "event_id": "e2"})),
        row(3, "conflict", &json!({"customer": "globex", "event_id": "e3", "partition": 4})),
        row(4, "tombstone", &json!({"topic": "other"})),
    ])
    .await?;
    for (filter, expected) in [
        ("", vec![4, 3, 2, 1]),
        ("reason=conflict&reason=decode", vec![3, 2, 1]),
        ("topic=other", vec![4]),
        ("partition=4", vec![3]),
        ("event_id=e2&event_id=e3", vec![3, 2]),
        ("customer=acme", vec![2]),
        ("team=search", vec![2]),
        ("search=BYTE%207", vec![1]),
        ("from=2025-11-10T12:00:02Z&to=2025-11-10T12:00:04Z", vec![3, 2]),
        ("state=discarded", vec![]),
        ("state=open&state=discarded&limit=1", vec![4]),
    ] {
        assert_eq!(offsets(&world.get(&format!("/v1/quarantine?{filter}")).await?), expected, "{filter}");
    }
    let (status, _) =
        world.ask("/v1/quarantine/usage.events%2F3%2F2/discard", json!({"note": "a test"})).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(offsets(&world.get("/v1/quarantine").await?), [4, 3, 1]);
    let discarded = world.get("/v1/quarantine?state=discarded").await?;
    assert_eq!(offsets(&discarded), [2]);
    assert_eq!(discarded["rows"][0]["resolution"]["note"], "a test");
    let summary = world.get("/v1/quarantine?reason=conflict&summary=true&limit=1").await?;
    let at = "2025-11-10T12:00:0";
    assert_eq!(
        summary["summary"],
        json!([
            {"reason": "conflict", "state": "discarded", "records": 1, "first_log_time": format!("{at}2Z"), "last_log_time": format!("{at}2Z")},
            {"reason": "conflict", "state": "open", "records": 1, "first_log_time": format!("{at}3Z"), "last_log_time": format!("{at}3Z")},
        ])
    );
    for (wrong, parameter) in [("state=odd", "state"), ("partition=x", "partition"), ("sarch=x", "sarch")] {
        let (status, problem) =
            world.call(Method::GET, &format!("/v1/quarantine?{wrong}"), &world.admin, None).await?;
        assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!(parameter)), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn one_record_is_shown_and_its_bytes_downloaded_and_anothers_is_missing() -> Result<()> {
    let world = with(&[row(1, "decode", &json!({"customer": "acme", "raw": "{\"a\": "}))]).await?;
    assert_eq!(world.get(FIRST).await?["id"], "usage.events/3/1");
    assert_eq!(world.get(FIRST).await?["state"], "open");
    assert_eq!(world.text(&format!("{FIRST}/raw")).await?, "{\"a\": ");
    let globex = world.token("globex", &["read", "ingest"], &["globex"], &[]).await?;
    let acme = world.token("acme", &["read", "ingest"], &["acme"], &[]).await?;
    let missing = world.call(Method::GET, "/v1/quarantine/usage.events%2F3%2F9", &globex, None).await?;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
    assert_eq!(world.call(Method::GET, FIRST, &globex, None).await?, missing);
    assert_eq!(world.call(Method::GET, "/v1/quarantine/nonsense", &globex, None).await?, missing);
    let note = || Some(json!({"note": "mine"}));
    assert_eq!(world.call(Method::POST, &format!("{FIRST}/discard"), &globex, note()).await?, missing);
    assert_eq!(world.call(Method::POST, &format!("{FIRST}/replay"), &globex, None).await?, missing);
    let read = world.token("reader", &["read"], &["acme"], &[]).await?;
    let (status, _) = world.call(Method::POST, &format!("{FIRST}/discard"), &read, note()).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = world.call(Method::POST, &format!("{FIRST}/discard"), &acme, note()).await?;
    assert_eq!(status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_corrected_event_is_logged_once_under_its_id_and_names_what_it_replays() -> Result<()> {
    let world = with(&[row(1, "missing_field", &json!({"event_id": "e1"}))]).await?;
    let replay = format!("{FIRST}/replay");
    let (status, problem) = world.ask(&replay, json!({"event": event("other", &json!({}))})).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    let fixed = event("e1", &json!({"team": "search"}));
    let (status, answer) = world.ask(&replay, json!({"event": fixed, "note": "the gateway lost it"})).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["state"], &answer["event_id"]), (&json!("replayed"), &json!("e1")));
    assert_eq!(world.usage()?, [(fixed.clone(), "usage.events/3/1".to_owned())]);
    let shown = world.get(FIRST).await?;
    assert_eq!(shown["state"], "replayed");
    assert_eq!(shown["resolution"]["replayed_as"], answer["replayed_as"]);
    assert_eq!(shown["resolution"]["event"], fixed);
    assert_eq!(shown["resolution"]["note"], "the gateway lost it");
    let (status, problem) = world.ask(&replay, json!({"event": fixed})).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(answer["operation"].as_str().unwrap_or("none")), "{detail}");
    assert!(detail.contains(answer["replayed_as"].as_str().unwrap_or("none")), "{detail}");
    let (status, _) = world.ask(&format!("{FIRST}/discard"), json!({"note": "too late"})).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(world.usage()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_sent_like_this_is_refused_and_nothing_is_logged() -> Result<()> {
    let whole = event("e", &json!({})).to_string();
    let world = with(&[
        row(1, "secret", &json!({"raw": whole, "redacted": 1})),
        row(2, "too_large", &json!({"raw": whole, "raw_length": 300_000})),
        row(3, "tombstone", &json!({"raw": "", "raw_length": 0})),
        row(4, "conflict", &json!({"raw": whole, "event_id": "e"})),
        row(5, "decode", &json!({"topic": "tollbook.commands", "partition": 0, "raw": whole})),
        row(6, "invalid_time", &json!({"raw": event("e", &json!({"occurred_at": 5})).to_string()})),
    ])
    .await?;
    let path = |offset: u64| format!("/v1/quarantine/usage.events%2F3%2F{offset}/replay");
    for (path, body, status, said) in [
        (path(1), json!({}), StatusCode::CONFLICT, "without the credential"),
        (path(2), json!({}), StatusCode::CONFLICT, "are kept"),
        (path(3), json!({}), StatusCode::CONFLICT, "no value"),
        (path(4), json!({}), StatusCode::CONFLICT, "new `event_id`"),
        (path(4), json!({"event": event("e", &json!({}))}), StatusCode::CONFLICT, "new `event_id`"),
        (
            "/v1/quarantine/tollbook.commands%2F0%2F5/replay".to_owned(),
            json!({}),
            StatusCode::CONFLICT,
            "command log",
        ),
        (path(6), json!({}), StatusCode::UNPROCESSABLE_ENTITY, "invalid_time"),
        (
            path(6),
            json!({"event": event("e", &json!({"tags": {"a": SECRET}}))}),
            StatusCode::UNPROCESSABLE_ENTITY,
            "secret",
        ),
        (
            path(6),
            json!({"event": event("e", &json!({})), "note": SECRET}),
            StatusCode::BAD_REQUEST,
            "`note`",
        ),
        (path(6), json!({"event": [1]}), StatusCode::BAD_REQUEST, "a JSON object"),
        (path(6), json!({"evnt": {}}), StatusCode::BAD_REQUEST, "evnt"),
    ] {
        let (found, problem) = world.ask(&path, body).await?;
        assert_eq!(found, status, "{path} {problem}");
        assert!(problem["detail"].as_str().unwrap_or_default().contains(said), "{path} {problem}");
        assert!(!problem.to_string().contains("sk-ant"), "{problem}");
    }
    let (_, problem) = world.ask(&path(6), json!({})).await?;
    assert_eq!(problem["reason"], "invalid_time");
    assert_eq!(world.usage()?, []);
    assert_eq!(offsets(&world.get("/v1/quarantine").await?), [6, 5, 4, 3, 2, 1]);
    let (status, _) = world.ask(&path(4), json!({"event": event("e-again", &json!({}))})).await?;
    assert_eq!(status, StatusCode::OK, "a conflict replays under a new id");
    let text = world.text("/metrics").await?;
    assert!(text.contains("tollbook_quarantine_replays_refused_total{reason=\"secret\"} 1"), "{text}");
    assert!(text.contains("tollbook_quarantine_records_resolved_total{state=\"replayed\"} 1"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_discard_says_why() -> Result<()> {
    let world = with(&[row(1, "decode", &json!({}))]).await?;
    for body in [json!({"note": " "}), json!({})] {
        let (status, _) = world.ask(&format!("{FIRST}/discard"), body).await?;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let (status, _) = world.ask("/v1/quarantine/discard", json!({"filters": {"reason": ["decode"]}})).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(offsets(&world.get("/v1/quarantine").await?), [1]);
    Ok(())
}

#[tokio::test]
async fn many_records_are_replayed_page_by_page_and_what_is_refused_stays_open() -> Result<()> {
    let raw = |id: &str| json!({"event_id": id, "raw": event(id, &json!({})).to_string()});
    let world = with(&[
        row(1, "unknown_family", &raw("e1")),
        row(2, "unknown_family", &json!({"raw": "{"})),
        row(3, "unknown_family", &raw("e3")),
        row(4, "unknown_family", &raw("e4")),
        row(5, "decode", &raw("e5")),
    ])
    .await?;
    let choice = |more: &Value| over(&json!({"filters": {"reason": ["unknown_family"]}, "limit": 3}), more);
    let (status, dry) = world.ask("/v1/quarantine/replay", choice(&json!({"dry_run": true}))).await?;
    assert_eq!((status, &dry["matching"]), (StatusCode::OK, &json!(4)), "{dry}");
    assert_eq!(dry["resolved"], json!(["usage.events/3/1", "usage.events/3/3"]));
    assert_eq!(world.usage()?, [], "a dry run does nothing");
    let (_, first) = world.ask("/v1/quarantine/replay", choice(&json!({}))).await?;
    assert_eq!(first["resolved"], dry["resolved"]);
    assert_eq!(first["refused"][0]["id"], "usage.events/3/2");
    assert_eq!(first["refused"][0]["reason"], "decode");
    let cursor = &first["next_cursor"];
    let (_, second) = world.ask("/v1/quarantine/replay", choice(&json!({"cursor": cursor}))).await?;
    assert_eq!(second["resolved"], json!(["usage.events/3/4"]));
    assert_eq!(second["next_cursor"], Value::Null);
    let sent: Vec<String> = world.usage()?.into_iter().map(|(_, of)| of).collect();
    assert_eq!(sent, ["usage.events/3/1", "usage.events/3/3", "usage.events/3/4"]);
    assert_eq!(offsets(&world.get("/v1/quarantine").await?), [5, 2]);
    let (_, again) = world.ask("/v1/quarantine/replay", choice(&json!({}))).await?;
    assert_eq!((&again["resolved"], &again["operation"]), (&json!([]), &Value::Null));
    let (_, gone) = world
        .ask("/v1/quarantine/discard", json!({"from": "2025-11-10", "to": "2025-11-11", "note": "a test"}))
        .await?;
    assert_eq!(gone["resolved"], json!(["usage.events/3/2", "usage.events/3/5"]));
    for body in [json!({"note": "all"}), json!({"filters": {"sort": ["x"]}, "note": "x"})] {
        assert_eq!(world.ask("/v1/quarantine/discard", body).await?.0, StatusCode::BAD_REQUEST);
    }
    Ok(())
}

#[tokio::test]
async fn a_replay_that_was_left_between_decision_and_log_is_finished_once() -> Result<()> {
    let fixed = event("e1", &json!({"team": "search"}));
    let raw = event("e2", &json!({}));
    let world = with(&[
        row(1, "missing_field", &json!({"event_id": "e1"})),
        row(2, "unknown_family", &json!({"event_id": "e2", "raw": raw.to_string()})),
    ])
    .await?;
    world.worker.takes_no_usage.store(true, Ordering::SeqCst);
    let (status, answer) = world.ask(&format!("{FIRST}/replay"), json!({"event": fixed})).await?;
    assert_eq!((status, &answer["replayed_as"]), (StatusCode::ACCEPTED, &Value::Null), "{answer}");
    let (status, _) = world.ask("/v1/quarantine/replay", json!({"filters": {"partition": ["3"]}})).await?;
    assert_eq!(status, StatusCode::ACCEPTED);
    let november = (1_761_955_200_000, 1_764_547_200_000);
    let open = open::count(&world.client, Owner::Customer("acme"), november.0, november.1).await?;
    assert_eq!(open, Open { own: 0, unnamed: 2 }, "what is not in the log waits still");
    world.worker.takes_no_usage.store(false, Ordering::SeqCst);

    let mut chores = world.chores()?.run().boxed();
    let is_done = until_async("both records to be replayed", Duration::from_secs(60), async || {
        let shown = world.get("/v1/quarantine?state=replayed").await?;
        let rows = shown["rows"].as_array().context("rows")?;
        let sent = rows.iter().filter(|row| row["resolution"]["replayed_as"].is_string());
        Ok((sent.count() == 2).then_some(()))
    });
    tokio::select! {
        () = &mut chores => {}
        done = is_done => done?,
    }
    let mut sent = world.usage()?;
    sent.sort_by_key(|(_, of)| of.clone());
    assert_eq!(sent, [(fixed, "usage.events/3/1".to_owned()), (raw, "usage.events/3/2".to_owned())]);
    let open = open::count(&world.client, Owner::Team("search"), november.0, november.1).await?;
    assert_eq!(open, Open { own: 0, unnamed: 0 });
    Ok(())
}

#[tokio::test]
async fn what_waits_is_counted_for_a_customer_and_for_a_team() -> Result<()> {
    let world = with(&[
        row(1, "decode", &json!({})),
        row(2, "secret", &json!({"customer": "acme", "team": "search"})),
        row(3, "secret", &json!({"customer": "acme", "log_time": "2025-12-01 00:00:00.000"})),
        row(4, "decode", &json!({"topic": "tollbook.commands"})),
    ])
    .await?;
    // 2025-11-01 to 2025-12-01.
    let (from, to) = (1_761_955_200_000, 1_764_547_200_000);
    let acme = open::count(&world.client, Owner::Customer("acme"), from, to).await?;
    assert_eq!(acme, Open { own: 1, unnamed: 1 });
    assert_eq!(open::count(&world.client, Owner::Customer("acme"), from, to + 1).await?.own, 2);
    let search = open::count(&world.client, Owner::Team("search"), from, to).await?;
    assert_eq!(search, Open { own: 1, unnamed: 1 });
    Ok(())
}

#[tokio::test]
async fn a_replay_without_a_body_sends_the_record_itself() -> Result<()> {
    let raw = event("e1", &json!({"note of ours": 1.50}));
    let world = with(&[row(1, "unknown_family", &json!({"event_id": "e1", "raw": raw.to_string()}))]).await?;
    let response = world.send(Method::POST, &format!("{FIRST}/replay"), Body::empty(), &[]).await?;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.usage()?, [(raw, "usage.events/3/1".to_owned())]);
    Ok(())
}

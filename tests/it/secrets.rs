//! A planted credential, in every place where one can stand, is on no disk of ours, in no log and in no answer.

use std::path::Path;

use schemas::log::NewRecord;

use crate::embedded::Embedded;
use crate::world::{PATIENCE, TOPIC, World};

/// What is looked for: the middle of every planted credential.
const CORE: &str = "a1B2c3D4PLANTED5e6F7g8H9";

fn secret() -> String {
    format!("sk-{CORE}")
}

/// Events with the credential in one place each.
fn events() -> Vec<String> {
    let texts = [
        "event_id",
        "request_id",
        "fallback_from",
        "key",
        "team",
        "app",
        "environment",
        "customer",
        "project",
        "end_user",
        "workflow",
        "provider",
        "model",
        "alias",
        "provider_account",
        "route",
        "region",
        "service_tier",
        "processing",
        "speed",
        "error_class",
        "gateway",
        "an_unknown_field",
        "endpoint_family",
    ];
    let plain = |id: usize, member: String| {
        let required = [
            ("event_id", format!("e{id}")),
            ("request_id", format!("r{id}")),
            ("key", "k".to_owned()),
            ("endpoint_family", "openai".to_owned()),
            ("provider", "openai".to_owned()),
            ("model", "gpt-5.5".to_owned()),
        ];
        let kept: Vec<String> = required
            .iter()
            .filter(|(name, _)| !member.starts_with(&format!("\"{name}\"")))
            .map(|(name, value)| format!(r#""{name}":"{value}""#))
            .collect();
        format!(r#"{{{},"occurred_at":"2026-11-02T10:00:00Z","status":200,{member}}}"#, kept.join(","))
    };
    let secret = secret();
    let mut members: Vec<String> = texts.iter().map(|name| format!(r#""{name}":"{secret}""#)).collect();
    members.extend([
        format!(r#""tags":{{"t":"{secret}"}}"#),
        format!(r#""tags":{{"{secret}":"t"}}"#),
        format!(r#""usage":{{"prompt_tokens":1,"note":"{secret}"}}"#),
        format!(r#""usage":{{"{secret}":1}}"#),
        format!(r#""context":{{"deep":[{{"er":"Bearer {secret}"}}]}}"#),
        format!(r#""units":{{"{secret}":1}}"#),
        format!(r#""reported_cost":{{"amount":"{secret}","currency":"USD","source":"x"}}"#),
        format!(r#""outcome":"{secret}""#),
        format!(r#""occurred_at2":"{secret}","status":"{secret}""#),
        format!(r#""alias":"\u0073k-{CORE}""#),
        format!(r#""{secret}":1"#),
        format!(r#""padding":"{}","alias":"{secret}""#, "x".repeat(300_000)),
    ]);
    let mut events: Vec<String> =
        members.into_iter().enumerate().map(|(id, member)| plain(id, member)).collect();
    // Broken in the middle, behind the credential.
    let whole = plain(900, format!(r#""alias":"{secret}""#));
    events.push(whole[..whole.len() - 2].to_owned());
    events.push(format!("no JSON at all, but {secret} in it"));
    events.push(format!(r#"["{secret}"]"#));
    events
}

fn assert_not_in(what: &str, text: &str) {
    let at = text.find(CORE);
    assert!(at.is_none(), "{what} has the credential: {:?}", at.map(|at| &text[at.saturating_sub(300)..at]));
}

fn assert_in_no_file_of(folder: &Path) {
    for item in std::fs::read_dir(folder).unwrap().flatten() {
        let path = item.path();
        // What a merge has removed meanwhile needs no look.
        let Ok(kind) = item.file_type() else { continue };
        if kind.is_dir() {
            assert_in_no_file_of(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let found = bytes.windows(CORE.len()).any(|window| window == CORE.as_bytes());
            assert!(!found, "{} has the credential", path.display());
        }
    }
}

/// Parts are compressed, so every column is asked too.
fn assert_in_no_column(world: &World) {
    let columns: Vec<(String, String)> = world
        .runtime
        .block_on(
            world
                .store()
                .query("SELECT table, name FROM system.columns WHERE database = currentDatabase()")
                .fetch_all(),
        )
        .unwrap();
    assert!(columns.len() > 100);
    for (table, name) in columns {
        let sql = format!("SELECT countIf(position(toString(`{name}`), '{CORE}') > 0) FROM `{table}`");
        assert_eq!(world.number(&sql), 0, "{table}.{name}");
    }
}

#[test]
fn a_credential_anywhere_in_an_event_from_kafka_reaches_neither_the_store_nor_a_log() {
    let world = World::start(1);
    let worker = world.worker();
    world.wait_for_prices();
    let events = events();
    let mut records: Vec<NewRecord> = events
        .iter()
        .map(|event| NewRecord { key: None, value: Some(event.clone().into_bytes()), headers: Vec::new() })
        .collect();
    for name in ["content-type", "ce_source", "authorization"] {
        records.push(NewRecord {
            key: Some(secret().into_bytes()),
            value: Some(events[0].replace(CORE, "short").into_bytes()),
            headers: vec![(name.to_owned(), secret().into_bytes())],
        });
    }
    let count = u64::try_from(records.len()).unwrap();
    world.send(TOPIC, records.into_iter());
    world.wait_until_received(count);
    for (event, offset) in events.iter().zip(0..) {
        let fate = world.fate_of(offset);
        let shown: String = event.chars().take(400).collect();
        assert_eq!(fate, "secret", "{shown}");
    }
    assert_in_no_column(&world);
    assert_in_no_file_of(world.engine.data());
    assert_not_in("the worker's log", &worker.log());
    assert_not_in("the engine's log", &world.engine.log());
}

#[test]
fn a_credential_anywhere_in_a_request_reaches_no_disk_no_log_and_no_answer() {
    let mut embedded = Embedded::start();
    let secret = secret();
    let events = events();
    for event in &events {
        for path in ["/v1/events", "/v1/intake/litellm", "/v1/no/such/path", "/v1/models", "/v1/tokens"] {
            let (_, answer) = embedded.post(path, &[("content-type", "application/json")], event).unwrap();
            assert_not_in(path, &answer);
        }
        let line = [("content-type", "application/x-ndjson")];
        let (status, answer) = embedded.post("/v1/events", &line, event).unwrap();
        assert_eq!(status, 202, "{answer}");
        assert_not_in("the answer to a line", &answer);
    }
    for (name, value) in [
        ("content-type", secret.as_str()),
        ("content-encoding", &secret),
        ("user-agent", &secret),
        ("x-request-id", &secret),
        ("ce-source", &secret),
    ] {
        let (_, answer) = embedded.post("/v1/events", &[(name, value)], &events[0]).unwrap();
        assert_not_in(name, &answer);
    }
    for path in ["/v1/spend?from=SECRET", "/v1/requests/SECRET", "/v1/spend?team=SECRET&cursor=SECRET"] {
        let url = embedded.url(&path.replace("SECRET", &secret));
        let request = embedded.http.get(url).bearer_auth(&secret);
        let answer = embedded.runtime.block_on(async { request.send().await?.text().await }).unwrap();
        assert_not_in(path, &answer);
    }
    let quarantine = embedded.get("/v1/quarantine?limit=1000");
    assert!(quarantine.to_string().contains("secret"));
    assert_not_in("the quarantine", &quarantine.to_string());
    assert_not_in("the metrics", &embedded.text("/metrics"));
    embedded.process.terminate().unwrap();
    embedded.process.wait(PATIENCE).unwrap();
    assert_not_in("the log", &embedded.process.log());
    assert_in_no_file_of(embedded.folder.path());
}

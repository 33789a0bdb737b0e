//! Entries, proofs and quarantine.

use anyhow::Result;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

const NOVEMBER: &str = "from=2026-11-01&to=2026-12-01";

#[tokio::test]
async fn the_proof_shows_every_attempt_line_and_where_it_came_from() -> Result<()> {
    let world = World::new().await?;
    world
        .insert(
            "model_rows",
            &[json!({
                "topic": "tollbook.commands", "partition": 0, "offset": 0, "ordinal": 0, "row_id": "openai/gpt-5@1",
                "provider": "openai", "model": "gpt-5", "currency": "USD", "effective_from": null,
                "known_from": "2026-01-01 00:00:00.000", "source": "litellm", "source_version": "v7", "body": "{}",
            })],
        )
        .await?;
    // The first attempt failed and owes nothing. The second made two entries: 10 × 2 + 5 × 4 = 40, and a search
    // at 0.01; together 40.01.
    world
        .post(&[
            json!({"request_id": "req", "status": 500, "outcome": "not_billed", "error_class": "provider_error",
                   "input_uncached_tokens": 0, "output_text_tokens": 0, "list_cost": "0", "cost": "0", "charge": "0",
                   "usage": ""}),
            json!({"request_id": "req", "attempt": 2, "requests": 0, "attempt_kind": "fallback",
                   "fallback_from": "gpt-5-pro", "basis_units": ["output_text_tokens"], "bases": ["derived"],
                   "tags": {"env": "x"}, "context": "{\"a\": 1.50}"}),
            json!({"request_id": "req", "attempt": 2, "requests": 0, "attempts": 0, "offset": 1, "ordinal": 1,
                   "model": "search", "input_uncached_tokens": 0, "output_text_tokens": 0,
                   "line_units": ["web_search_calls", "images"], "line_quantities": ["1", "2"],
                   "line_prices": ["10 per 1000", ""], "line_amounts": ["0.01", "0"], "unpriced": 1,
                   "unpriced_units": ["images"], "basis_units": ["images"],
                   "bases": ["unpriced:no_price"], "list_cost": "0.01", "cost": "0.01", "charge": "0.01"}),
        ])
        .await?;
    let proof = world.get("/v1/requests/req").await?;
    assert_eq!(proof["owner"]["customer"], "acme");
    assert_eq!(proof["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(proof["attempts"][0]["status"], 500);
    assert_eq!(proof["attempts"][0]["usage"], Value::Null);
    assert_eq!(proof["attempts"][0]["lines"], json!([]));
    let second = &proof["attempts"][1];
    assert_eq!(second["usage"], json!({"prompt_tokens": 10}));
    assert_eq!(
        second["lines"],
        json!([
            {"unit": "input_uncached_tokens", "quantity": "10", "unit_price": "2", "amount": "20", "price_basis": "own"},
            {"unit": "output_text_tokens", "quantity": "5", "unit_price": "4", "amount": "20", "price_basis": "derived"}
        ])
    );
    assert_eq!(
        second["entries"][1]["lines"],
        json!([
            {"unit": "web_search_calls", "quantity": "1", "unit_price": "10 per 1000", "amount": "0.01", "price_basis": "own"},
            {"unit": "images", "quantity": "2", "unit_price": null, "amount": null, "price_basis": "unpriced"}
        ])
    );
    assert_eq!(second["units"], json!({"input_uncached_tokens": "10", "output_text_tokens": "5"}));
    assert_eq!(
        second["quantities"],
        json!({"input_uncached_tokens": "10", "output_text_tokens": "5", "web_search_calls": "1", "images": "2"})
    );
    assert_eq!(second["cost"], "40.01");
    assert_eq!(second["unpriced_units"], json!(["images"]));
    assert_eq!(second["route"]["model"], "gpt-5");
    assert_eq!(second["fallback_from"], "gpt-5-pro");
    assert_eq!(second["model_row"]["id"], "openai/gpt-5@1");
    assert_eq!(second["model_row"]["source"], "litellm");
    assert_eq!(second["model_row"]["version"], "v7");
    assert_eq!(second["model_row"]["matched_by"], "exact");
    assert_eq!(second["origin"], json!({"topic": "usage.events", "partition": 0, "offset": 1, "ordinal": 0}));
    assert_eq!(second["invoice"], "open period 2026-11");
    assert_eq!(
        proof["totals"],
        json!([{"currency": "USD", "charge_currency": "USD", "list_cost": "40.01", "cost": "40.01", "charge": "40.01"}])
    );
    assert_eq!(proof["corrections"], json!([]));
    assert_eq!(proof["unpriced"], json!({"entries": 1, "units": {"images": 1}}));
    let text = world.text("/v1/requests/req").await?;
    assert!(text.contains("{\"a\": 1.50}"), "the context is shown as it was sent");
    Ok(())
}

#[tokio::test]
async fn a_foreign_request_is_missing_like_one_that_is_not_there() -> Result<()> {
    let world = World::new().await?;
    world.post(&[json!({"request_id": "mine/1", "customer": "acme"})]).await?;
    let globex = world.token("globex", &["read"], &["globex"], &[]).await?;
    let (foreign, foreign_problem) = world.call(Method::GET, "/v1/requests/mine%2F1", &globex, None).await?;
    let (missing, missing_problem) = world.call(Method::GET, "/v1/requests/none", &globex, None).await?;
    assert_eq!((foreign, foreign_problem), (missing, missing_problem));
    assert_eq!(foreign, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/v1/requests/mine%2F1").await?["request_id"], "mine/1");
    Ok(())
}

#[tokio::test]
async fn entries_come_newest_first_in_pages_and_whole_as_an_export() -> Result<()> {
    let world = World::new().await?;
    let entries: Vec<Value> = (0..5)
        .map(|hour| json!({"occurred_at": format!("2026-11-10 0{hour}:00:00.000"), "team": "=cmd()"}))
        .collect();
    world.post(&entries).await?;
    world.post(&[json!({"offset": 9, "occurred_at": "2026-11-10 04:00:00.000", "charge": "-1.25", "event_id": "a,b"})]).await?;
    let ids = |answer: &Value| -> Vec<String> {
        answer["rows"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["event_id"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let first = world.get(&format!("/v1/entries?{NOVEMBER}&limit=4")).await?;
    assert_eq!(ids(&first), ["a,b", "e4", "e3", "e2"]);
    let cursor = first["next_cursor"].as_str().unwrap_or_default().to_owned();
    let second = world.get(&format!("/v1/entries?{NOVEMBER}&limit=4&cursor={cursor}")).await?;
    assert_eq!(ids(&second), ["e1", "e0"]);
    assert_eq!(second["next_cursor"], Value::Null);
    let ndjson = world.text(&format!("/v1/entries?{NOVEMBER}&format=ndjson")).await?;
    assert_eq!(ndjson.lines().count(), 6);
    let csv = world.text(&format!("/v1/entries?{NOVEMBER}&format=csv")).await?;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("event_id,request_id,kind,occurred_at"));
    assert!(lines[1].starts_with("\"a,b\",r0,usage,2026-11-10T04:00:00Z"));
    assert!(lines[1].contains(",-1.25,"), "a negative amount stays a number");
    assert!(lines[2].contains(",'=cmd(),"), "a text that begins like a formula does not");
    let filtered = world.get(&format!("/v1/entries?{NOVEMBER}&team=search&unit=output_*")).await?;
    assert_eq!(ids(&filtered), ["a,b"]);
    let (status, problem) =
        world.call(Method::GET, &format!("/v1/entries?{NOVEMBER}&format=xml"), &world.admin, None).await?;
    assert_eq!(
        (status, &problem["allowed"]),
        (StatusCode::BAD_REQUEST, &json!(["json", "ndjson", "csv", "parquet"]))
    );
    let (status, _) = world
        .call(Method::GET, &format!("/v1/entries?{NOVEMBER}&format=csv&limit=3"), &world.admin, None)
        .await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn an_export_of_several_chunks_has_every_entry_once() -> Result<()> {
    let world = World::new().await?;
    world
        .client
        .query(
            "INSERT INTO entries (event_id, occurred_at, topic, offset, kind, attempts, requests, currency, write_before) \
             SELECT concat('e', toString(number)), toDateTime64('2026-11-10 00:00:00', 3, 'UTC') + intDiv(number, 3), \
             'usage.events', number, 'usage', 1, 1, 'USD', '2200-01-01' FROM numbers(10001)",
        )
        .execute()
        .await?;
    let ndjson = world.text(&format!("/v1/entries?{NOVEMBER}&format=ndjson")).await?;
    let mut offsets: Vec<u64> = ndjson
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["origin"]["offset"].as_u64())
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..10001).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn quarantine_is_listed_newest_first_and_a_bound_token_sees_its_own() -> Result<()> {
    let world = World::new().await?;
    let row = |offset: u64, reason: &str, customer: &str| {
        json!({
            "topic": "usage.events", "partition": 3, "offset": offset, "ordinal": 0,
            "log_time": format!("2026-11-10 12:00:0{offset}.000"), "recorded_at": "2026-11-10 12:00:09.000",
            "reason": reason, "detail": "why", "customer": customer, "raw": "{\"x\":1}", "raw_length": 7,
            "raw_sha256": "0123456789abcdef0123456789abcdef", "redacted": 0,
        })
    };
    world
        .insert(
            "quarantine",
            &[row(1, "decode", ""), row(2, "conflict", "acme"), row(3, "conflict", "globex")],
        )
        .await?;
    let ids = |answer: &Value| -> Vec<Value> {
        answer["rows"].as_array().into_iter().flatten().map(|row| row["id"].clone()).collect()
    };
    let answer = world.get("/v1/quarantine?limit=2").await?;
    assert_eq!(ids(&answer), ["usage.events/3/3", "usage.events/3/2"]);
    assert_eq!(answer["rows"][0]["raw"], "{\"x\":1}");
    assert_eq!(answer["rows"][0]["raw_encoding"], "text");
    let cursor = answer["next_cursor"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        ids(&world.get(&format!("/v1/quarantine?limit=2&cursor={cursor}")).await?),
        ["usage.events/3/1"]
    );
    assert_eq!(ids(&world.get("/v1/quarantine?reason=decode").await?), ["usage.events/3/1"]);
    assert_eq!(ids(&world.get("/v1/quarantine?to=2026-11-10T12:00:02Z").await?), ["usage.events/3/1"]);
    let acme = world.token("acme", &["read"], &["acme"], &[]).await?;
    let (_, answer) = world.call(Method::GET, "/v1/quarantine", &acme, None).await?;
    assert_eq!(ids(&answer), ["usage.events/3/2"]);
    let (status, problem) = world.call(Method::GET, "/v1/quarantine?reason=odd", &world.admin, None).await?;
    assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!("reason")));
    Ok(())
}

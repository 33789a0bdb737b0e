//! Changes through the log: tokens and prices.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_minted_token_works_at_once_and_a_revoked_one_no_longer() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"name": "dashboard", "scopes": ["read"], "customers": ["acme"]});
    let (status, minted) = world.call(Method::POST, "/v1/tokens", &world.admin, Some(body)).await?;
    assert_eq!(status, StatusCode::CREATED, "{minted}");
    let (id, token) =
        (minted["id"].as_str().unwrap_or_default(), minted["token"].as_str().unwrap_or_default());
    assert!(token.starts_with(&format!("tb_{id}_")));
    assert_eq!(world.call(Method::GET, "/v1/spend", token, None).await?.0, StatusCode::OK);
    let listed = world.get("/v1/tokens").await?;
    assert!(!listed.to_string().contains(token), "the text of a token is never shown again");
    let (status, _) = world.call(Method::DELETE, &format!("/v1/tokens/{id}"), &world.admin, None).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.call(Method::GET, "/v1/spend", token, None).await?.0, StatusCode::UNAUTHORIZED);
    let listed = world.get("/v1/tokens").await?;
    let revoked: Vec<&Value> =
        listed["rows"].as_array().into_iter().flatten().filter(|token| token["revoked"] == true).collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["customers"], json!(["acme"]));
    let (status, _) = world.call(Method::DELETE, "/v1/tokens/none", &world.admin, None).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_rotated_token_works_beside_its_successor_until_the_overlap_ends() -> Result<()> {
    let world = World::new().await?;
    let old = world.token("dashboard", &["read"], &["acme"], &[]).await?;
    let rotate =
        |body: Value| world.call(Method::POST, "/v1/tokens/dashboard/rotate", &world.admin, Some(body));
    let (status, minted) = rotate(json!({"overlap_hours": 1})).await?;
    assert_eq!(status, StatusCode::CREATED, "{minted}");
    let new = minted["token"].as_str().unwrap_or_default().to_owned();
    for token in [&old, &new] {
        assert_eq!(world.call(Method::GET, "/v1/spend", token, None).await?.0, StatusCode::OK);
    }
    let listed = world.get("/v1/tokens").await?;
    let of =
        |id: &Value| listed["rows"].as_array().into_iter().flatten().find(|row| row["id"] == *id).cloned();
    let successor = of(&minted["id"]).unwrap_or_default();
    assert_eq!(successor["customers"], json!(["acme"]), "{listed}");
    assert_eq!(successor["expires_at"], Value::Null);
    assert!(of(&json!("dashboard")).unwrap_or_default()["expires_at"].is_string(), "{listed}");
    // Without an overlap, the one before ends at once.
    let (status, last) = rotate(json!({"overlap_hours": 0})).await?;
    assert_eq!(status, StatusCode::CREATED, "{last}");
    assert_eq!(world.call(Method::GET, "/v1/spend", &old, None).await?.0, StatusCode::UNAUTHORIZED);
    let (status, problem) = rotate(json!({"overlap_hours": 721})).await?;
    assert_eq!((status, &problem["parameter"]), (StatusCode::BAD_REQUEST, &json!("overlap_hours")));
    let path = "/v1/tokens/none/rotate";
    let (status, _) = world.call(Method::POST, path, &world.admin, Some(json!({}))).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn the_audit_log_has_every_change_newest_first_also_the_refused_ones() -> Result<()> {
    let world = World::new().await?;
    let mint = |name: &str| json!({"name": name, "scopes": ["read"]});
    world.call(Method::POST, "/v1/tokens", &world.admin, Some(mint("first"))).await?;
    let (_, minted) = world.call(Method::POST, "/v1/tokens", &world.admin, Some(mint("second"))).await?;
    world.worker.refuses.store(true, Ordering::SeqCst);
    let (status, _) = world.call(Method::POST, "/v1/tokens", &world.admin, Some(mint("third"))).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    let log = world.get("/v1/audit-log").await?;
    let shown: Vec<_> = log["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| (row["offset"].clone(), row["outcome"].clone(), row["change"]["name"].clone()))
        .collect();
    assert_eq!(
        shown,
        [
            (json!(2), json!("refused"), json!("third")),
            (json!(1), json!("applied"), json!("second")),
            (json!(0), json!("applied"), json!("first")),
        ]
    );
    assert!(!log.to_string().contains(minted["token"].as_str().unwrap_or_default()));
    assert_eq!(log["rows"][1]["actor"], "admin");
    let page = world.get("/v1/audit-log?limit=1&outcome=applied&name=mint_token&actor=admin").await?;
    assert_eq!(page["rows"][0]["change"]["name"], "second");
    let cursor = page["next_cursor"].as_str().unwrap_or_default();
    let path = format!("/v1/audit-log?limit=1&outcome=applied&name=mint_token&actor=admin&cursor={cursor}");
    let page = world.get(&path).await?;
    assert_eq!((&page["rows"][0]["change"]["name"], &page["next_cursor"]), (&json!("first"), &Value::Null));
    let bound = world.token("bound", &["admin"], &["acme"], &[]).await?;
    let (status, _) = world.call(Method::GET, "/v1/audit-log", &bound, None).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn what_a_token_may_do_is_what_its_scopes_say() -> Result<()> {
    let world = World::new().await?;
    let read = world.token("reader", &["read"], &[], &[]).await?;
    let ingest = world.token("gateway", &["ingest"], &["acme"], &[]).await?;
    for (method, path, token, expected) in [
        (Method::GET, "/v1/spend", "", StatusCode::UNAUTHORIZED),
        (Method::GET, "/v1/spend", "tb_x_y", StatusCode::UNAUTHORIZED),
        (Method::GET, "/v1/spend", ingest.as_str(), StatusCode::FORBIDDEN),
        (Method::GET, "/v1/spend", read.as_str(), StatusCode::OK),
        (Method::GET, "/v1/tokens", read.as_str(), StatusCode::FORBIDDEN),
        (Method::POST, "/v1/models", read.as_str(), StatusCode::FORBIDDEN),
        (Method::GET, "/v1/audit", read.as_str(), StatusCode::FORBIDDEN),
        (Method::POST, "/v1/events", read.as_str(), StatusCode::FORBIDDEN),
        (Method::POST, "/v1/events", ingest.as_str(), StatusCode::OK),
        (Method::POST, "/v1/events", world.admin.as_str(), StatusCode::OK),
    ] {
        let (status, body) = world.call(method.clone(), path, token, None).await?;
        assert_eq!(status, expected, "{method} {path} {body}");
    }
    let (_, problem) = world.call(Method::GET, "/v1/audit", &read, None).await?;
    assert!(problem["detail"].as_str().unwrap_or_default().contains("`admin`"));
    let (_, caller) = world.call(Method::POST, "/v1/events", &ingest, None).await?;
    assert_eq!(caller, json!({"customers": ["acme"]}));
    let bound = world.token("bound", &["admin"], &["acme"], &[]).await?;
    for path in ["/v1/tokens", "/v1/audit"] {
        assert_eq!(world.call(Method::GET, path, &bound, None).await?.0, StatusCode::FORBIDDEN, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn prices_are_shown_first_then_published_then_listed_by_version() -> Result<()> {
    let world = World::new().await?;
    let row = |id: &str, from: Value, price: &str| {
        let text = format!(
            "{{\"id\":\"{id}\",\"provider\":\"openai\",\"model\":\"gpt-5\",\"currency\":\"USD\",\"effective_from\":{from},\
             \"prices\":[{{\"unit\":\"input_uncached_tokens\",\"amount\":\"{price}\"}}]}}"
        );
        serde_json::value::RawValue::from_string(text)
    };
    let body = |rows: &[Box<serde_json::value::RawValue>], dry_run: bool| {
        let rows: Vec<&str> = rows.iter().map(|row| row.get()).collect();
        format!("{{\"rows\":[{}],\"dry_run\":{dry_run}}}", rows.join(","))
    };
    let first = row("a@1", Value::Null, "0.10000000000000000001")?;
    let second = row("a@2", json!("2026-11-01T00:00:00Z"), "0.2")?;
    let dry = world.post_text("/v1/models", &body(std::slice::from_ref(&first), true)).await?;
    assert_eq!((dry.0, &dry.1["new"]), (StatusCode::OK, &json!(["a@1"])));
    assert_eq!(world.get("/v1/models").await?["rows"], json!([]), "a dry run changes nothing");
    let done = world.post_text("/v1/models", &body(std::slice::from_ref(&first), false)).await?;
    assert_eq!((done.0, &done.1["operation"]["state"]), (StatusCode::OK, &json!("applied")), "{}", done.1);
    let again = world.post_text("/v1/models", &body(&[first, second], false)).await?;
    assert_eq!(again.1["unchanged"], json!(["a@1"]));
    assert_eq!((&again.1["new"], &again.1["changed"]), (&json!([]), &json!(["a@2"])));
    let text = world.text("/v1/models?model=gpt-5").await?;
    assert!(text.contains("0.10000000000000000001"), "every digit is kept");
    let at = |answer: &Value| -> Vec<Value> {
        answer["rows"].as_array().into_iter().flatten().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(at(&world.get("/v1/models?at=2026-10-31").await?), ["a@1"]);
    assert_eq!(at(&world.get("/v1/models?at=2026-11-01").await?), ["a@2"]);
    let operation = again.1["operation"]["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(world.get(&format!("/v1/operations/{operation}")).await?["state"], "applied");
    Ok(())
}

fn any_row(id: &str) -> Value {
    json!({"id": id, "model": "m", "currency": "USD", "prices": []})
}

#[tokio::test]
async fn a_refused_change_is_a_conflict_that_says_why() -> Result<()> {
    let world = World::new().await?;
    world.worker.refuses.store(true, Ordering::SeqCst);
    let (status, problem) =
        world.call(Method::POST, "/v1/models", &world.admin, Some(json!({"rows": [any_row("a")]}))).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap_or_default().starts_with("the price book has changed"));
    Ok(())
}

#[tokio::test]
async fn a_change_that_nobody_carries_out_in_time_becomes_an_operation_to_look_up() -> Result<()> {
    let world = World::new().await?;
    world.worker.is_away.store(true, Ordering::SeqCst);
    let world = world.waiting(Duration::from_millis(100))?;
    let (status, answer) =
        world.call(Method::POST, "/v1/models", &world.admin, Some(json!({"rows": [any_row("a")]}))).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let id = answer["operation"]["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(world.get(&format!("/v1/operations/{id}")).await?["state"], "pending");
    let (status, _) = world.call(Method::GET, "/v1/operations/none", &world.admin, None).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    Ok(())
}

//! Markups, accounts and owners: set by versions, listed as of an instant, tried without being set, seen by those whom
//! they concern.

use anyhow::Result;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::World;

async fn post(world: &World, path: &str, body: Value) -> Result<(StatusCode, Value)> {
    world.call(Method::POST, path, &world.admin, Some(body)).await
}

/// One field of all rows.
fn column(answer: &Value, name: &str) -> Vec<Value> {
    answer["rows"].as_array().into_iter().flatten().map(|row| row[name].clone()).collect()
}

#[tokio::test]
async fn a_markup_is_set_by_version_and_listed_as_of_an_instant() -> Result<()> {
    let world = World::new().await?;
    let acme = |percent: &str| json!({"id": "acme", "scope": {"customer": "acme"}, "percent": percent});
    let (status, answer) = post(&world, "/v1/markups", acme("20")).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["set"], json!([{"id": "acme", "version": 1, "effective_from": null}]));
    let mut later = acme("25.5");
    later["effective_from"] = json!("2026-11-05T00:00:00Z");
    later["based_on"] = json!(1);
    assert_eq!(post(&world, "/v1/markups", later.clone()).await?.1["set"][0]["version"], 2);

    let all = world.get("/v1/markups").await?;
    assert_eq!(column(&all, "version"), [1, 2]);
    assert_eq!(column(&all, "percent"), ["20", "25.5"]);
    assert_eq!(column(&all, "effective_from"), [Value::Null, json!("2026-11-05T00:00:00Z")]);
    assert_eq!(all["rows"][0]["known_from"], "2026-11-10T12:00:00Z");
    assert_eq!(all["rows"][0]["scope"], json!({"customer": "acme"}));
    let at = |at: &str| format!("/v1/markups?at={at}");
    assert_eq!(column(&world.get(&at("2026-11-04T23:59:59.999Z")).await?, "version"), [1]);
    assert_eq!(column(&world.get(&at("2026-11-05T00:00:00Z")).await?, "version"), [2]);

    let (status, problem) = post(&world, "/v1/markups", later).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("is at version 2") && detail.contains("prepared on version 1"), "{detail}");

    let page = world.get("/v1/markups?limit=1").await?;
    let cursor = page["next_cursor"].as_str().unwrap_or_default();
    let next = world.get(&format!("/v1/markups?limit=1&cursor={cursor}")).await?;
    assert_eq!((column(&next, "version"), &next["next_cursor"]), (vec![json!(2)], &Value::Null));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_set_and_sets_nothing() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"rows": [{"key": "k", "team": "search"}], "dry_run": true});
    let (status, answer) = post(&world, "/v1/owners", body).await?;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["dry_run"], true);
    assert_eq!(answer["set"], json!([{"id": "k", "version": 1, "effective_from": null}]));
    assert_eq!(answer["operation"], Value::Null);
    assert_eq!(world.get("/v1/owners").await?["rows"], json!([]));
    let refused = json!({"key": "k", "ended": true});
    let (status, problem) = post(&world, "/v1/owners?dry_run=true", refused).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap_or_default().contains("to end"), "{problem}");
    Ok(())
}

#[tokio::test]
async fn what_an_account_cannot_be_is_a_bad_request_and_what_it_may_not_become_a_conflict() -> Result<()> {
    let world = World::new().await?;
    let account = json!({"id": "acme", "kind": "customer", "currency": "EUR", "time_zone": "Europe/Berlin"});
    assert_eq!(post(&world, "/v1/accounts", account.clone()).await?.0, StatusCode::OK);
    let shown = world.get("/v1/accounts").await?;
    assert_eq!(
        (column(&shown, "name"), column(&shown, "grace_hours")),
        (vec![json!("acme")], vec![json!(24)])
    );
    let mut moved = account.clone();
    moved["time_zone"] = json!("America/New_York");
    let (status, problem) = post(&world, "/v1/accounts", moved).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap_or_default().contains("never changes"), "{problem}");
    let mut nowhere = account;
    nowhere["time_zone"] = json!("Mars/Olympus");
    let (status, problem) = post(&world, "/v1/accounts", nowhere).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap_or_default().contains("no time zone"), "{problem}");
    let unknown = json!({"id": "x", "kind": "team", "currency": "EUR", "tz": "UTC"});
    assert_eq!(post(&world, "/v1/accounts", unknown).await?.0, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn owners_come_in_bulk_as_csv_and_a_deleted_key_keeps_its_history() -> Result<()> {
    let world = World::new().await?;
    let csv = "key,team,customer,cost_center,effective_from,ended\n\
               a,search,acme,cc-1,,\n\
               b,ads,,,,\n\
               a,,,,2026-11-05T00:00:00Z,true\n";
    for (expected, unchanged) in [(3, 0), (0, 2)] {
        // The second time, the version that ended the key is the last one, so that `a` would be set anew.
        let csv = if unchanged == 0 {
            csv.to_owned()
        } else {
            "key,team,ended,effective_from\nb,ads,,\na,,true,2026-11-05T00:00:00Z\n".to_owned()
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri("/v1/owners")
            .header("authorization", format!("Bearer {}", world.admin))
            .header("content-type", "text/csv; charset=utf-8")
            .body(Body::from(csv))?;
        let response = world.router.clone().oneshot(request).await?;
        assert_eq!(response.status(), StatusCode::OK);
        let answer: Value =
            serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await?)?;
        assert_eq!(answer["set"].as_array().map(Vec::len), Some(expected), "{answer}");
        assert_eq!(answer["unchanged"], unchanged, "{answer}");
    }
    let keys = |answer: &Value| column(answer, "key");
    assert_eq!(keys(&world.get("/v1/owners?at=2026-11-04").await?), ["a", "b"]);
    assert_eq!(keys(&world.get("/v1/owners?at=2026-11-05").await?), ["b"]);
    let history = world.get("/v1/owners?key=a").await?;
    assert_eq!(column(&history, "cost_center"), [json!("cc-1"), Value::Null]);
    assert_eq!(column(&history, "ended"), [Value::Null, json!(true)]);
    Ok(())
}

#[tokio::test]
async fn a_bound_token_sees_what_concerns_its_customers_and_teams_and_sets_nothing() -> Result<()> {
    let world = World::new().await?;
    let acme = world.token("acme", &["read"], &["acme"], &[]).await?;
    let ads = world.token("ads", &["read"], &[], &["ads"]).await?;
    post(&world, "/v1/owners", json!([{"key": "a", "customer": "acme", "team": "search"}, {"key": "b", "team": "ads"},
        {"key": "c", "customer": "globex"}, {"key": "a", "customer": "globex", "effective_from": "2026-11-05T00:00:00Z"}]))
        .await?;
    post(
        &world,
        "/v1/accounts",
        json!([{"id": "acme", "kind": "customer", "currency": "EUR"},
        {"id": "ads", "kind": "team", "currency": "EUR"}]),
    )
    .await?;
    post(
        &world,
        "/v1/markups",
        json!([{"id": "all", "percent": 1}, {"id": "acme", "scope": {"customer": "acme"}},
        {"id": "ads", "scope": {"team": "ads"}}, {"id": "gold", "scope": {"plan": "gold"}}]),
    )
    .await?;
    for (token, owners, now, accounts, markups) in [
        (&acme, vec!["a"], vec![], vec!["acme"], vec!["acme"]),
        (&ads, vec!["b"], vec!["b"], vec!["ads"], vec!["ads"]),
    ] {
        let ids = async |path: &str, name: &str| -> Result<Vec<Value>> {
            let (status, answer) = world.call(Method::GET, path, token, None).await?;
            assert_eq!(status, StatusCode::OK, "{answer}");
            Ok(column(&answer, name))
        };
        assert_eq!(ids("/v1/owners", "key").await?, owners);
        assert_eq!(
            ids("/v1/owners?at=2026-11-06", "key").await?,
            now,
            "a key that moved away is not seen as it was"
        );
        assert_eq!(ids("/v1/accounts", "id").await?, accounts);
        assert_eq!(ids("/v1/markups", "id").await?, markups);
        let (status, _) = world.call(Method::POST, "/v1/owners", token, Some(json!({"key": "z"}))).await?;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    assert_eq!(column(&world.get("/v1/owners?at=2026-11-06").await?, "key"), ["a", "b", "c"]);
    Ok(())
}

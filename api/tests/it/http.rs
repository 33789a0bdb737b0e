//! What holds for every call: problems, health, metrics, HEAD, bodies, and the client.

use std::io::Write;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use crate::world::World;

/// Serves a router on a port of its own and answers its address.
pub(crate) async fn serve(router: Router) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}

/// A proxy before the engine that adds a setting to each question over entries.
pub(crate) async fn proxy(engine: &str, setting: &str) -> Result<String> {
    type Target = (reqwest::Client, String, String);
    async fn forward(
        State((http, engine, setting)): State<Target>,
        request: Request,
    ) -> Result<Response, String> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.map_err(|error| error.to_string())?;
        let query = parts.uri.query().unwrap_or_default();
        let over_entries = String::from_utf8_lossy(&body).contains("FROM entries");
        let setting = if over_entries { setting } else { String::new() };
        let mut forwarded = http.request(parts.method, format!("{engine}/?{query}&{setting}")).body(body);
        for (name, value) in &parts.headers {
            if *name != header::HOST && *name != header::CONTENT_LENGTH {
                forwarded = forwarded.header(name, value);
            }
        }
        let answer = forwarded.send().await.map_err(|error| error.to_string())?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if *name != header::TRANSFER_ENCODING {
                response = response.header(name, value);
            }
        }
        let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
        response.body(Body::from(bytes)).map_err(|error| error.to_string())
    }
    let target = (reqwest::Client::new(), engine.to_owned(), setting.to_owned());
    serve(Router::new().fallback(forward).with_state(target)).await
}

#[tokio::test]
async fn every_error_is_a_problem_document() -> Result<()> {
    let world = World::new().await?;
    for (method, path, body, status) in [
        (Method::GET, "/v1/none", "", StatusCode::NOT_FOUND),
        (Method::DELETE, "/v1/spend", "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/v1/spend?colour=red", "", StatusCode::BAD_REQUEST),
        (Method::GET, "/v1/requests/%FF", "", StatusCode::BAD_REQUEST),
        (Method::POST, "/v1/tokens", "{", StatusCode::BAD_REQUEST),
        (Method::POST, "/v1/tokens", "{\"name\":\"x\",\"scopes\":[],\"extra\":1}", StatusCode::BAD_REQUEST),
    ] {
        let response = world.send(method.clone(), path, body.into(), &[]).await?;
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json", "{method} {path}");
        let bytes = to_bytes(response.into_body(), usize::MAX).await?;
        let problem: api::answers::Problem = serde_json::from_slice(&bytes)?;
        assert_eq!(problem.status, status.as_u16(), "{method} {path}");
        assert!(!problem.detail.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_16_mib_is_refused_also_where_it_only_unpacks_to_that() -> Result<()> {
    let world = World::new().await?;
    let large = vec![b' '; 16 * 1024 * 1024 + 1];
    let response = world.send(Method::POST, "/v1/models", large.into(), &[]).await?;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&vec![b' '; 16 * 1024 * 1024 + 1])?;
    let gzip = gzip.finish()?;
    let response =
        world.send(Method::POST, "/v1/models", gzip.into(), &[("content-encoding", "gzip")]).await?;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let response = world
        .send(Method::POST, "/v1/models", b"no gzip".to_vec().into(), &[("content-encoding", "gzip")])
        .await?;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn head_answers_wherever_get_does_without_a_body() -> Result<()> {
    let world = World::new().await?;
    for path in ["/v1/spend", "/v1/entries", "/healthz", "/metrics", "/openapi.json"] {
        let response = world.send(Method::HEAD, path, Body::empty(), &[]).await?;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(to_bytes(response.into_body(), usize::MAX).await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn readiness_names_each_dependency_and_liveness_needs_none() -> Result<()> {
    let world = World::new().await?;
    let (status, answer) = world.call(Method::GET, "/readyz", "", None).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer["dependencies"]["store"], json!({"status": "up"}));
    assert_eq!(answer["dependencies"]["log"], json!({"status": "up"}));
    assert_eq!(answer["dependencies"]["commands"]["status"], "down");
    world
        .client
        .query("INSERT INTO progress SELECT 'tollbook.commands', 0, 1, 0, 0, now64(3), 0, 'w', now64(3)")
        .execute()
        .await?;
    let (status, answer) = world.call(Method::GET, "/readyz", "", None).await?;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("ready")));
    assert_eq!(world.call(Method::GET, "/healthz", "", None).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn metrics_count_calls_by_route_and_name_nobody() -> Result<()> {
    let world = World::new().await?;
    world.get("/v1/spend?customer=acme").await?;
    world.call(Method::GET, "/v1/requests/secret-request", &world.admin, None).await?;
    let text = world.text("/metrics").await?;
    assert!(
        text.contains("tollbook_api_requests_total{method=\"GET\",route=\"/v1/spend\",status=\"200\"} 1"),
        "{text}"
    );
    assert!(text.contains("route=\"/v1/requests/{request_id}\",status=\"404\""));
    assert!(!text.contains("acme") && !text.contains("secret-request"));
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_gone_is_a_503_and_not_a_401() -> Result<()> {
    let world = World::new().await?;
    let world = world.behind(clickhouse::Client::default().with_url("http://127.0.0.1:1"), None)?;
    let (status, problem) = world.call(Method::GET, "/v1/spend", &world.admin, None).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let (status, answer) = world.call(Method::GET, "/readyz", "", None).await?;
    assert_eq!(
        (status, &answer["dependencies"]["store"]["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("down"))
    );
    Ok(())
}

#[tokio::test]
async fn the_client_asks_and_reads_answers_and_problems() -> Result<()> {
    let world = World::new().await?;
    world.post(&[json!({"request_id": "a/b c"})]).await?;
    let url = serve(world.router.clone()).await?;
    let client = api::client::Client::new(&format!("{url}/"), &world.admin)?;
    let spend = client.spend(&[("from", "2026-11-01"), ("to", "2026-12-01"), ("group_by", "team")]).await?;
    assert_eq!(spend.rows[0].amount, "40");
    assert_eq!(client.request("a/b c").await?.attempts.len(), 1);
    let token = api::client::NewToken { name: "x".into(), scopes: vec!["read".into()], ..Default::default() };
    let minted = client.mint(&token).await?;
    assert!(minted.applied);
    assert!(client.revoke(&minted.id).await?.applied);
    assert_eq!(client.tokens().await?.rows.len(), 2);
    let row = r#"{"id": "r", "model": "m", "currency": "USD", "prices": []}"#;
    let rows = [serde_json::value::RawValue::from_string(row.into())?];
    assert_eq!(client.publish(&rows, true, Some(0)).await?.new, ["r"]);
    assert!(client.models(&[]).await?.rows.is_empty());
    assert!(client.quarantine(&[]).await?.rows.is_empty());
    let csv = client.raw("/v1/entries", &[("from", "2026-11-01"), ("format", "csv")]).await?.text().await?;
    assert!(csv.starts_with("event_id,"));
    let error = client.spend(&[("interval", "year")]).await.unwrap_err();
    assert_eq!(error.to_string(), "`interval` cannot be `year` (allowed: hour, day, week, month)");
    Ok(())
}

#[tokio::test]
async fn a_panic_is_a_problem_and_not_a_broken_connection() -> Result<()> {
    let world = World::new().await?;
    async fn panics() -> &'static str {
        panic!("on purpose")
    }
    let store = world.client.clone();
    let world = world.behind(store, Some(Router::new().route("/v1/events", axum::routing::post(panics))))?;
    let response = world.send(Method::POST, "/v1/events", Body::empty(), &[]).await?;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    Ok(())
}

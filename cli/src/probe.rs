//! Liveness, readiness and metrics of a process that serves no API.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use ingest::worker::Health;
use prometheus::{Registry, TextEncoder};

/// `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn router(registry: Registry, usage: Arc<Health>, commands: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readiness(&usage, &commands) }))
        .route("/metrics", get(move || async move { metrics(&registry) }))
}

/// Ready, or what each worker waits for.
fn readiness(usage: &Health, commands: &Health) -> (StatusCode, String) {
    let waits = [("usage", usage.trouble()), ("commands", commands.trouble())];
    let text: String = waits
        .iter()
        .filter_map(|(worker, trouble)| trouble.as_ref().map(|trouble| format!("{worker}: {trouble}\n")))
        .collect();
    if text.is_empty() { (StatusCode::OK, "ready\n".into()) } else { (StatusCode::SERVICE_UNAVAILABLE, text) }
}

fn metrics(registry: &Registry) -> (StatusCode, String) {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

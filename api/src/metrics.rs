//! Metrics of the API: requests and latency by route and status. No label carries a customer, a key or a team.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::error::Problem;
use crate::router::Service;

/// The route label of a request that matches no route.
const NO_ROUTE: &str = "none";

/// The API's metrics and the registry that `/metrics` shows.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    /// Records of the quarantine that were resolved through this process, by what became of them.
    pub(crate) quarantine_resolved: IntCounterVec,
    /// Replays that were not made, because the event would go to quarantine again, by reason.
    pub(crate) quarantine_refused: IntCounterVec,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: Registry) -> Result<Self, prometheus::Error> {
        let labels = ["route", "method", "status"];
        let requests = IntCounterVec::new(
            Opts::new("tollbook_api_requests_total", "Requests answered, by route, method and status"),
            &labels,
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "tollbook_api_request_seconds",
                "Seconds until the head of the answer, by route, method and status",
            ),
            &labels,
        )?;
        let quarantine_resolved = IntCounterVec::new(
            Opts::new(
                "tollbook_quarantine_records_resolved_total",
                "Records of the quarantine that were resolved through this process, by what became of them",
            ),
            &["state"],
        )?;
        let quarantine_refused = IntCounterVec::new(
            Opts::new(
                "tollbook_quarantine_replays_refused_total",
                "Replays that were not made, because the event would go to quarantine again, by reason",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(quarantine_resolved.clone()))?;
        registry.register(Box::new(quarantine_refused.clone()))?;
        Ok(Self { registry, requests, seconds, quarantine_resolved, quarantine_refused })
    }
}

/// Counts and times a request.
pub(crate) async fn observe(State(service): State<Service>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method().as_str());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let labels = [route.as_str(), method, status.as_str()];
    service.metrics.requests.with_label_values(&labels).inc();
    service.metrics.seconds.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    response
}

/// Everything that is registered, as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(service): State<Service>) -> Result<Response, Problem> {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    encoder.encode(&service.metrics.registry.gather(), &mut body).map_err(|error| {
        tracing::error!(error = error.to_string(), "The metrics cannot be written");
        Problem::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], body).into_response())
}

/// Methods are any text; the label is of a closed set.
fn method_label(method: &str) -> &'static str {
    match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

//! The table of contents of the API: every route, and the scope that it needs.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use schemas::caller::Scope;
use schemas::judge::Judge;
use schemas::log::Log;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::audit::periodic::Desk;
use crate::auth::{Gate, Tokens, require};
use crate::commands::Sent;
use crate::error::{PROBLEM_JSON, Problem};
use crate::metrics::{Metrics, observe};
use crate::operations::run::Running;
use crate::quarantine::replay::Chores;
use crate::store::{Limits, Store};
use crate::{
    Api, audit, audit_log, body, entries, export, health, invoices, metrics, models, openapi, operations,
    quarantine, registries, requests, spend, tokens,
};

/// Bytes of a plain error text that become the detail of a problem.
const DETAIL_BYTES_MAX: usize = 4 * 1024;

/// What every handler works with.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) judge: Option<Arc<dyn Judge>>,
    pub(crate) tokens: Tokens,
    pub(crate) sent: Sent,
    pub(crate) running: Running,
    pub(crate) step_entries_max: u64,
    pub(crate) metrics: Metrics,
    pub(crate) audits: Desk,
    pub(crate) change_wait: Duration,
    pub(crate) description: Arc<utoipa::openapi::OpenApi>,
}

impl Service {
    /// What judges events that are sent again.
    pub(crate) fn judge(&self) -> Result<Arc<dyn Judge>, Problem> {
        self.judge.clone().ok_or_else(|| {
            Problem::unavailable("this process takes no events, so it replays none; ask one that does")
        })
    }
}

/// The whole API. The routes of `intake` need the scope `ingest` and find the [`Caller`] in the request.
///
/// [`Caller`]: schemas::caller::Caller
///
/// # Errors
/// Where the metrics cannot be registered, because the registry has others of their names.
pub fn router(api: Api, intake: Option<Router>) -> Result<Router, prometheus::Error> {
    router_and_chores(api, intake).map(|(router, _)| router)
}

/// The same, and what the API does besides answering calls.
///
/// # Errors
/// As [`router`].
pub fn router_and_chores(api: Api, intake: Option<Router>) -> Result<(Router, Chores), prometheus::Error> {
    let service = Service {
        store: Store::new(api.store, Limits::default()),
        log: api.log,
        judge: api.judge,
        tokens: Tokens::default(),
        sent: Sent::default(),
        running: Running::default(),
        step_entries_max: api.step_entries_max,
        metrics: Metrics::register(api.registry)?,
        audits: api.audits,
        change_wait: api.change_wait,
        description: Arc::new(openapi::describe(api.intake_description)),
    };
    let reading = Router::new()
        .route("/v1/spend", get(spend::spend))
        .route("/v1/requests/{request_id}", get(requests::request))
        .route("/v1/entries", get(entries::entries))
        .route("/v1/models", get(models::list))
        .route("/v1/invoices", get(invoices::list))
        .route("/v1/invoices/{id}", get(invoices::one))
        .route("/v1/invoices/{id}/export", get(export::export))
        .route("/v1/invoices/{id}/entries", get(invoices::all_entries))
        .route("/v1/invoices/{id}/lines/{n}/entries", get(invoices::entries))
        .route("/v1/quarantine", get(quarantine::list))
        .route("/v1/markups", get(registries::markups::list))
        .route("/v1/accounts", get(registries::accounts::list))
        .route("/v1/owners", get(registries::owners::list))
        .route("/v1/quarantine/{id}", get(quarantine::show))
        .route("/v1/quarantine/{id}/raw", get(quarantine::raw));
    let resolving = Router::new()
        .route("/v1/quarantine/replay", post(quarantine::bulk::replay))
        .route("/v1/quarantine/discard", post(quarantine::bulk::discard))
        .route("/v1/quarantine/{id}/replay", post(quarantine::resolve::replay))
        .route("/v1/quarantine/{id}/discard", post(quarantine::resolve::discard));
    let administering = Router::new()
        .route("/v1/models", post(models::publish))
        .route("/v1/markups", post(registries::markups::set))
        .route("/v1/accounts", post(registries::accounts::set))
        .route("/v1/owners", post(registries::owners::set))
        .route("/v1/tokens", get(tokens::list).post(tokens::mint))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/v1/tokens/{id}/rotate", post(tokens::rotate))
        .route("/v1/operations/{id}", get(operations::operation))
        .route("/v1/reprice", post(operations::ask::reprice))
        .route("/v1/reprice/{id}/revert", post(operations::ask::revert_repricing))
        .route("/v1/corrections", post(operations::ask::correct))
        .route("/v1/corrections/{id}/revert", post(operations::ask::revert_correction))
        .route("/v1/invoices/close", post(invoices::close))
        .route("/v1/audit-log", get(audit_log::list))
        .route("/v1/audit", get(audit::audit).post(audit::audit_and_reverse));
    let open = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi));
    let gated = |router: Router<Service>, scopes| {
        router.route_layer(from_fn_with_state(Gate { service: service.clone(), scopes }, require))
    };
    let intake = intake
        .filter(Router::has_routes)
        .map(|routes| gated(routes.with_state(()), &[Scope::Ingest]))
        .unwrap_or_default();
    let chores = Chores(service.clone());
    let router = open
        .merge(gated(reading, &[Scope::Read]))
        .merge(gated(resolving, &[Scope::Ingest]))
        .merge(gated(administering, &[Scope::Admin]))
        .merge(intake)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .route_layer(from_fn_with_state(service.clone(), observe))
        .layer(DefaultBodyLimit::max(body::BYTES_MAX))
        .layer(RequestDecompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(problems_only))
        .with_state(service);
    Ok((router, chores))
}

async fn no_route() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-route",
        "No such call",
        "there is no such call; `/openapi.json` lists all",
    )
}

async fn no_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no-method",
        "No such method",
        "the call does not take this method; the header `allow` lists those that it takes",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "A handler panicked");
    Problem::internal().into_response()
}

/// Turns an error that some layer wrote as plain text into a problem document.
async fn problems_only(request: Request, next: Next) -> Response {
    let head_only = request.method() == axum::http::Method::HEAD;
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = content_type.is_none_or(|kind| kind.starts_with("text/plain"));
    if !is_error || !is_text || head_only {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let detail = to_bytes(body, DETAIL_BYTES_MAX)
        .await
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("the call failed").to_owned());
    let problem = if status == StatusCode::PAYLOAD_TOO_LARGE {
        body::too_large()
    } else {
        Problem::new(status, "http", status.canonical_reason().unwrap_or("Error"), detail)
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    Response::from_parts(parts, Body::from(serde_json::to_vec(&problem).unwrap_or_default()))
}

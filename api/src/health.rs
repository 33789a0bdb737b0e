//! Liveness and readiness. Ready means that each dependency answers: the store, the log, and the worker of the
//! command log, without which no change takes effect.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

use crate::completeness;
use crate::router::Service;

/// A worker that has not spoken for this long is taken to be down.
const COMMANDS_AGE_MS_MAX: i64 = 30_000;
/// A dependency has this long to answer.
const CHECK: Duration = Duration::from_secs(3);

/// Answer of `/healthz`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `up`.
    pub status: String,
}

/// Answer of `/readyz`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `not_ready` where a dependency is down.
    pub status: String,
    /// Each dependency by name.
    pub dependencies: BTreeMap<String, Dependency>,
}

/// State of one dependency.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// `up` or `down`.
    pub status: String,
    /// What is wrong, where it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "up".to_owned() })
}

/// Whether every dependency answers.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(crate) async fn readyz(State(service): State<Service>) -> (StatusCode, Json<Readiness>) {
    let (store, log, commands) = tokio::join!(store(&service), log(&service), commands(&service));
    let ready = store.is_ok() && log.is_ok() && commands.is_ok();
    let dependencies = [("store", store), ("log", log), ("commands", commands)]
        .into_iter()
        .map(|(name, state)| (name.to_owned(), dependency(state)))
        .collect();
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    (code, Json(Readiness { status: status.to_owned(), dependencies }))
}

async fn store(service: &Service) -> Result<(), String> {
    // The store's own text may name hosts and users; it goes to the log, not to whoever asks.
    in_time(service.store.check()).await?.map_err(|error| {
        tracing::warn!(error, "The store does not answer");
        "the store does not answer".to_owned()
    })
}

async fn log(service: &Service) -> Result<(), String> {
    in_time(service.log.check()).await?.map_err(|error| {
        tracing::warn!(error = crate::store::chain(&error), "The log does not answer");
        "the log does not answer".to_owned()
    })
}

async fn commands(service: &Service) -> Result<(), String> {
    let age = in_time(completeness::commands_age_ms(&service.store)).await?;
    match age.map_err(|problem| problem.detail)? {
        None => Err("no worker of the command log has reported yet".to_owned()),
        Some(age) if age > COMMANDS_AGE_MS_MAX => {
            Err(format!("the worker of the command log has not reported for {} s", age / 1000))
        }
        Some(_) => Ok(()),
    }
}

async fn in_time<T>(check: impl Future<Output = T>) -> Result<T, String> {
    tokio::time::timeout(CHECK, check).await.map_err(|_| format!("no answer within {} s", CHECK.as_secs()))
}

fn dependency(state: Result<(), String>) -> Dependency {
    match state {
        Ok(()) => Dependency { status: "up".to_owned(), detail: None },
        Err(detail) => Dependency { status: "down".to_owned(), detail: Some(detail) },
    }
}

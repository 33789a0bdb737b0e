//! `/v1/accounts`: who is invoiced.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use bytes::Bytes;
use schemas::command::{Command, SetAccounts};
use schemas::registries::AccountText;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Setting, Shown, list as page, rows, set as change};
use crate::auth::{Authenticated, Unbound};
use crate::error::Problem;
use crate::router::Service;

/// Answer of `GET /v1/accounts`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accounts {
    /// By kind, id and version.
    pub rows: Vec<AccountVersion>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One version of an account. It holds from `effective_from` on, or from the beginning of time where there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountVersion {
    /// The number of the version.
    pub version: u32,
    /// When it was logged.
    #[schema(format = DateTime)]
    pub known_from: String,
    /// What was set.
    #[serde(flatten)]
    pub set: AccountText,
}

/// Accounts by version. A token that is bound sees its own.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "registries",
    params(
        ("id" = Option<String>, Query, description = "Versions of the accounts of that id"),
        ("kind" = Option<String>, Query, description = "customer or team"),
        ("at" = Option<String>, Query, description = "Versions in effect at that date or instant; all versions by default"),
        ("limit" = Option<u64>, Query, description = "Versions of a page, 1 to 10000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = Accounts), (status = 400, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn list(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Accounts>, Problem> {
    let instant = |text: AccountText, from| AccountText { effective_from: Some(from), ..text };
    let (rows, next_cursor) =
        page(&service, &caller, &uri, &[("id", "id"), ("kind", "kind")], instant).await?;
    let version = |Shown { text, version, known_from }| AccountVersion { version, known_from, set: text };
    Ok(Json(Accounts { rows: rows.into_iter().map(version).collect(), next_cursor }))
}

/// Sets versions of accounts. Kind, time zone and currency of an account never change.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "registries",
    request_body(content = AccountText, description = "One version, a list of them, or `{\"rows\": […], \"dry_run\": true}`: all are set, or none"),
    params(("dry_run" = Option<bool>, Query, description = "true shows what would be set, and sets nothing")),
    responses(
        (status = 200, body = Setting, description = "Applied: every worker knows; or a dry run"),
        (status = 202, body = Setting, description = "Not applied within 10 s; look up the operation"),
        (status = 400, body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "Refused, for example because it was prepared on another version")
    ),
    security(("token" = []))
)]
pub(crate) async fn set(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    body: Bytes,
) -> Result<Response, Problem> {
    let command = |rows| Command::SetAccounts(SetAccounts { rows });
    change(&service, &caller, &uri, rows::<AccountText>(&body)?, command).await
}

//! `GET /v1/operations/{id}`: how far a change is that took longer than its call.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};

use crate::auth::Unbound;
use crate::commands::{self, Operation};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::router::Service;

/// How far a change is.
#[utoipa::path(
    get, path = "/v1/operations/{id}", tag = "changing",
    params(("id" = String, Path, description = "The operation, as the change's answer named it")),
    responses((status = 200, body = Operation), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn operation(
    State(service): State<Service>,
    _caller: Unbound,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Json<Operation>, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    commands::state(&service, &id)
        .await?
        .map(Json)
        .ok_or_else(|| Problem::not_found("operation of that id that has been carried out"))
}

//! Changes that take longer than a call. `GET /v1/operations/{id}` tells how far any change is; repricing and corrections,
//! which change many entries in steps, are asked for, previewed, carried on and reverted here.

pub(crate) mod ask;
mod book;
mod preview;
pub(crate) mod run;

use axum::Json;
use axum::extract::{OriginalUri, Path, State as Extracted};

use crate::auth::Unbound;
use crate::commands::{self, Operation, State};
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
    Extracted(service): Extracted<Service>,
    _caller: Unbound,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Json<Operation>, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let mut found = commands::state(&service, &id).await?;
    if let Some(operation) = &mut found
        && operation.name.as_deref() == Some("start_operation")
        && operation.state != State::Refused
    {
        let known = run::find(&service.store, &id).await?;
        let is_finished = known.as_ref().is_some_and(|known| known.finished_at.is_some());
        operation.state = if is_finished { State::Applied } else { State::Posted };
        let told = known.map(|known| ask::Changed::of(&known));
        operation.result = told.and_then(|told| serde_json::value::to_raw_value(&told).ok());
    }
    found.map(Json).ok_or_else(|| Problem::not_found("operation of that id that has been carried out"))
}

//! `/v1/owners`: whose gateway keys are, one by one or in bulk as CSV.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use schemas::command::{Command, SetOwners};
use schemas::registries::OwnerText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Setting, Shown, list as page, rows, set as change};
use crate::auth::{Authenticated, Unbound};
use crate::error::Problem;
use crate::router::Service;

/// Answer of `GET /v1/owners`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Owners {
    /// By key and version.
    pub rows: Vec<OwnerVersion>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One version of whose a key is. It holds from `effective_from` on, or from the beginning of time where there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnerVersion {
    /// The number of the version.
    pub version: u32,
    /// When it was logged.
    #[schema(format = DateTime)]
    pub known_from: String,
    /// What was set.
    #[serde(flatten)]
    pub set: OwnerText,
}

/// Owners of keys by version. A token that is bound sees the keys of its customers and teams.
#[utoipa::path(
    get, path = "/v1/owners", tag = "registries",
    params(
        ("key" = Option<String>, Query, description = "Versions of that key"),
        ("at" = Option<String>, Query, description = "Versions in effect at that date or instant; all versions by default"),
        ("limit" = Option<u64>, Query, description = "Versions of a page, 1 to 10000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = Owners), (status = 400, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn list(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Owners>, Problem> {
    let instant = |text: OwnerText, from| OwnerText { effective_from: Some(from), ..text };
    let (rows, next_cursor) = page(&service, &caller, &uri, &[("key", "id")], instant).await?;
    let version = |Shown { text, version, known_from }| OwnerVersion { version, known_from, set: text };
    Ok(Json(Owners { rows: rows.into_iter().map(version).collect(), next_cursor }))
}

/// Sets whose keys are: JSON, or CSV with the columns of it.
#[utoipa::path(
    post, path = "/v1/owners", tag = "registries",
    request_body(
        content(
            (OwnerText = "application/json"),
            (String = "text/csv", example = "key,team,customer,effective_from\ncheckout,search,acme,2026-11-01T00:00:00Z\n")
        ),
        description = "One version, a list of them, `{\"rows\": […], \"dry_run\": true}`, or CSV with a head line: all are set, or none"
    ),
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
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_csv = content_type.is_some_and(|text| text.split(';').next().unwrap_or(text).trim() == "text/csv");
    let rows = if is_csv { (from_csv(&body)?, false) } else { rows::<OwnerText>(&body)? };
    let command = |rows| Command::SetOwners(SetOwners { rows });
    change(&service, &caller, &uri, rows, command).await
}

/// A line of the CSV; an empty cell is an absent field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    #[serde(default)]
    team: Option<String>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    customer: Option<String>,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    cost_center: Option<String>,
    #[serde(default)]
    ended: Option<bool>,
    #[serde(default)]
    effective_from: Option<String>,
    #[serde(default)]
    based_on: Option<u32>,
}

fn from_csv(bytes: &[u8]) -> Result<Vec<OwnerText>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let lines = reader.deserialize::<Line>();
    lines
        .map(|line| line.map_err(|error| Problem::body(format!("the CSV is not valid: {error}")))?.owner())
        .collect()
}

impl Line {
    fn owner(self) -> Result<OwnerText, Problem> {
        let instant = |text: String| {
            text.parse().map_err(|_| {
                Problem::body(format!(
                    "key {:?}: effective_from: {text:?} is no instant; write it as 2026-11-01T00:00:00Z",
                    self.key
                ))
            })
        };
        let effective_from = self.effective_from.map(instant).transpose()?;
        Ok(OwnerText {
            effective_from,
            key: self.key,
            team: self.team,
            app: self.app,
            environment: self.environment,
            customer: self.customer,
            project: self.project,
            cost_center: self.cost_center,
            ended: self.ended.unwrap_or(false),
            based_on: self.based_on,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_the_columns_of_the_json_and_an_empty_cell_is_absent() {
        let text =
            "key,team,customer,effective_from,ended\ncheckout, search ,,2026-11-01T00:00:00Z,\nold,,,,true\n";
        let owners = from_csv(text.as_bytes()).unwrap();
        assert_eq!(owners[0].team.as_deref(), Some("search"));
        assert_eq!((owners[0].customer.as_deref(), owners[0].ended), (None, false));
        assert_eq!(owners[0].effective_from.unwrap().to_string(), "2026-11-01T00:00:00Z");
        assert!(owners[1].ended && owners[1].effective_from.is_none());
    }

    #[test]
    fn a_csv_that_is_not_right_is_refused_with_the_line() {
        let detail = |text: &str| from_csv(text.as_bytes()).unwrap_err().detail;
        assert!(detail("key,tema\na,b\n").contains("tema"), "{}", detail("key,tema\na,b\n"));
        assert!(detail("key,team\na\n").contains("line: 2"), "{}", detail("key,team\na\n"));
        assert!(detail("key,effective_from\na,today\n").contains("is no instant"));
    }
}

//! `GET /v1/models` and `POST /v1/models`: published price rows by version, and the publication of new ones. A
//! published row is never edited; another text under an id is a new version.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clickhouse::Row;
use schemas::command::{Command, PublishPrices};
use schemas::queries;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::auth::{Authenticated, Unbound};
use crate::body::Body;
use crate::bounds::{Value, Values};
use crate::commands::{self, Operation, Reach};
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{self, rfc3339};
use crate::router::Service;
use crate::store::Store;

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 10_000;
/// Versions in force: the row that began last of each model and set of endpoint families.
const IN_FORCE: &str = "LIMIT 1 BY provider_name, model_name, JSONExtractRaw(body, 'endpoint_families')";

/// Answer of `GET /v1/models`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Models {
    /// By provider and model, in the order of publication.
    pub rows: Vec<ModelRow>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One published price row.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModelRow {
    /// Id of the row, which entries name.
    pub id: String,
    /// Who serves the model; null for any.
    pub provider: Option<String>,
    /// The model.
    pub model: String,
    /// ISO 4217 code of its prices.
    pub currency: String,
    /// From when it holds; null from the beginning of time.
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
    /// When it was published.
    #[schema(format = DateTime)]
    pub known_from: String,
    /// Where it was taken from.
    pub source: Option<String>,
    /// The version of the source.
    pub version: Option<String>,
    /// The row as it was published, every digit kept.
    #[schema(value_type = Object)]
    pub row: Box<RawValue>,
}

#[derive(Row, Deserialize)]
struct Published {
    row_id: String,
    provider_name: String,
    model_name: String,
    currency_code: String,
    effective_ms: i64,
    known_ms: i64,
    source_name: String,
    source_version_name: String,
    body: String,
    origin_offset: u64,
    origin_ordinal: u32,
}

type Position = (String, String, u64, u32);

#[derive(Row, Deserialize)]
struct Text {
    row_id: String,
    body: String,
}

/// Body of `POST /v1/models`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publication {
    /// The rows, each with its `id`.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Box<RawValue>>,
    /// Show what would change and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The number of published rows that the change was prepared on; another number refuses it.
    #[serde(default)]
    based_on: Option<u64>,
}

/// What a publication changes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Publishing {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Ids that are published for the first time.
    pub new: Vec<String>,
    /// Ids that get another version.
    pub changed: Vec<String>,
    /// Ids that are published word for word already.
    pub unchanged: Vec<String>,
    /// The change; null in a dry run.
    pub operation: Option<Operation>,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

/// Published price rows by version.
#[utoipa::path(
    get, path = "/v1/models", tag = "prices",
    params(
        ("provider" = Option<String>, Query, description = "Rows of that provider"),
        ("model" = Option<String>, Query, description = "Rows of that model"),
        ("at" = Option<String>, Query, description = "Versions in force at that date or instant; all versions by default"),
        ("limit" = Option<u64>, Query, description = "Rows of a page, 1 to 10000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = Models)),
    security(("token" = []))
)]
pub(crate) async fn list(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Models>, Problem> {
    let question = Question::of(&caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(&uri)?;
    let mut values = Values::default();
    let mut filters = vec!["true".to_owned()];
    for name in ["provider", "model"] {
        if let Some(value) = parameters.one(name)? {
            filters.push(format!("{name} = {}", values.bind_text(&value)));
        }
    }
    let at = period::take_instant(&mut parameters, "at")?;
    if let Some(at) = at {
        let at = values.bind("Int64", Value::Int(at));
        filters.push(format!(
            "(effective_from IS NULL OR effective_from <= fromUnixTimestamp64Milli({at}, 'UTC'))"
        ));
    }
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    parameters.finish(["provider", "model", "at", "limit", "cursor"])?;
    let after = after_sql(after, &mut values);
    let rows: Vec<Published> = service
        .store
        .open_with(
            queries::MODEL_ROWS,
            values.with("limit", Value::Unsigned(limit.saturating_add(1))),
            |statement| {
                statement
                    .slot("filters", &filters.join(" AND "))
                    .slot("versions", if at.is_some() { IN_FORCE } else { "" })
                    .slot("after", &after)
            },
        )
        .await?;
    page(rows, limit, &question).map(Json)
}

fn page(mut rows: Vec<Published>, limit: u64, question: &Question) -> Result<Models, Problem> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next_cursor =
        if more { rows.last().map(|last| question.cursor(&last.position())).transpose()? } else { None };
    Ok(Models { rows: rows.into_iter().map(Published::shown).collect::<Result<_, _>>()?, next_cursor })
}

fn after_sql(after: Option<Position>, values: &mut Values) -> String {
    let Some((provider, model, offset, ordinal)) = after else { return "true".to_owned() };
    format!(
        "(provider_name, model_name, origin_offset, origin_ordinal) > ({}, {}, {}, {})",
        values.bind_text(&provider),
        values.bind_text(&model),
        values.bind("UInt64", Value::Unsigned(offset)),
        values.bind("UInt32", Value::Unsigned(u64::from(ordinal)))
    )
}

impl Published {
    fn position(&self) -> Position {
        (self.provider_name.clone(), self.model_name.clone(), self.origin_offset, self.origin_ordinal)
    }

    fn shown(self) -> Result<ModelRow, Problem> {
        let text = |value: String| Some(value).filter(|value| !value.is_empty());
        Ok(ModelRow {
            id: self.row_id,
            provider: text(self.provider_name),
            model: self.model_name,
            currency: self.currency_code,
            effective_from: Some(self.effective_ms).filter(|millis| *millis != i64::MIN).map(rfc3339),
            known_from: rfc3339(self.known_ms),
            source: text(self.source_name),
            version: text(self.source_version_name),
            row: RawValue::from_string(self.body).map_err(|error| {
                tracing::error!(error = error.to_string(), "A published price row is not JSON");
                Problem::internal()
            })?,
        })
    }
}

/// Publishes price rows; never edits one.
#[utoipa::path(
    post, path = "/v1/models", tag = "prices", request_body = Publication,
    responses(
        (status = 200, body = Publishing, description = "Applied: every worker prices with it; or a dry run"),
        (status = 202, body = Publishing, description = "Not applied within 10 s; look up the operation"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(crate) async fn publish(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Body(publication): Body<Publication>,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let ids = ids(&publication.rows)?;
    let mut answer = compare(&service.store, &ids, &publication.rows).await?;
    if publication.dry_run {
        answer.dry_run = true;
        return Ok(Json(answer).into_response());
    }
    let rows = publication.rows.iter().map(|row| row.get().to_owned()).collect();
    let command = Command::PublishPrices(PublishPrices { rows, based_on: publication.based_on });
    let operation = commands::change(&service, &caller, &command, Reach::Workers).await?;
    let applied = operation.state == commands::State::Applied;
    let place = format!("/v1/operations/{}", operation.id);
    answer.operation = Some(operation);
    Ok(if applied {
        Json(answer).into_response()
    } else {
        let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
        if let Ok(place) = HeaderValue::from_str(&place) {
            response.headers_mut().insert(header::LOCATION, place);
        }
        response
    })
}

fn ids(rows: &[Box<RawValue>]) -> Result<Vec<String>, Problem> {
    let wrong = |index: usize, detail: String| {
        let mut problem = Problem::body(format!("row {index}: {detail}"));
        problem.parameter = Some(format!("rows[{index}]"));
        problem
    };
    if rows.is_empty() {
        return Err(Problem::body("`rows` is empty; name at least one price row"));
    }
    let mut seen = BTreeSet::new();
    let mut ids = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let row: Identified =
            serde_json::from_str(row.get()).map_err(|error| wrong(index, error.to_string()))?;
        if row.id.is_empty() {
            return Err(wrong(index, "`id` is empty".to_owned()));
        }
        if !seen.insert(row.id.clone()) {
            return Err(wrong(index, format!("a row before it has the id `{}` too", row.id)));
        }
        ids.push(row.id);
    }
    Ok(ids)
}

async fn compare(store: &Store, ids: &[String], rows: &[Box<RawValue>]) -> Result<Publishing, Problem> {
    let values = Values::default().with("row_ids", Value::Texts(ids.to_vec()));
    let published: Vec<Text> = store.open(queries::MODEL_ROW_IDS, values).await?;
    let published: BTreeMap<String, String> =
        published.into_iter().map(|row| (row.row_id, row.body)).collect();
    let mut answer = Publishing {
        dry_run: false,
        new: Vec::new(),
        changed: Vec::new(),
        unchanged: Vec::new(),
        operation: None,
    };
    for (id, row) in ids.iter().zip(rows) {
        let list = match published.get(id) {
            None => &mut answer.new,
            Some(body) if body == row.get() => &mut answer.unchanged,
            Some(_) => &mut answer.changed,
        };
        list.push(id.clone());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Box<RawValue>> {
        serde_json::from_str::<Publication>(text).unwrap().rows
    }

    #[test]
    fn every_row_has_an_id_of_its_own() {
        assert_eq!(ids(&rows(r#"{"rows":[{"id":"a"},{"id":"b"}]}"#)).unwrap(), ["a", "b"]);
        let refused = |text: &str| ids(&rows(text)).unwrap_err().parameter;
        assert_eq!(refused(r#"{"rows":[{"id":"a"},{"id":"a"}]}"#).as_deref(), Some("rows[1]"));
        assert_eq!(refused(r#"{"rows":[{"model":"a"}]}"#).as_deref(), Some("rows[0]"));
        assert_eq!(refused(r#"{"rows":[]}"#), None);
    }
}

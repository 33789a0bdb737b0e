//! `GET /v1/models` and `POST /v1/models`: published price rows by version, as of any instant and as of what was known
//! then, and the publication of new ones. A published row is never edited; another version has another id.

pub(crate) mod changes;
mod impact;

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clickhouse::Row;
use jiff::Timestamp;
use ledger::event::Millis;
use schemas::command::{Command, PublishPrices};
use schemas::prices::{self, Publication as Prepared, Published as Before};
use schemas::queries;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::auth::{Authenticated, Unbound};
use crate::body::Body;
use crate::bounds::{Bounds, Value, Values};
use crate::commands::{self, Operation, Reach};
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{self, rfc3339};
use crate::router::Service;
use crate::store::{Store, chain};
use changes::RowChange;

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 10_000;
/// What the store writes for the beginning and for the end of time.
const BEGINNING: i64 = i64::MIN;
const END: i64 = i64::MAX;

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
    /// When it ends, because another version of the model begins; null while there is none.
    #[schema(format = DateTime)]
    pub effective_to: Option<String>,
    /// Id of the row that puts this one right: it counts as never having been. Null where there is none.
    pub superseded_by: Option<String>,
    /// For whom it holds; null for anybody.
    #[schema(value_type = Option<Object>)]
    pub scope: Option<Box<RawValue>>,
    /// Sources that have the same standard prices.
    #[serde(default)]
    pub confirmed_by: Vec<String>,
    /// Why no second source confirms the prices; null where one does.
    pub unconfirmed: Option<String>,
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
    next_ms: i64,
    known_ms: i64,
    source_name: String,
    source_version_name: String,
    superseding_id: String,
    body: String,
    origin_offset: u64,
    origin_ordinal: u32,
}

type Position = (String, String, u64, u32);

/// What is shown of a row besides its columns.
#[derive(Default, Deserialize)]
struct Extract {
    #[serde(default)]
    scope: Option<Box<RawValue>>,
    #[serde(default)]
    unconfirmed: Option<String>,
    #[serde(default)]
    source: ExtractSource,
}

#[derive(Default, Deserialize)]
struct ExtractSource {
    #[serde(default)]
    confirmed_by: Vec<String>,
}

#[derive(Row, Deserialize)]
struct Text {
    body: String,
    effective_ms: i64,
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

/// What a publication changes. Each id of the rows is in one of `new`, `changed` and `unchanged`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Publishing {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Ids of first versions of their models.
    pub new: Vec<String>,
    /// Ids of further versions of models that have one, and of those that supersede one.
    pub changed: Vec<String>,
    /// Ids that are published word for word already, or say what the version in force says.
    pub unchanged: Vec<String>,
    /// What the changed rows change, and what any row in the past would have priced of what is posted.
    #[serde(default)]
    pub changes: Vec<RowChange>,
    /// The change; null in a dry run.
    pub operation: Option<Operation>,
}

/// Published price rows by version: all of them, or those in force at an instant; as they are known now, or were then.
#[utoipa::path(
    get, path = "/v1/models", tag = "prices",
    params(
        ("provider" = Option<String>, Query, description = "Rows of that provider"),
        ("model" = Option<String>, Query, description = "Rows of that model"),
        ("at" = Option<String>, Query, description = "Versions in force at that date or instant, superseded ones left out; all versions by default"),
        ("known_at" = Option<String>, Query, description = "Only what was published up to that date or instant, and superseded by what was; everything by default. With `at`: what was held at `known_at` to be in force at `at`"),
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
    if let Some(provider) = parameters.one("provider")? {
        let provider = if provider == "vertex" { "vertex_ai".to_owned() } else { provider.replace('-', "_") };
        filters.push(format!("provider_key = {}", values.bind_text(&provider)));
    }
    if let Some(model) = parameters.one("model")? {
        filters.push(format!("model = {}", values.bind_text(&model)));
    }
    if caller.is_bound() {
        // A price of somebody's own is his business.
        let bounds = Bounds::of(&caller);
        let (customers, teams) = bounds.whole();
        let (customers, teams) = (values.bind_texts(customers), values.bind_texts(teams));
        filters.push(format!(
            "(scope_text = '' OR JSONExtractString(body, 'scope', 'customer') IN {customers} \
             OR JSONExtractString(body, 'scope', 'team') IN {teams})"
        ));
    }
    let known = period::take_instant(&mut parameters, "known_at")?.map_or_else(
        || "true".to_owned(),
        |known_at| {
            let known_at = values.bind("Int64", Value::Int(known_at));
            format!("known_from <= fromUnixTimestamp64Milli({known_at}, 'UTC')")
        },
    );
    let versions = period::take_instant(&mut parameters, "at")?.map_or_else(
        || "true".to_owned(),
        |at| {
            let at = values.bind("Int64", Value::Int(at));
            format!("superseding_id = '' AND effective_ms <= {at} AND {at} < next_ms")
        },
    );
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    parameters.finish(["provider", "model", "at", "known_at", "limit", "cursor"])?;
    let after = after_sql(after, &mut values);
    let rows: Vec<Published> = service
        .store
        .open_with(
            queries::MODEL_ROWS,
            values.with("limit", Value::Unsigned(limit.saturating_add(1))),
            |statement| {
                statement
                    .slot("filters", &filters.join(" AND "))
                    .slot("known", &known)
                    .slot("versions", &versions)
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
        let extract: Extract = serde_json::from_str(&self.body).unwrap_or_default();
        Ok(ModelRow {
            id: self.row_id,
            provider: text(self.provider_name),
            model: self.model_name,
            currency: self.currency_code,
            effective_from: Some(self.effective_ms).filter(|millis| *millis != BEGINNING).map(rfc3339),
            effective_to: Some(self.next_ms)
                .filter(|millis| *millis != END && self.superseding_id.is_empty())
                .map(rfc3339),
            superseded_by: text(self.superseding_id),
            scope: extract.scope,
            confirmed_by: extract.source.confirmed_by,
            unconfirmed: extract.unconfirmed,
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

/// Publishes price rows; never edits one. A row that is published with other content, and a second version of the same
/// model, provider, scope and instant, are refused, and so are the rows beside it. `effective_from` may lie in the
/// past: entries that are posted keep their price, and `touches` says which a reprice would change.
#[utoipa::path(
    post, path = "/v1/models", tag = "prices", request_body = Publication,
    responses(
        (status = 200, body = Publishing, description = "Applied: every worker prices with it; or a dry run, which also says what the last 30 days would have cost"),
        (status = 202, body = Publishing, description = "Not applied within 10 s; look up the operation"),
        (status = 400, body = crate::error::Problem, content_type = "application/problem+json", description = "A row is no price row"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "A row cannot be published beside those that are")
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
    check(&publication.rows)?;
    let now = Millis(Timestamp::now().as_millisecond());
    let texts: Vec<String> = publication.rows.iter().map(|row| row.get().to_owned()).collect();
    let prepared = prepare(&service.store, &texts, publication.based_on, now).await?;
    let mut answer = Publishing::of(&prepared);
    let bounds = Bounds::of(&caller);
    if publication.dry_run {
        let snapshot = service.store.snapshot().await?;
        impact::add_touches(&mut answer.changes, &prepared, &snapshot, &bounds, now).await?;
        impact::add_comparisons(&mut answer.changes, &prepared, &snapshot, &bounds, now).await?;
        answer.changes.retain(RowChange::is_worth_showing);
        answer.dry_run = true;
        return Ok(Json(answer).into_response());
    }
    let command = Command::PublishPrices(PublishPrices { rows: texts, based_on: publication.based_on });
    let operation = commands::change(&service, &caller, &command, Reach::Workers).await?;
    // The rows are published; that the entries cannot be counted now does not undo it.
    let counted = async {
        let snapshot = service.store.snapshot().await?;
        impact::add_touches(&mut answer.changes, &prepared, &snapshot, &bounds, now).await
    };
    if let Err(problem) = counted.await {
        tracing::warn!(problem = problem.detail, "The entries that published prices touch were not counted");
    }
    answer.changes.retain(RowChange::is_worth_showing);
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

impl Publishing {
    fn of(prepared: &Prepared) -> Self {
        let ids = |follows: bool| {
            let added = prepared.added.iter().filter(move |one| one.before.is_some() == follows);
            added.map(|one| one.row.id.clone()).collect()
        };
        Self {
            dry_run: false,
            new: ids(false),
            changed: ids(true),
            unchanged: prepared.unchanged.clone(),
            changes: prepared.added.iter().map(RowChange::of).collect(),
            operation: None,
        }
    }
}

/// What publishing the texts comes to, as the worker of the command log will see it.
async fn prepare(
    store: &Store,
    texts: &[String],
    based_on: Option<u64>,
    now: Millis,
) -> Result<Prepared, Problem> {
    let rows: Vec<Text> = store.open(queries::MODEL_ROWS_ALL, Values::default()).await?;
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    if let Some(based_on) = based_on.filter(|based_on| *based_on != count) {
        return Err(refused(format!(
            "the change was prepared when {based_on} rows were published, now there are {count}: prepare it again"
        )));
    }
    let before = rows.into_iter().map(Text::read).collect::<Result<Vec<_>, _>>()?;
    prices::prepare(&before, texts, now).map_err(|error| refused(error.to_string()))
}

fn refused(detail: String) -> Problem {
    Problem::new(StatusCode::CONFLICT, "refused", "The change was refused", detail)
}

impl Text {
    fn read(self) -> Result<Before, Problem> {
        let mut row = prices::from_json(&self.body).map_err(|error| {
            tracing::error!(error = chain(&error), "A published price row cannot be read");
            Problem::internal()
        })?;
        row.effective_from = Some(self.effective_ms).filter(|millis| *millis != BEGINNING).map(Millis);
        Ok(Before { row, body: self.body })
    }
}

/// Each row is one, with an id of its own.
fn check(rows: &[Box<RawValue>]) -> Result<(), Problem> {
    let wrong = |index: usize, detail: String| {
        let mut problem = Problem::body(format!("row {index}: {detail}"));
        problem.parameter = Some(format!("rows[{index}]"));
        problem
    };
    if rows.is_empty() {
        return Err(Problem::body("`rows` is empty; name at least one price row"));
    }
    let mut seen = BTreeSet::new();
    for (index, row) in rows.iter().enumerate() {
        let row = prices::from_json(row.get()).map_err(|error| wrong(index, chain(&error)))?;
        if row.id.is_empty() {
            return Err(wrong(index, "`id` is empty".to_owned()));
        }
        if !seen.insert(row.id.clone()) {
            return Err(wrong(index, format!("a row before it has the id `{}` too", row.id)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(ids: &[&str]) -> Option<String> {
        let row = |id: &&str| format!(r#"{{"id": "{id}", "model": "m", "currency": "USD", "prices": []}}"#);
        let rows: Vec<String> = ids.iter().map(row).collect();
        let body: Publication =
            serde_json::from_str(&format!(r#"{{"rows": [{}]}}"#, rows.join(","))).unwrap();
        check(&body.rows).err().map(|problem| problem.detail)
    }

    #[test]
    fn every_row_has_an_id_of_its_own() {
        assert_eq!(refused(&["a", "b"]), None);
        assert_eq!(refused(&["a", "a"]).unwrap(), "row 1: a row before it has the id `a` too");
        assert_eq!(refused(&[""]).unwrap(), "row 0: `id` is empty");
        assert_eq!(refused(&[]).unwrap(), "`rows` is empty; name at least one price row");
    }
}

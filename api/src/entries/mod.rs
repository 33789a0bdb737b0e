//! `GET /v1/entries`: ledger entries, newest first; a page as JSON, or the whole result as NDJSON, CSV or Parquet.

pub(crate) mod export;
mod parquet;
pub(crate) mod row;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemas::caller::Caller;
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::bounds::{Bounds, Conditions, Value, Values};
use crate::cursor::Question;
use crate::dimension::{self, Filter, Kept};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::Period;
use crate::router::Service;
use crate::spend::entries_sql;
use crate::store::Snapshot;
use crate::units::FIXED;
use row::{Entry, EntryRow, Position};

pub(crate) const ENTRIES_DEFAULT: u64 = 100;
pub(crate) const ENTRIES_MAX: u64 = 1_000;

/// How the entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Ndjson,
    Csv,
    Parquet,
}

const FORMATS: &[(&str, Format)] =
    &[("json", Format::Json), ("ndjson", Format::Ndjson), ("csv", Format::Csv), ("parquet", Format::Parquet)];

/// Which entries are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    time: String,
    conditions: Conditions,
}

/// Answer of `GET /v1/entries` as JSON.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Entries {
    /// Newest first.
    pub rows: Vec<Entry>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Ledger entries, newest first.
#[utoipa::path(
    get, path = "/v1/entries", tag = "reading",
    params(
        ("from" = Option<String>, Query, description = "Start of the period: a date in `tz` or an RFC 3339 instant; the current month by default"),
        ("to" = Option<String>, Query, description = "End of the period, not part of it"),
        ("tz" = Option<String>, Query, description = "IANA time zone of dates; UTC by default"),
        ("format" = Option<String>, Query, description = "json (default, in pages), or the whole result: ndjson, csv or parquet"),
        ("limit" = Option<u64>, Query, description = "Entries of a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, content((Entries = "application/json"), (Entry = "application/x-ndjson"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))), (status = 400, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn entries(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let question = Question::of(&caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(&uri)?;
    let format = parameters.choice("format", FORMATS)?.unwrap_or(Format::Json);
    if format != Format::Json {
        parameters.without_pages()?;
    }
    let limit = parameters.limit(ENTRIES_DEFAULT, ENTRIES_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    let selection = Selection::take(&caller, parameters)?;
    match format {
        Format::Json => page(&service.store.snapshot().await?, selection, &question, limit, after)
            .await
            .map(IntoResponse::into_response),
        Format::Ndjson => export::ndjson(service.store.snapshot().await?, selection).await,
        Format::Csv => export::csv(service.store.snapshot().await?, selection).await,
        Format::Parquet => export::parquet(service.store.snapshot().await?, selection).await,
    }
}

async fn page(
    store: &Snapshot,
    selection: Selection,
    question: &Question,
    limit: u64,
    after: Option<Position>,
) -> Result<Json<Entries>, Problem> {
    let (rows, next_cursor) = selection.page(store, question, limit, after.as_ref()).await?;
    let rows = rows.into_iter().map(EntryRow::shown).collect::<Result<_, _>>()?;
    Ok(Json(Entries { rows, next_cursor }))
}

impl Selection {
    fn take(caller: &Caller, mut parameters: Parameters) -> Result<Self, Problem> {
        let filters = Filter::take_all(&mut parameters)?;
        let period = Period::take(&mut parameters, Timestamp::now())?;
        let own = ["from", "to", "tz", "format", "limit", "cursor"];
        parameters.finish(own.into_iter().map(str::to_owned).chain(dimension::names()))?;
        let mut conditions = Conditions::of(&Bounds::of(caller));
        for filter in &filters {
            filter.add_to(&mut conditions);
            if filter.dimension.kept() == Kept::InLines {
                let condition = filter.lines_sql(&mut conditions.values);
                conditions.and(format!("arrayExists(line -> {condition}, {})", units_sql()));
            }
        }
        Ok(Self { time: entries_sql(period.from, period.to), conditions })
    }

    /// The entries of one request, whenever they occurred.
    pub(crate) fn of_request(caller: &Caller, request_id: &str) -> Self {
        let mut conditions = Conditions::of(&Bounds::of(caller));
        let request_id = conditions.values.bind_text(request_id);
        conditions.and(format!("request_id = {request_id}"));
        Self { time: "true".to_owned(), conditions }
    }

    /// The entries of other conditions, the bounds of the token among them.
    pub(crate) fn of_conditions(conditions: Conditions) -> Self {
        Self { time: "true".to_owned(), conditions }
    }

    /// A page of entries, and the cursor of the next one.
    pub(crate) async fn page(
        &self,
        store: &Snapshot,
        question: &Question,
        limit: u64,
        after: Option<&Position>,
    ) -> Result<(Vec<EntryRow>, Option<String>), Problem> {
        let mut rows = self.read(store, limit.saturating_add(1), after).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|last| question.cursor(&last.position())).transpose()?;
        Ok((rows, next_cursor))
    }

    /// Up to `limit` entries after a position, without what the provider sent.
    pub(crate) async fn read(
        &self,
        store: &Snapshot,
        limit: u64,
        after: Option<&Position>,
    ) -> Result<Vec<EntryRow>, Problem> {
        self.read_with(store, limit, after, "'' AS usage_text, '' AS context_text").await
    }

    /// Up to `limit` entries with what the provider sent.
    pub(crate) async fn read_whole(&self, store: &Snapshot, limit: u64) -> Result<Vec<EntryRow>, Problem> {
        self.read_with(store, limit, None, "usage AS usage_text, context AS context_text").await
    }

    async fn read_with(
        &self,
        store: &Snapshot,
        limit: u64,
        after: Option<&Position>,
        raw: &str,
    ) -> Result<Vec<EntryRow>, Problem> {
        let mut conditions = self.conditions.clone();
        let after = after_sql(after, &mut conditions.values);
        conditions.values = conditions.values.with("limit", Value::Unsigned(limit));
        store
            .ledger(queries::ENTRIES, conditions, |statement| {
                statement.slot("time", &self.time).slot("after", &after).slot("raw", raw)
            })
            .await
    }
}

/// Units that an entry has a line of, as SQL: an array of tuples, as the filter of a line expects them.
fn units_sql() -> String {
    let fixed: Vec<String> = FIXED.iter().map(|unit| format!("if({unit} != 0, '{unit}', '')")).collect();
    format!(
        "arrayMap(unit -> tuple(unit), arrayConcat([{}], CAST(line_units, 'Array(String)')))",
        fixed.join(", ")
    )
}

/// The condition that an entry comes after a position. The bare condition of time beside the tuple lets the store
/// skip what is newer by its sorting key.
fn after_sql(after: Option<&Position>, values: &mut Values) -> String {
    let Some((occurred, topic, partition, offset, ordinal)) = after else { return "true".to_owned() };
    let occurred = values.bind("Int64", Value::Int(*occurred));
    let occurred = format!("fromUnixTimestamp64Milli({occurred}, 'UTC')");
    let topic = values.bind_text(topic);
    let partition = values.bind("UInt32", Value::Unsigned(u64::from(*partition)));
    let offset = values.bind("UInt64", Value::Unsigned(*offset));
    let ordinal = values.bind("UInt32", Value::Unsigned(u64::from(*ordinal)));
    format!(
        "occurred_at <= {occurred} AND (occurred_at, topic, partition, offset, ordinal) \
         < ({occurred}, {topic}, {partition}, {offset}, {ordinal})"
    )
}

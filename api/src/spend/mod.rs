//! `GET /v1/spend`: totals of a period by groups and buckets, with how complete they are and what has no price.
//! Currencies are never added up.

mod csv;
mod plan;
mod query;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemas::caller::Caller;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::bounds::{Bounds, Value, Values};
use crate::completeness;
use crate::cursor;
use crate::dimension::{self, Dimension, Filter, Kept};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{Buckets, INTERVALS, Interval, Period, QUARTER_MS, rfc3339};
use crate::router::Service;
pub(crate) use plan::entries_sql;

/// Dimensions that one question may group by.
const GROUPS_MAX: usize = 4;
/// Rows that a CSV has at most; it has no pages.
const CSV_ROWS_MAX: u64 = 1_000_000;
/// Groups that `top` may ask for.
const TOP_MAX: u64 = 1_000;
/// Rows of a page unless `limit` says otherwise, and at most.
const ROWS_DEFAULT: u64 = 1_000;
const ROWS_MAX: u64 = 10_000;

/// Which of the three totals of an entry is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Charge,
    Cost,
    ListCost,
}

const MEASURES: &[(&str, Measure)] =
    &[("charge", Measure::Charge), ("cost", Measure::Cost), ("list_cost", Measure::ListCost)];
/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

const FORMATS: &[(&str, Format)] = &[("json", Format::Json), ("csv", Format::Csv)];
const COMPARISONS: &[(&str, ())] = &[("previous", ())];
const YES_OR_NO: &[(&str, bool)] = &[("true", true), ("false", false)];

/// A spend question, parsed.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) period: Period,
    pub(crate) interval: Option<Interval>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) group_by: Vec<Dimension>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) measure: Measure,
    pub(crate) quantities: bool,
    /// Only so many groups of each currency by themselves, the rest as one.
    pub(crate) top: Option<u64>,
    pub(crate) compared: Option<Compared>,
    pub(crate) format: Format,
    pub(crate) limit: u64,
    pub(crate) after: Option<Position>,
}

/// The period together with the one before it, in two buckets.
#[derive(Debug)]
pub(crate) struct Compared {
    whole: Period,
    buckets: Buckets,
    /// Where the period itself begins, in seconds since 1970.
    begins: i64,
}

impl Compared {
    fn before_sql(&self, values: &mut Values) -> String {
        format!("bucket < {}", values.bind("Int64", Value::Int(self.begins)))
    }
}

/// The last row of a page: bucket, group values, currency.
pub(crate) type Position = (i64, Vec<String>, String);

/// Answer of `GET /v1/spend`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Spend {
    /// One row for each bucket, group and currency that has entries, in this order.
    pub rows: Vec<SpendRow>,
    /// Everything that was logged before this instant is in the sums; null where a partition is unread.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub complete_through: Option<String>,
    /// What of the period has no price; absent where everything has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<Unpriced>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// Totals of one group in one bucket and currency.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SpendRow {
    /// Value of each dimension asked for; null where the entries have none.
    pub group: BTreeMap<String, Option<String>>,
    /// Start of the local interval, or of the period.
    #[schema(format = DateTime)]
    pub from: String,
    /// End of the local interval, or of the period; not part of it.
    #[schema(format = DateTime)]
    pub to: String,
    /// First attempts.
    pub requests: i64,
    /// All attempts.
    pub attempts: i64,
    /// Quantity of each unit, as decimals; units without any are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantities: Option<BTreeMap<String, String>>,
    /// The total of the measure, a decimal.
    pub amount: String,
    /// ISO 4217 code of the measure: of the charge, or of the cost; null where the entries have neither.
    pub currency: Option<String>,
    /// Whether this is all that is not among the groups of `top`; its group has no values.
    #[serde(default, rename = "other", skip_serializing_if = "std::ops::Not::not")]
    pub is_other: bool,
    /// The same group in the period before, where `compare` asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// Totals of a group in the period before.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Previous {
    /// Start of the period before.
    #[schema(format = DateTime)]
    pub from: String,
    /// Its end, where the period itself begins.
    #[schema(format = DateTime)]
    pub to: String,
    /// First attempts.
    pub requests: i64,
    /// All attempts.
    pub attempts: i64,
    /// The total of the measure, a decimal.
    pub amount: String,
}

/// What of a period has no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unpriced {
    /// Entries that have no price, lack one for a unit, or lack their usage.
    pub entries: i64,
    /// The units that lack a price, with the entries that have each.
    pub units: BTreeMap<String, i64>,
}

/// Totals of a period by groups and buckets. Every dimension is also a filter: `team=a&team=b` keeps either, `model=gpt-*` what
/// begins so, `team!=a` leaves it out.
#[utoipa::path(
    get, path = "/v1/spend", tag = "reading",
    params(
        ("group_by" = Option<Vec<String>>, Query, description = "Up to four dimensions, repeated or separated by commas: key, team, app, environment, customer, project, provider, provider_account, model, alias, endpoint_family, unit, attempt_kind, service_tier, credential, status_class, outcome, invoice, currency, tag:<name> and others that the error for an unknown one lists"),
        ("interval" = Option<String>, Query, description = "hour, day, week or month, local to `tz`; none sums the whole period"),
        ("from" = Option<String>, Query, description = "Start of the period: a date in `tz` or an RFC 3339 instant; the current month by default"),
        ("to" = Option<String>, Query, description = "End of the period, not part of it"),
        ("tz" = Option<String>, Query, description = "IANA time zone of dates and intervals; UTC by default"),
        ("measure" = Option<String>, Query, description = "charge (default), cost or list_cost"),
        ("quantities" = Option<bool>, Query, description = "false leaves the quantities out"),
        ("top" = Option<u64>, Query, description = "Only so many groups of each currency, those with the largest amounts; the rest is one row with `other`. Not by unit"),
        ("compare" = Option<String>, Query, description = "previous: each row also has the period before, as many months, days or milliseconds long; not with `interval`"),
        ("format" = Option<String>, Query, description = "json (default), or csv: all rows, no pages"),
        ("limit" = Option<u64>, Query, description = "Rows of a page, 1 to 10000; 1000 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, content((Spend = "application/json"), (String = "text/csv"))), (status = 400, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn spend(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Problem> {
    let pages = cursor::Question::of(&caller, uri.path(), uri.query());
    let question = Question::parse(&uri, &pages, Timestamp::now())?;
    let spend = answer(&service, &caller, &question, &pages).await?;
    match question.format {
        Format::Json => Ok(Json(spend).into_response()),
        Format::Csv if spend.next_cursor.is_some() => Err(Problem::parameter(
            "format",
            format!(
                "the answer has more than {CSV_ROWS_MAX} rows; shorten the period or ask for fewer groups"
            ),
        )),
        Format::Csv => csv::response(&question, &spend.rows),
    }
}

async fn answer(
    service: &Service,
    caller: &Caller,
    question: &Question,
    pages: &cursor::Question,
) -> Result<Spend, Problem> {
    let bounds = Bounds::of(caller);
    let snapshot = service.store.snapshot().await?;
    let (rows, unpriced, complete_through) = futures::try_join!(
        query::totals(&snapshot, &bounds, question),
        query::unpriced(&snapshot, &bounds, question),
        completeness::complete_through(&service.store),
    )?;
    let wanted = usize::try_from(question.limit).unwrap_or(usize::MAX);
    let next_cursor = if rows.len() > wanted {
        rows.get(wanted.saturating_sub(1)).map(|last| pages.cursor(&last.position())).transpose()?
    } else {
        None
    };
    Ok(Spend {
        rows: rows.into_iter().take(wanted).map(|row| row.shown(question)).collect(),
        complete_through: complete_through.map(rfc3339),
        unpriced,
        next_cursor,
    })
}

impl Question {
    pub(crate) fn parse(uri: &Uri, pages: &cursor::Question, now: Timestamp) -> Result<Self, Problem> {
        let mut parameters = Parameters::parse(uri)?;
        let filters = Filter::take_all(&mut parameters)?;
        let group_by = group_by(&mut parameters)?;
        let period = Period::take(&mut parameters, now)?;
        let interval = parameters.choice("interval", INTERVALS)?;
        let measure = parameters.choice("measure", MEASURES)?.unwrap_or(Measure::Charge);
        let (mut group_by, mut filters) = (group_by, filters);
        if measure == Measure::Charge {
            let dimensions = filters.iter_mut().map(|filter| &mut filter.dimension).chain(&mut group_by);
            dimensions.for_each(Dimension::of_charge);
        }
        let quantities = parameters.choice("quantities", YES_OR_NO)?.unwrap_or(true);
        let top = parameters.count("top", TOP_MAX)?;
        let compare = parameters.choice("compare", COMPARISONS)?;
        let format = parameters.choice("format", FORMATS)?.unwrap_or(Format::Json);
        let known = KNOWN.iter().map(|name| (*name).to_owned()).chain(dimension::names());
        let (limit, after) = match format {
            Format::Json => (
                parameters.limit(ROWS_DEFAULT, ROWS_MAX)?,
                parameters.one("cursor")?.map(|cursor| pages.position(&cursor)).transpose()?,
            ),
            Format::Csv => (CSV_ROWS_MAX, None),
        };
        parameters.finish(known)?;
        if top.is_some() && (group_by.is_empty() || group_by.iter().any(|one| one.kept() == Kept::InLines)) {
            return Err(Problem::parameter(
                "top",
                "`top` needs `group_by`, and not by unit: an entry has several units",
            ));
        }
        let buckets = interval.map(|interval| period.buckets(interval)).transpose()?;
        let compared = compare.map(|()| compared(&period, interval)).transpose()?;
        Ok(Self {
            period,
            interval,
            buckets,
            group_by,
            filters,
            measure,
            quantities,
            top,
            compared,
            format,
            limit,
            after,
        })
    }
}

/// The parameters besides the dimensions.
const KNOWN: &[&str] = &[
    "group_by",
    "interval",
    "from",
    "to",
    "tz",
    "measure",
    "quantities",
    "top",
    "compare",
    "format",
    "limit",
    "cursor",
];

/// The period and the one before it. Their border has to be one that the store can tell by quarter hours.
fn compared(period: &Period, interval: Option<Interval>) -> Result<Compared, Problem> {
    if interval.is_some() {
        return Err(Problem::parameter("compare", "`compare` and `interval` exclude each other; ask twice"));
    }
    if period.from % QUARTER_MS != 0 {
        return Err(Problem::parameter("from", "with `compare`, the period begins at a quarter hour"));
    }
    let (whole, buckets) = period.previous()?.followed_by(period);
    Ok(Compared { whole, buckets, begins: period.from / 1000 })
}

fn group_by(parameters: &mut Parameters) -> Result<Vec<Dimension>, Problem> {
    let mut dimensions = Vec::new();
    for text in parameters.all("group_by") {
        for name in text.split(',') {
            let dimension = Dimension::parse("group_by", name.trim())?;
            if !dimensions.contains(&dimension) {
                dimensions.push(dimension);
            }
        }
    }
    if dimensions.len() > GROUPS_MAX {
        return Err(Problem::parameter(
            "group_by",
            format!("`group_by` names {} dimensions; at most {GROUPS_MAX} are allowed", dimensions.len()),
        ));
    }
    Ok(dimensions)
}

impl Measure {
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Cost => "cost",
            Self::ListCost => "list_cost",
        }
    }

    /// The column of its currency.
    pub(crate) const fn currency(self) -> &'static str {
        match self {
            Self::Charge => "charge_currency",
            Self::Cost | Self::ListCost => "currency",
        }
    }

    /// Whether an entry has lines of this measure apart from those of the cost, as SQL, and the column of them.
    pub(crate) const fn plane(self) -> (&'static str, &'static str) {
        match self {
            Self::Charge => ("charge_row != '' OR markup != ''", "charge_lines"),
            Self::ListCost => ("list_row != ''", "list_lines"),
            Self::Cost => ("false", "list_lines"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(query: &str) -> Result<Question, Problem> {
        let caller =
            Caller { token_id: "t".to_owned(), scopes: Vec::new(), customers: Vec::new(), teams: Vec::new() };
        let uri: Uri = format!("/v1/spend?{query}").parse().unwrap();
        let pages = cursor::Question::of(&caller, uri.path(), uri.query());
        Question::parse(&uri, &pages, "2026-11-24T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn group_by_is_repeated_or_separated_by_commas() {
        let names =
            |query: &str| question(query).unwrap().group_by.iter().map(Dimension::name).collect::<Vec<_>>();
        assert_eq!(names("group_by=team,model&group_by=tag:env"), ["team", "model", "tag:env"]);
        assert_eq!(names("group_by=team&group_by=team"), ["team"]);
    }

    #[test]
    fn what_spend_does_not_know_is_refused_by_name() {
        for (query, parameter) in [
            ("group_by=teams", "group_by"),
            ("group_by=team,,model", "group_by"),
            ("group_by=team,model,app,key,customer", "group_by"),
            ("interval=year", "interval"),
            ("measure=price", "measure"),
            ("quantities=no", "quantities"),
            ("limit=0", "limit"),
            ("limit=10001", "limit"),
            ("cursor=abc", "cursor"),
            ("top=5", "top"),
            ("top=0&group_by=team", "top"),
            ("top=5&group_by=unit", "top"),
            ("compare=last", "compare"),
            ("compare=previous&interval=day", "compare"),
            ("compare=previous&from=2026-11-24T09:07:00Z", "from"),
            ("format=csv&cursor=abc", "cursor"),
            ("format=xml", "format"),
            ("from=", "from"),
            ("colour=red", "colour"),
            ("team=", "team"),
        ] {
            assert_eq!(question(query).unwrap_err().parameter.as_deref(), Some(parameter), "{query}");
        }
        assert!(question("interval=year").unwrap_err().allowed.contains(&"month".to_owned()));
    }
}

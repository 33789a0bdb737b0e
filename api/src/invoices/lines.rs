//! `GET /v1/invoices/{id}/lines/{n}/entries`: the entries that a line of an invoice is the sum of, each with what it adds
//! to the line.

use std::io;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use ledger::invoice::Month;
use ledger::money::Decimal;
use schemas::invoices::{InvoiceText, LineText, Months, entry_line_sql};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Found, find, no_bounds};
use crate::auth::Authenticated;
use crate::bounds::{Bounds, Conditions, Value};
use crate::cursor::Question;
use crate::entries::export::{self, Writer};
use crate::entries::row::{Entry, EntryRow, Line, add};
use crate::entries::{ENTRIES_DEFAULT, ENTRIES_MAX, Selection};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::router::Service;

/// The basis of what is missing to a minimum: it counts money and no quantity.
const MINIMUM: &str = "minimum";

const NOT_BILLED: &str = "not_billed";

/// How the entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Ndjson,
    Csv,
}

const FORMATS: &[(&str, Format)] =
    &[("json", Format::Json), ("ndjson", Format::Ndjson), ("csv", Format::Csv)];

/// Answer of `GET /v1/invoices/{id}/lines/{n}/entries` as JSON.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LineEntries {
    /// The line.
    pub line: LineText,
    /// Its entries, newest first. All of them together add up to the line's quantity and exact amount.
    pub rows: Vec<LineEntry>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// An entry and what it adds to a line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LineEntry {
    /// What it adds to the line's quantity.
    pub line_quantity: String,
    /// What it adds to the line's exact amount.
    pub line_amount: String,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// All entries of an invoice as NDJSON, newest first: what its lines are the sums of.
#[utoipa::path(
    get, path = "/v1/invoices/{id}/entries", tag = "invoices",
    params(("id" = String, Path, description = "The invoice, as the list names it")),
    responses(
        (status = 200, body = Entry, content_type = "application/x-ndjson"),
        (status = 404, body = crate::error::Problem, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(crate) async fn all_entries(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let bounds = Bounds::of(&caller);
    let found = find(&service.store, &bounds, &id).await?;
    let mut conditions = found.question.conditions(&bounds);
    let currency = conditions.values.bind_text(&found.invoice.currency);
    conditions.and(format!("({})", found.question.sql()));
    conditions.and(format!("charge_currency = {currency}"));
    export::ndjson(found.snapshot, Selection::of_conditions(conditions)).await
}

/// The entries of one line of an invoice, newest first.
#[utoipa::path(
    get, path = "/v1/invoices/{id}/lines/{n}/entries", tag = "invoices",
    params(
        ("id" = String, Path, description = "The invoice, as the list names it"),
        ("n" = u32, Path, description = "The line's number"),
        ("format" = Option<String>, Query, description = "json (default, in pages), or all of them: ndjson or csv"),
        ("limit" = Option<u64>, Query, description = "Entries of a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, content((LineEntries = "application/json"), (LineEntry = "application/x-ndjson"), (String = "text/csv"))),
        (status = 404, body = crate::error::Problem, content_type = "application/problem+json")
    ),
    security(("token" = []))
)]
pub(crate) async fn entries(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let question = Question::of(&caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(&uri)?;
    let format = parameters.choice("format", FORMATS)?.unwrap_or(Format::Json);
    if format != Format::Json {
        parameters.without_pages()?;
    }
    let limit = parameters.limit(ENTRIES_DEFAULT, ENTRIES_MAX)?;
    let after = parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    parameters.finish(["format", "limit", "cursor"])?;
    let bounds = Bounds::of(&caller);
    let found = find(&service.store, &bounds, &id).await?;
    let line = found.invoice.lines.iter().find(|line| line.number.to_string() == number);
    let line = line.cloned().ok_or_else(|| Problem::not_found("line of that number on the invoice"))?;
    let selection = Selection::of_conditions(conditions(&found, &bounds, &line)?);
    match format {
        Format::Json => {
            let (rows, next_cursor) =
                selection.page(&found.snapshot, &question, limit, after.as_ref()).await?;
            let rows = rows.into_iter().map(EntryRow::shown).map(|entry| LineEntry::of(entry?, &line));
            let rows = rows.collect::<Result<_, _>>()?;
            Ok(Json(LineEntries { line, rows, next_cursor }).into_response())
        }
        Format::Ndjson => {
            export::stream(found.snapshot, selection, export::NDJSON, Box::new(Ndjson(line))).await
        }
        Format::Csv => {
            let writer = Csv { line, has_head: false };
            export::stream(found.snapshot, selection, crate::csv::MEDIA_TYPE, Box::new(writer)).await
        }
    }
}

/// That an entry is on the invoice and has the line. What is no usage is made of no entries.
fn conditions(found: &Found, bounds: &Bounds, line: &LineText) -> Result<Conditions, Problem> {
    let mut conditions = found.question.conditions(bounds);
    let Some(unit) = &line.unit else {
        conditions.and("false".to_owned());
        return Ok(conditions);
    };
    let (from, to) = match line.adjusts.as_deref().and_then(Month::parse) {
        Some(month) => Months::new(month, month, &found.invoice.time_zone)
            .map_err(|error| no_bounds(&error))?
            .last_bounds(),
        None => found.question.months.last_bounds(),
    };
    conditions.values = conditions
        .values
        .with("line_start", Value::Int(from.0 / 1000))
        .with("line_end", Value::Int(to.0 / 1000))
        .with("line_currency", Value::Text(found.invoice.currency.clone()))
        .with("line_model", Value::Text(line.model.clone()))
        .with("line_unit", Value::Text(unit.clone()))
        .with("line_price", Value::Text(line.unit_price.clone().unwrap_or_default()))
        .with("line_adjusts", Value::Unsigned(u64::from(line.adjusts.is_some())));
    conditions.and(format!("({})", found.question.sql()));
    conditions.and(format!("({})", entry_line_sql()));
    if let Some(team) = &line.team {
        let team = conditions.values.bind_text(team);
        conditions.and(format!("team = {team}"));
    }
    Ok(conditions)
}

impl LineEntry {
    /// An entry of a line. Its charge has the line's unit at the line's price, once or more.
    fn of(entry: Entry, line: &LineText) -> Result<Self, Problem> {
        let lines = entry.charging.as_ref().map_or(&entry.lines, |charging| &charging.lines);
        let (mut quantity, mut amount) = (Decimal::ZERO, Decimal::ZERO);
        for own in lines.iter().filter(|own| is_of(own, line)) {
            if own.price_basis != MINIMUM {
                quantity = add(quantity, &own.quantity)?;
            }
            amount = own.amount.as_ref().map_or(Ok(amount), |own| add(amount, own))?;
        }
        Ok(Self { line_quantity: quantity.to_string(), line_amount: amount.to_string(), entry })
    }
}

fn is_of(own: &Line, line: &LineText) -> bool {
    let price = own.unit_price.as_ref().filter(|_| own.price_basis != MINIMUM);
    Some(&own.unit) == line.unit.as_ref() && (line.adjusts.is_some() || price == line.unit_price.as_ref())
}

/// The numbers of the lines of an invoice that an entry of that month is on.
pub(crate) fn numbers(entry: &Entry, month: Month, invoice: &InvoiceText) -> Vec<u32> {
    // What the provider charged nothing for is on no invoice, whatever it used.
    if entry.outcome.as_deref() == Some(NOT_BILLED) {
        return Vec::new();
    }
    let month = month.to_string();
    let is_of_month = |line: &&LineText| *line.adjusts.as_ref().unwrap_or(&invoice.period) == month;
    let own = entry.charging.as_ref().map_or(&entry.lines, |charging| &charging.lines);
    let lines =
        invoice.lines.iter().filter(is_of_month).filter(|line| entry.model.as_ref() == Some(&line.model));
    lines.filter(|line| own.iter().any(|own| is_of(own, line))).map(|line| line.number).collect()
}

struct Ndjson(LineText);

impl Writer for Ndjson {
    fn chunk(&mut self, entries: &[Entry]) -> io::Result<Bytes> {
        let mut bytes = Vec::new();
        for entry in entries {
            let entry = shown(entry, &self.0)?;
            serde_json::to_writer(&mut bytes, &entry).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        Ok(bytes.into())
    }
}

struct Csv {
    line: LineText,
    has_head: bool,
}

impl Writer for Csv {
    fn chunk(&mut self, entries: &[Entry]) -> io::Result<Bytes> {
        let with = |own: [String; 2], rest: Vec<String>| own.into_iter().chain(rest).collect::<Vec<_>>();
        let names = ["line_quantity", "line_amount"].map(str::to_owned);
        let mut rows = Vec::with_capacity(entries.len() + 1);
        if !self.has_head {
            rows.push(with(names, export::head()));
            self.has_head = true;
        }
        for entry in entries {
            let own = shown(entry, &self.line)?;
            rows.push(with([own.line_quantity, own.line_amount], export::cells(entry)));
        }
        crate::csv::records(rows)
    }
}

fn shown(entry: &Entry, line: &LineText) -> io::Result<LineEntry> {
    LineEntry::of(entry.clone(), line).map_err(|problem| io::Error::other(problem.detail))
}

//! `/v1/invoices`: what accounts owe for a month. A closed invoice is the text that its close made; an open one is made
//! of the present entries by the same rules.

pub(crate) mod books;
mod close;
mod lines;
mod open;

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use clickhouse::Row;
use jiff::Timestamp;
use ledger::account::Kind;
use ledger::event::Millis;
use ledger::invoice::Month;
use schemas::invoices::{InvoiceText, Named, month_of};
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Authenticated;
use crate::bounds::{Bounds, Conditions, Value};
use crate::completeness;
use crate::cursor::Question;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::rfc3339;
use crate::router::Service;
use crate::store::{Snapshot, Store};
use books::Books;
pub use close::Closed;
pub(crate) use close::{__path_close, close};
pub(crate) use lines::{__path_all_entries, __path_entries, all_entries, entries, numbers};
pub use lines::{LineEntries, LineEntry};
pub(crate) use open::Membership;

const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 1_000;
/// Values of one dimension that sub-totals list.
const SUBTOTALS_MAX: u64 = 10_000;
/// Dimensions by which an invoice is divided.
const SUBTOTALS: &[&str] = &["team", "key", "project"];
const KINDS: &[(&str, Kind)] = &[("customer", Kind::Customer), ("team", Kind::Team)];
const STATES: &[(&str, bool)] = &[("open", false), ("closed", true)];

/// Answer of `GET /v1/invoices`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Invoices {
    /// Open ones first, then closed ones, the newest month first.
    pub rows: Vec<InvoiceText>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
    /// Everything that was logged before this instant is in the ledger; null where a partition is unread.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub complete_through: Option<String>,
}

/// Answer of `GET /v1/invoices/{id}`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Invoice {
    /// The invoice.
    #[serde(flatten)]
    pub invoice: InvoiceText,
    /// Exact sums of its entries by team, key and project; an entry without one counts under the empty text.
    pub subtotals: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Row, Deserialize)]
struct Stored {
    #[expect(dead_code, reason = "a column of the query")]
    invoice_id: String,
    kind_name: String,
    account: String,
    month_text: String,
    currency_code: String,
    hash: String,
    body: String,
}

#[derive(Row, Deserialize)]
struct Subtotal {
    dimension_value: String,
    amount_total: String,
}

type Position = (String, String, String, String);

/// What a list is about.
struct Wanted {
    account: Option<String>,
    kind: Option<Kind>,
    period: Option<Month>,
    is_closed: Option<bool>,
}

/// Invoices of accounts and months.
#[utoipa::path(
    get, path = "/v1/invoices", tag = "invoices",
    params(
        ("account" = Option<String>, Query, description = "Of that customer or team"),
        ("kind" = Option<String>, Query, description = "customer or team; needed only where both have that id"),
        ("period" = Option<String>, Query, description = "Of that month, `YYYY-MM`; without it, every closed month and the present one"),
        ("state" = Option<String>, Query, description = "open or closed; both by default. Open ones are made for an account or a period that is named"),
        ("limit" = Option<u64>, Query, description = "Closed invoices of a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = Invoices)),
    security(("token" = []))
)]
pub(crate) async fn list(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
) -> Result<Json<Invoices>, Problem> {
    let question = Question::of(&caller, uri.path(), uri.query());
    let mut parameters = Parameters::parse(&uri)?;
    let mut wanted = Wanted {
        account: parameters.one("account")?,
        kind: parameters.choice("kind", KINDS)?,
        period: parameters.one("period")?.map(|text| month("period", &text)).transpose()?,
        is_closed: parameters.choice("state", STATES)?,
    };
    let limit = parameters.limit(ROWS_DEFAULT, ROWS_MAX)?;
    let after: Option<Position> =
        parameters.one("cursor")?.map(|cursor| question.position(&cursor)).transpose()?;
    parameters.finish(["account", "kind", "period", "state", "limit", "cursor"])?;
    let bounds = Bounds::of(&caller);
    // Before the positions: what counts lies before them whole.
    let snapshot = service.store.snapshot().await?;
    let books = Books::read(&service.store).await?;
    if let Some(account) = &wanted.account {
        wanted.kind = Some(books.kind_of(&bounds, account, wanted.kind)?);
    }
    let names_some = wanted.account.is_some() || wanted.period.is_some();
    let mut rows = Vec::new();
    if after.is_none() && names_some && wanted.is_closed != Some(true) {
        rows = open_of(&snapshot, &bounds, &books, &wanted).await?;
    }
    let mut next_cursor = None;
    if wanted.is_closed != Some(false) {
        let mut closed = closed_of(&service.store, &bounds, &wanted, limit, after).await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        if closed.len() > page {
            closed.truncate(page);
            next_cursor = closed.last().map(|last| question.cursor(&last.position())).transpose()?;
        }
        rows.extend(closed.into_iter().map(Stored::shown).collect::<Result<Vec<_>, _>>()?);
    }
    let complete_through = completeness::complete_through(&service.store).await?.map(rfc3339);
    Ok(Json(Invoices { rows, next_cursor, complete_through }))
}

/// One invoice with its sub-totals.
#[utoipa::path(
    get, path = "/v1/invoices/{id}", tag = "invoices",
    params(("id" = String, Path, description = "The invoice, as the list names it")),
    responses((status = 200, body = Invoice), (status = 404, body = crate::error::Problem, content_type = "application/problem+json")),
    security(("token" = []))
)]
pub(crate) async fn one(
    State(service): State<Service>,
    Authenticated(caller): Authenticated,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
) -> Result<Json<Invoice>, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let bounds = Bounds::of(&caller);
    let Found { invoice, question, snapshot, .. } = find(&service.store, &bounds, &id).await?;
    let mut subtotals = BTreeMap::new();
    for dimension in SUBTOTALS {
        let sums = subtotals_by(&snapshot, &bounds, &question, &invoice.currency, dimension).await?;
        subtotals.insert((*dimension).to_owned(), sums);
    }
    Ok(Json(Invoice { invoice, subtotals }))
}

/// An invoice, and which entries are on it.
pub(crate) struct Found {
    pub(crate) invoice: InvoiceText,
    pub(crate) question: Membership,
    pub(crate) kind: Kind,
    /// The operations that count, for what is asked of its entries.
    pub(crate) snapshot: Snapshot,
}

/// The invoice of an id, open or closed; what the token may not see is answered like one that is not there.
pub(crate) async fn find(store: &Store, bounds: &Bounds, id: &str) -> Result<Found, Problem> {
    let missing = || Problem::not_found("invoice of that id");
    let named = Named::parse(id)
        .filter(|named| bounds.sees_account(named.kind, &named.account))
        .ok_or_else(missing)?;
    // Before the positions: what counts lies before them whole.
    let snapshot = store.snapshot().await?;
    let books = Books::read(store).await?;
    let account = books.accounts.get(named.kind, &named.account).and_then(|timeline| timeline.last_set());
    let account = account.ok_or_else(missing)?;
    let wanted = Wanted {
        account: Some(named.account.clone()),
        kind: Some(named.kind),
        period: Some(named.month),
        is_closed: None,
    };
    let closed = closed_of(store, bounds, &wanted, ROWS_MAX, None).await?;
    let closed = closed.into_iter().find(|stored| stored.currency_code == named.currency);
    let invoice = match closed {
        Some(stored) => stored.shown()?,
        None => open_of(&snapshot, bounds, &books, &wanted)
            .await?
            .into_iter()
            .find(|invoice| invoice.id == id)
            .ok_or_else(missing)?,
    };
    let question = Membership {
        kind: named.kind,
        accounts: vec![named.account.clone()],
        months: books.months(named.kind, &named.account, named.month, &account.time_zone)?,
        cut: match &invoice.cut {
            Some(cut) => cut.clone(),
            None => books.everything.clone(),
        },
        before: books.cut_before(named.kind, &named.account, named.month),
    };
    Ok(Found { invoice, question, kind: named.kind, snapshot })
}

/// The closed invoices of these ids, by id; those that the token may not see are left out.
pub(crate) async fn closed_by_id(
    store: &Store,
    bounds: &Bounds,
    ids: BTreeSet<String>,
) -> Result<BTreeMap<String, InvoiceText>, Problem> {
    let mut found = BTreeMap::new();
    for id in ids {
        let Some(named) = Named::parse(&id) else { continue };
        let wanted = Wanted {
            account: Some(named.account),
            kind: Some(named.kind),
            period: Some(named.month),
            is_closed: Some(true),
        };
        let closed = closed_of(store, bounds, &wanted, ROWS_MAX, None).await?;
        if let Some(stored) = closed.into_iter().find(|stored| stored.currency_code == named.currency) {
            found.insert(id, stored.shown()?);
        }
    }
    Ok(found)
}

async fn subtotals_by(
    store: &Snapshot,
    bounds: &Bounds,
    question: &Membership,
    currency: &str,
    dimension: &str,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut conditions = question.conditions(bounds);
    conditions.values = conditions
        .values
        .with("currency", Value::Text(currency.to_owned()))
        .with("limit", Value::Unsigned(SUBTOTALS_MAX));
    let rows: Vec<Subtotal> = store
        .ledger(queries::INVOICE_SUBTOTALS, conditions, |statement| {
            statement.slot("membership", &question.sql()).slot("dimension", dimension)
        })
        .await?;
    Ok(rows.into_iter().map(|row| (row.dimension_value, row.amount_total)).collect())
}

/// Open invoices of the accounts and the month that are wanted; of the present month, where none is named.
async fn open_of(
    store: &Snapshot,
    bounds: &Bounds,
    books: &Books,
    wanted: &Wanted,
) -> Result<Vec<InvoiceText>, Problem> {
    let now = Millis(Timestamp::now().as_millisecond());
    let mut due = Vec::new();
    for (kind, id, account) in books.visible(bounds) {
        let is_wanted = wanted.account.as_ref().is_none_or(|wanted| wanted == id)
            && wanted.kind.is_none_or(|wanted| wanted == kind);
        if !is_wanted {
            continue;
        }
        let Some(month) = wanted.period.or_else(|| month_of(now, &account.time_zone)) else { continue };
        if books.last_month(kind, id).is_none_or(|last| last < month) {
            due.push((account, month));
        }
    }
    open::invoices_of(store, bounds, books, &due).await
}

async fn closed_of(
    store: &Store,
    bounds: &Bounds,
    wanted: &Wanted,
    limit: u64,
    after: Option<Position>,
) -> Result<Vec<Stored>, Problem> {
    let mut conditions = Conditions::of_accounts(bounds);
    let mut filters = vec!["true".to_owned()];
    let named = [
        ("account", wanted.account.clone()),
        ("kind", wanted.kind.map(|kind| kind.name().to_owned())),
        ("month", wanted.period.map(|month| month.to_string())),
    ];
    for (column, value) in named {
        if let Some(value) = value {
            filters.push(format!("{column} = {}", conditions.values.bind_text(&value)));
        }
    }
    let after = match after {
        None => "true".to_owned(),
        Some((month, kind, account, currency)) => {
            let values = &mut conditions.values;
            let month = values.bind_text(&month);
            format!(
                "(month < {month} OR (month = {month} AND (kind, account, currency) > ({}, {}, {})))",
                values.bind_text(&kind),
                values.bind_text(&account),
                values.bind_text(&currency)
            )
        }
    };
    conditions.values = conditions.values.with("limit", Value::Unsigned(limit.saturating_add(1)));
    store
        .bounded(queries::INVOICES, conditions, |statement| {
            statement.slot("filters", &filters.join(" AND ")).slot("after", &after)
        })
        .await
}

impl Stored {
    fn position(&self) -> Position {
        (self.month_text.clone(), self.kind_name.clone(), self.account.clone(), self.currency_code.clone())
    }

    fn shown(self) -> Result<InvoiceText, Problem> {
        let mut invoice: InvoiceText = serde_json::from_str(&self.body).map_err(|error| {
            tracing::error!(error = error.to_string(), "A closed invoice cannot be read");
            Problem::internal()
        })?;
        invoice.hash = Some(self.hash);
        Ok(invoice)
    }
}

/// A month of a parameter or a field.
fn month(name: &str, text: &str) -> Result<Month, Problem> {
    Month::parse(text).ok_or_else(|| {
        Problem::parameter(name, format!("`{name}` cannot be `{text}`"))
            .allowed(["a month, for example `2026-11`"])
    })
}

/// A month that the calendar of an account has no bounds for.
fn no_bounds(error: &schemas::invoices::Error) -> Problem {
    Problem::parameter("period", error.to_string())
}

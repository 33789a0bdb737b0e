//! `POST /v1/invoices/close`: closes a month of accounts. Whether it may be closed is judged here, against the entries
//! before one cut; the close itself is a command, some accounts at a time, so that other changes get between.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use clickhouse::Row;
use ledger::account::{Account, Kind};
use ledger::event::Millis;
use ledger::invoice::Month;
use schemas::command::{CloseMonth, Command};
use schemas::invoices::{Accepted, Cut, InvoiceText, Months, account_column, settled_at};
use schemas::log::COMMANDS_TOPIC;
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::books::{Books, positions};
use super::open::{Group, groups};
use super::{ROWS_MAX, Wanted, closed_of, month, no_bounds};
use crate::audit;
use crate::auth::Unbound;
use crate::body::Body;
use crate::bounds::Bounds;
use crate::commands::{self, Reach, State as Progress};
use crate::completeness;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::rfc3339;
use crate::quarantine::open::{self, Owner};
use crate::router::Service;
use crate::store::{Snapshot, Store};

/// Accounts that one command closes.
const ACCOUNTS_AT_ONCE: usize = 200;
/// What stands for every account.
const ALL: &str = "all";
/// What a close can be told to accept.
const ACCEPTABLE: &[&str] = &["unpriced", "incomplete", "quarantine", "audit"];

/// Body of `POST /v1/invoices/close`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closing {
    /// The account, several, or `all`.
    account: OneOrMany,
    /// `customer` or `team`; needed only where both have an account of that id. Of `all`, customers by default.
    #[serde(default)]
    kind: Option<String>,
    /// The month, `YYYY-MM`.
    #[schema(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$")]
    period: String,
    /// What to close over although it is not as it should be: unpriced, incomplete, quarantine, audit.
    #[serde(default)]
    accept: Vec<String>,
    /// Why; needed with `accept`, and printed on the invoice.
    #[serde(default)]
    reason: Option<String>,
}

/// One text or a list of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Answer of `POST /v1/invoices/close`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Closed {
    /// The invoices of the month, one for each account and currency.
    pub invoices: Vec<InvoiceText>,
    /// What has not been closed within the time of a call and goes on by itself; repeat the call to see it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
}

#[derive(Row, Deserialize)]
struct Count {
    account_id: String,
    entries: u64,
}

/// Closes a month: makes its invoices final. A repeat answers with the same invoices.
#[utoipa::path(
    post, path = "/v1/invoices/close", tag = "invoices", request_body = Closing,
    responses(
        (status = 200, body = Closed),
        (status = 202, body = Closed, description = "Some accounts are still being closed"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "Not closed; `blockers` says why by account")
    ),
    security(("token" = []))
)]
pub(crate) async fn close(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Body(closing): Body<Closing>,
) -> Result<(StatusCode, Json<Closed>), Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let bounds = Bounds::of(&caller);
    let month = month("period", &closing.period)?;
    closing.check()?;
    let books = Books::read(&service.store).await?;
    let (kind, accounts) = closing.accounts(&books, &bounds)?;
    let due: Vec<&Account> =
        accounts.iter().copied().filter(|account| !books.is_closed(kind, &account.id, month)).collect();
    let mut pending = Vec::new();
    if !due.is_empty() {
        // Repeats are looked for first, and the position is taken last: everything that is claimed to be there is before it.
        let swept = audit::sweep_before_close(&service, &caller).await?;
        let complete_through = completeness::complete_through(&service.store).await?;
        let cut = positions(&service.store).await?;
        // The operations that the worker will count.
        let snapshot = service.store.snapshot_before(cut.next(COMMANDS_TOPIC, 0)).await?;
        let judge = Judge {
            service: &service,
            snapshot: &snapshot,
            books: &books,
            kind,
            month,
            cut: &cut,
            complete_through,
            swept,
        };
        let blockers = judge.blockers(&due).await?;
        refuse_unless_accepted(&blockers, &closing.accept)?;
        for accounts in due.chunks(ACCOUNTS_AT_ONCE) {
            let ids: Vec<String> = accounts.iter().map(|account| account.id.clone()).collect();
            let accepted = |id: &String| Some((id.clone(), blockers.get(id)?.clone()));
            let command = Command::CloseMonth(CloseMonth {
                kind: kind.name().to_owned(),
                accepted: ids.iter().filter_map(accepted).collect(),
                accounts: ids,
                period: month.to_string(),
                cut: cut.clone(),
                reason: closing.reason.clone(),
                complete_through: complete_through.map(rfc3339),
            });
            let operation = commands::change(&service, &caller, &command, Reach::Tables).await?;
            if operation.state != Progress::Applied {
                pending.push(operation.id);
            }
        }
    }
    let invoices = made(&service.store, &bounds, kind, month, &accounts).await?;
    let status = if pending.is_empty() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Closed { invoices, pending })))
}

/// The closed invoices of a month of accounts.
async fn made(
    store: &Store,
    bounds: &Bounds,
    kind: Kind,
    month: Month,
    accounts: &[&Account],
) -> Result<Vec<InvoiceText>, Problem> {
    let ids: std::collections::HashSet<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
    let mut invoices = Vec::new();
    let mut after = None;
    loop {
        let wanted = Wanted { account: None, kind: Some(kind), period: Some(month), is_closed: Some(true) };
        let mut page = closed_of(store, bounds, &wanted, ROWS_MAX, after).await?;
        let is_last = u64::try_from(page.len()).unwrap_or(u64::MAX) <= ROWS_MAX;
        if !is_last {
            page.pop();
        }
        after = page.last().map(super::Stored::position);
        for stored in page {
            if ids.contains(stored.account.as_str()) {
                invoices.push(stored.shown()?);
            }
        }
        if is_last {
            return Ok(invoices);
        }
    }
}

impl Closing {
    fn check(&self) -> Result<(), Problem> {
        if let Some(unknown) = self.accept.iter().find(|what| !ACCEPTABLE.contains(&what.as_str())) {
            return Err(Problem::parameter("accept", format!("`accept` cannot name `{unknown}`"))
                .allowed(ACCEPTABLE.iter().copied()));
        }
        let has_reason = self.reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
        if !self.accept.is_empty() && !has_reason {
            return Err(Problem::parameter(
                "reason",
                "what is accepted needs a `reason`, which the invoice prints",
            ));
        }
        Ok(())
    }

    /// The accounts that are meant, all of one kind.
    fn accounts<'b>(&self, books: &'b Books, bounds: &Bounds) -> Result<(Kind, Vec<&'b Account>), Problem> {
        let kind = match self.kind.as_deref() {
            None => None,
            Some(name) => Some(Kind::parse(name).ok_or_else(|| {
                Problem::parameter("kind", format!("`kind` cannot be `{name}`"))
                    .allowed(Kind::ALL.iter().map(|kind| kind.name()))
            })?),
        };
        let ids: Vec<&String> = match &self.account {
            OneOrMany::One(id) if id == ALL => {
                let kind = kind.unwrap_or(Kind::Customer);
                let all =
                    books.visible(bounds).filter(|(of, _, _)| *of == kind).map(|(_, _, account)| account);
                return Ok((kind, all.collect()));
            }
            OneOrMany::One(id) => vec![id],
            OneOrMany::Many(ids) if ids.is_empty() => {
                return Err(Problem::parameter("account", "`account` names no account; name some, or `all`"));
            }
            OneOrMany::Many(ids) => ids.iter().collect(),
        };
        let mut found: Option<Kind> = None;
        let mut accounts = Vec::new();
        for id in ids {
            let kind = books.kind_of(bounds, id, kind)?;
            if found.is_some_and(|found| found != kind) {
                let detail =
                    format!("`{id}` is a {}, others are not; close customers and teams apart", kind.name());
                return Err(Problem::parameter("account", detail));
            }
            found = Some(kind);
            let account = books.accounts.get(kind, id).and_then(|timeline| timeline.last_set());
            accounts.extend(account.filter(|account| !accounts.contains(account)));
        }
        Ok((found.unwrap_or(Kind::Customer), accounts))
    }
}

/// Looks what speaks against closing.
struct Judge<'a> {
    service: &'a Service,
    snapshot: &'a Snapshot,
    books: &'a Books,
    kind: Kind,
    month: Month,
    cut: &'a Cut,
    complete_through: Option<i64>,
    /// What the audit found, where it is not clean.
    swept: Option<String>,
}

impl Judge<'_> {
    /// What speaks against closing, by account.
    async fn blockers(&self, accounts: &[&Account]) -> Result<BTreeMap<String, Vec<Accepted>>, Problem> {
        let mut blockers: BTreeMap<String, Vec<Accepted>> = BTreeMap::new();
        let mut add = |account: &str, what: &str, detail: String| {
            let found = blockers.entry(account.to_owned()).or_default();
            found.push(Accepted { what: what.to_owned(), detail });
        };
        for account in accounts {
            let months =
                Months::new(self.month, self.month, &account.time_zone).map_err(|error| no_bounds(&error))?;
            let settled = settled_at(months.last_bounds().1, account);
            if let Some(detail) = self.incomplete(settled) {
                add(&account.id, "incomplete", detail);
            }
        }
        for account in accounts {
            if let Some(detail) = self.quarantined(account).await? {
                add(&account.id, "quarantine", detail);
            }
        }
        for (account, entries) in self.unpriced(accounts).await? {
            add(&account, "unpriced", format!("{entries} entries have no full price"));
        }
        if let Some(detail) = &self.swept {
            for account in accounts {
                add(&account.id, "audit", detail.clone());
            }
        }
        Ok(blockers)
    }

    fn incomplete(&self, settled: Millis) -> Option<String> {
        let through = self.complete_through;
        if through.is_some_and(|through| through >= settled.0) {
            return None;
        }
        let through = through.map_or_else(|| "unknown: a partition is unread".to_owned(), rfc3339);
        Some(format!("complete through {through}; the month with its grace ends at {}", rfc3339(settled.0)))
    }

    /// Entries without a full price that would be on the invoices, by account.
    async fn unpriced(&self, accounts: &[&Account]) -> Result<Vec<(String, u64)>, Problem> {
        let due: Vec<(&Account, Month)> = accounts.iter().map(|account| (*account, self.month)).collect();
        let mut counts = Vec::new();
        for Group { question, .. } in groups(self.books, &due, self.cut)? {
            let rows: Vec<Count> = self
                .snapshot
                .ledger(queries::INVOICE_UNPRICED, question.conditions(&Bounds::none()), |statement| {
                    statement
                        .slot("membership", &question.sql())
                        .slot("account", account_column(question.kind))
                })
                .await?;
            counts.extend(rows.into_iter().map(|row| (row.account_id, row.entries)));
        }
        Ok(counts)
    }

    /// The account's own records that wait in quarantine, logged from the month's start until its grace has passed.
    async fn quarantined(&self, account: &Account) -> Result<Option<String>, Problem> {
        let months =
            Months::new(self.month, self.month, &account.time_zone).map_err(|error| no_bounds(&error))?;
        let (from, to) = months.last_bounds();
        let owner = match self.kind {
            Kind::Customer => Owner::Customer(&account.id),
            Kind::Team => Owner::Team(&account.id),
        };
        let to = settled_at(to, account).0;
        let open = open::count(self.service.store.client(), owner, from.0, to).await.map_err(|error| {
            tracing::error!(error = error.to_string(), "The quarantine could not be counted");
            Problem::unavailable("the store did not say what waits in quarantine; try again")
        })?;
        Ok((open.own > 0).then(|| format!("{} records of this account wait in quarantine", open.own)))
    }
}

fn refuse_unless_accepted(
    blockers: &BTreeMap<String, Vec<Accepted>>,
    accept: &[String],
) -> Result<(), Problem> {
    let open: BTreeMap<&String, Vec<&Accepted>> = blockers
        .iter()
        .map(|(account, found)| {
            (account, found.iter().filter(|one| !accept.contains(&one.what)).collect::<Vec<_>>())
        })
        .filter(|(_, found)| !found.is_empty())
        .collect();
    let Some((account, found)) = open.first_key_value() else { return Ok(()) };
    let first = found.first().map(|one| format!("{}: {}", one.what, one.detail)).unwrap_or_default();
    let others = open.len() - 1;
    let others = if others > 0 { format!(", and {others} more accounts") } else { String::new() };
    let mut problem = Problem::new(
        StatusCode::CONFLICT,
        "not-closed",
        "The month was not closed",
        format!(
            "account `{account}` is not ready ({first}){others}; put it right, or `accept` it with a `reason`"
        ),
    );
    problem.blockers = serde_json::to_value(&open).ok().map(Box::new);
    Err(problem)
}

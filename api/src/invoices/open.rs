//! Makes open invoices: asks what the entries of accounts come to, and bills that as a close would.

use std::collections::{BTreeMap, HashMap};

use ledger::account::{Account, Kind};
use ledger::invoice::{Month, Sum, Terms};
use schemas::invoices::{
    Cut, Heading, InvoiceText, Months, SumRow, account_column, fixed_lines_sql, invoices, membership_sql,
};
use schemas::queries;

use super::books::Books;
use crate::bounds::{Bounds, Conditions, Value};
use crate::error::Problem;
use crate::store::Store;

/// Which entries are on the invoices of some accounts, all of one time zone and with one cut before.
pub(super) struct Membership {
    pub(super) kind: Kind,
    pub(super) accounts: Vec<String>,
    pub(super) months: Months,
    pub(super) cut: Cut,
    pub(super) before: Cut,
}

impl Membership {
    /// The condition, whose values [`Membership::conditions`] binds.
    pub(super) fn sql(&self) -> String {
        membership_sql(self.kind)
    }

    /// The conditions of a token, and the values of the membership.
    pub(super) fn conditions(&self, bounds: &Bounds) -> Conditions {
        let mut conditions = Conditions::of(bounds);
        let mut values = conditions
            .values
            .with("accounts", Value::Texts(self.accounts.clone()))
            .with("month_starts", Value::Ints(self.months.starts()))
            .with("month_end", Value::Int(self.months.end()));
        for (name, cut) in [("cut", &self.cut), ("before", &self.before)] {
            values = values
                .with(&format!("{name}_topics"), Value::Texts(cut.topics.clone()))
                .with(
                    &format!("{name}_partitions"),
                    Value::Unsigneds(cut.partitions.iter().map(|one| u64::from(*one)).collect()),
                )
                .with(&format!("{name}_nexts"), Value::Unsigneds(cut.nexts.clone()));
        }
        conditions.values = values;
        conditions
    }
}

/// The open invoices of accounts and their months.
pub(super) async fn invoices_of(
    store: &Store,
    bounds: &Bounds,
    books: &Books,
    due: &[(Kind, &Account, Month)],
) -> Result<Vec<InvoiceText>, Problem> {
    // One question for all that share months and cut.
    let mut groups: BTreeMap<(&str, String, Month, Cut), Vec<&Account>> = BTreeMap::new();
    for (kind, account, month) in due {
        let before = books.cut_before(*kind, &account.id, *month);
        groups.entry((kind.name(), account.time_zone.clone(), *month, before)).or_default().push(account);
    }
    let mut made = Vec::new();
    for ((_, time_zone, month, before), accounts) in groups {
        let Some(first) = accounts.first() else { continue };
        let question = Membership {
            kind: first.kind,
            accounts: accounts.iter().map(|account| account.id.clone()).collect(),
            months: books.months(first.kind, &first.id, month, &time_zone)?,
            cut: books.everything.clone(),
            before,
        };
        let mut sums = sums(store, bounds, &question).await?;
        for account in accounts {
            let heading = Heading { account, months: &question.months, month };
            let sums = sums.remove(&account.id).unwrap_or_default();
            made.extend(invoices(&heading, sums, &Terms::default()).map_err(|error| unbillable(&error))?);
        }
    }
    Ok(made)
}

/// What entries come to, by account and currency.
async fn sums(
    store: &Store,
    bounds: &Bounds,
    question: &Membership,
) -> Result<HashMap<String, BTreeMap<String, Vec<Sum>>>, Problem> {
    let rows: Vec<SumRow> = store
        .bounded(queries::INVOICE_SUMS, question.conditions(bounds), |statement| {
            statement
                .slot("membership", &question.sql())
                .slot("account", account_column(question.kind))
                .slot("team", "''")
                .slot("fixed_lines", &fixed_lines_sql())
        })
        .await?;
    let mut sums: HashMap<String, BTreeMap<String, Vec<Sum>>> = HashMap::new();
    for row in rows {
        let (account, currency) = (row.account_id.clone(), row.currency_code.clone());
        let sum = question.months.sum(row).map_err(|error| unbillable(&error))?;
        sums.entry(account).or_default().entry(currency).or_default().push(sum);
    }
    Ok(sums)
}

fn unbillable(error: &schemas::invoices::Error) -> Problem {
    tracing::error!(error = error.to_string(), "An invoice cannot be made");
    Problem::internal()
}

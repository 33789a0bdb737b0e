//! Makes open invoices: asks what the entries of accounts come to, and bills that as a close would.

use std::collections::{BTreeMap, HashMap};

use ledger::account::{Account, Kind};
use ledger::invoice::{Month, Sum};
use schemas::invoices::{Cut, Heading, InvoiceText, Months, SumRow, invoices, membership_sql, sums_slots};
use schemas::queries;

use super::books::Books;
use crate::bounds::{Bounds, Conditions, Value};
use crate::error::Problem;
use crate::store::Snapshot;

/// Which entries are on the invoices of some accounts, all of one time zone and with one cut before.
pub(crate) struct Membership {
    pub(super) kind: Kind,
    pub(super) accounts: Vec<String>,
    pub(crate) months: Months,
    pub(super) cut: Cut,
    pub(super) before: Cut,
}

impl Membership {
    /// The condition, whose values [`Membership::conditions`] binds.
    pub(crate) fn sql(&self) -> String {
        membership_sql(self.kind)
    }

    /// The conditions of a token, and the values of the membership.
    pub(crate) fn conditions(&self, bounds: &Bounds) -> Conditions {
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
    store: &Snapshot,
    bounds: &Bounds,
    books: &Books,
    due: &[(&Account, Month)],
) -> Result<Vec<InvoiceText>, Problem> {
    let mut made = Vec::new();
    for Group { question, month, accounts } in groups(books, due, &books.everything)? {
        let mut sums = sums(store, bounds, &question).await?;
        for account in accounts {
            let heading = Heading { account, months: &question.months, month };
            let sums = sums.remove(&account.id).unwrap_or_default();
            made.extend(invoices(&heading, sums).map_err(|error| unbillable(&error))?);
        }
    }
    Ok(made)
}

/// Accounts about whose month one question answers.
pub(super) struct Group<'a> {
    pub(super) question: Membership,
    pub(super) month: Month,
    pub(super) accounts: Vec<&'a Account>,
}

/// One question for all that share kind, months and the cut before.
pub(super) fn groups<'a>(
    books: &Books,
    due: &[(&'a Account, Month)],
    cut: &Cut,
) -> Result<Vec<Group<'a>>, Problem> {
    let mut groups: BTreeMap<(&str, &str, Month, Cut), Vec<&Account>> = BTreeMap::new();
    for (account, month) in due {
        let before = books.cut_before(account.kind, &account.id, *month);
        groups.entry((account.kind.name(), &account.time_zone, *month, before)).or_default().push(account);
    }
    let mut asked = Vec::with_capacity(groups.len());
    for ((_, time_zone, month, before), accounts) in groups {
        let Some(Account { kind, id, .. }) = accounts.first() else { continue };
        let question = Membership {
            kind: *kind,
            accounts: accounts.iter().map(|account| account.id.clone()).collect(),
            months: books.months(*kind, id, month, time_zone)?,
            cut: cut.clone(),
            before,
        };
        asked.push(Group { question, month, accounts });
    }
    Ok(asked)
}

/// What entries come to, by account and currency.
async fn sums(
    store: &Snapshot,
    bounds: &Bounds,
    question: &Membership,
) -> Result<HashMap<String, BTreeMap<String, Vec<Sum>>>, Problem> {
    let rows: Vec<SumRow> = store
        .ledger(queries::INVOICE_SUMS, question.conditions(bounds), |statement| {
            sums_slots(question.kind)
                .into_iter()
                .fold(statement, |statement, (name, sql)| statement.slot(name, &sql))
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

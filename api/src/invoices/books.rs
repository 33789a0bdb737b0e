//! What invoices are made against: the accounts, the months that are closed, and how far the ledger is posted.

use std::collections::{BTreeMap, HashMap};

use clickhouse::Row;
use ledger::account::{Account, Accounts, Kind};
use ledger::event::Millis;
use ledger::invoice::Month;
use schemas::invoices::{Cut, Months, id, month_of};
use schemas::queries;
use schemas::registries::{self, AccountText, Change, Stored};
use serde::Deserialize;

use super::no_bounds;
use crate::bounds::{Bounds, Values};
use crate::error::Problem;
use crate::store::{Statement, Store};

/// Accounts and closes as of now.
pub(crate) struct Books {
    pub(super) accounts: Accounts,
    ids: Vec<(Kind, String)>,
    closes: HashMap<(Kind, String), BTreeMap<Month, Cut>>,
    /// A position that everything in the ledger is before.
    pub(super) everything: Cut,
}

#[derive(Row, Deserialize)]
struct Close {
    kind_name: String,
    account_id: String,
    month_text: String,
    topics: Vec<String>,
    partitions: Vec<u32>,
    nexts: Vec<u64>,
}

#[derive(Row, Deserialize)]
struct Position {
    topic_name: String,
    partition_number: u32,
    next_offset: u64,
}

impl Books {
    pub(crate) async fn read(store: &Store) -> Result<Self, Problem> {
        let table = |statement: Statement| statement.slot("table", AccountText::TABLE);
        let stored: Vec<Stored> = store.open_with(queries::REGISTRY_ALL, Values::default(), table).await?;
        let accounts =
            registries::read::<AccountText>(&stored).map_err(|error| unreadable(&error.to_string()))?;
        let mut ids: Vec<(Kind, String)> =
            stored.iter().filter_map(|row| Some((Kind::parse(&row.kind)?, row.id.clone()))).collect();
        ids.sort_by(|one, two| (one.0.name(), &one.1).cmp(&(two.0.name(), &two.1)));
        ids.dedup();
        let rows: Vec<Close> = store.open(queries::INVOICE_CLOSES, Values::default()).await?;
        let mut closes: HashMap<(Kind, String), BTreeMap<Month, Cut>> = HashMap::new();
        for row in rows {
            let kind = Kind::parse(&row.kind_name).ok_or_else(|| unreadable(&row.kind_name))?;
            let month = Month::parse(&row.month_text).ok_or_else(|| unreadable(&row.month_text))?;
            let cut = Cut { topics: row.topics, partitions: row.partitions, nexts: row.nexts };
            closes.entry((kind, row.account_id)).or_default().insert(month, cut);
        }
        Ok(Self { accounts, ids, closes, everything: positions(store).await? })
    }

    /// What the id of an account names, where that is said or can only be one; what a token may not see is not there.
    pub(super) fn kind_of(&self, bounds: &Bounds, id: &str, kind: Option<Kind>) -> Result<Kind, Problem> {
        let exists = |kind: &Kind| self.accounts.get(*kind, id).is_some() && bounds.sees_account(*kind, id);
        let found: Vec<Kind> = Kind::ALL
            .iter()
            .copied()
            .filter(exists)
            .filter(|found| kind.is_none_or(|kind| kind == *found))
            .collect();
        match found.as_slice() {
            [kind] => Ok(*kind),
            [] => Err(Problem::not_found(&format!("account `{id}`"))),
            _ => Err(Problem::parameter(
                "kind",
                format!("a customer and a team are called `{id}`; say which is meant"),
            )
            .allowed(Kind::ALL.iter().map(|kind| kind.name()))),
        }
    }

    /// The accounts that a token sees, as they were set last.
    pub(super) fn visible(&self, bounds: &Bounds) -> impl Iterator<Item = (Kind, &str, &Account)> {
        self.ids.iter().filter(|(kind, id)| bounds.sees_account(*kind, id)).filter_map(|(kind, id)| {
            let account = self.accounts.get(*kind, id)?.last_set()?;
            Some((*kind, id.as_str(), account))
        })
    }

    /// The last month of an account that is closed.
    pub(super) fn last_month(&self, kind: Kind, id: &str) -> Option<Month> {
        self.closed(kind, id)?.keys().next_back().copied()
    }

    /// Whether a month of an account is closed.
    pub(super) fn is_closed(&self, kind: Kind, id: &str, month: Month) -> bool {
        self.closed(kind, id).is_some_and(|closed| closed.contains_key(&month))
    }

    /// The cut of the last close of an account before a month; everything before it was billed before.
    pub(super) fn cut_before(&self, kind: Kind, id: &str, month: Month) -> Cut {
        let earlier = self.closed(kind, id).and_then(|closed| closed.range(..month).next_back());
        earlier.map(|(_, cut)| cut.clone()).unwrap_or_default()
    }

    /// The invoice that bills an entry, in words: the first close of its account, from the entry's month on, whose cut the
    /// entry is before; else the period that is still open.
    pub(crate) fn billed_on(
        &self,
        customer: &str,
        at: Millis,
        (topic, partition, offset): (&str, u32, u64),
        currency: &str,
    ) -> String {
        let Some(month) = self.month_of(customer, at) else { return String::new() };
        let closes =
            self.closed(Kind::Customer, customer).into_iter().flat_map(|closed| closed.range(month..));
        let found = closes.into_iter().find(|(_, cut)| cut.next(topic, partition) > offset);
        found.map_or_else(
            || format!("open period {month}"),
            |(closed, _)| id(Kind::Customer.name(), customer, *closed, currency),
        )
    }

    /// The month of a customer's account in which an instant lies.
    pub(crate) fn month_of(&self, customer: &str, at: Millis) -> Option<Month> {
        let account = self.accounts.get(Kind::Customer, customer).and_then(|timeline| timeline.last_set());
        month_of(at, account.map_or("UTC", |account| account.time_zone.as_str()))
    }

    /// The months that an invoice may be about: its own, and those that may be adjusted.
    pub(super) fn months(
        &self,
        kind: Kind,
        id: &str,
        month: Month,
        time_zone: &str,
    ) -> Result<Months, Problem> {
        let has_earlier = self.closed(kind, id).is_some_and(|closed| closed.range(..month).next().is_some());
        let months =
            if has_earlier { Months::up_to(month, time_zone) } else { Months::new(month, month, time_zone) };
        months.map_err(|error| no_bounds(&error))
    }

    fn closed(&self, kind: Kind, id: &str) -> Option<&BTreeMap<Month, Cut>> {
        self.closes.get(&(kind, id.to_owned()))
    }
}

/// How far each partition is posted without a gap.
pub(crate) async fn positions(store: &Store) -> Result<Cut, Problem> {
    let rows: Vec<Position> = store.open(queries::POSITIONS, Values::default()).await?;
    let mut cut = Cut::default();
    for row in rows {
        cut.topics.push(row.topic_name);
        cut.partitions.push(row.partition_number);
        cut.nexts.push(row.next_offset);
    }
    Ok(cut)
}

fn unreadable(detail: &str) -> Problem {
    tracing::error!(detail, "The accounts or their closes cannot be read");
    Problem::internal()
}

//! Closes a month: makes the invoices of some accounts from the entries before a cut. Entries before a cut never change,
//! so the same command makes the same invoices however late it is run again.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use ledger::account::{Account, Accounts, Kind};
use ledger::event::Millis;
use ledger::invoice::{Month, Sum};
use ledger::money::Amount;
use schemas::command::CloseMonth;
use schemas::invoices::{
    Cut, Heading, InvoiceRow, InvoiceText, Months, SumRow, account_column, invoices, month_of, sums_slots,
};
use schemas::queries;
use schemas::registries::{self, AccountText};

use super::{CommandMaker, Effect, Place, Refusal};
use crate::batch::MakeError;
use crate::book::stored;

/// The last close of an account before this command.
#[derive(clickhouse::Row, serde::Deserialize)]
struct LastClose {
    account_id: String,
    last_month: String,
    topics: Vec<String>,
    partitions: Vec<u32>,
    nexts: Vec<u64>,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct FirstEntry {
    account_id: String,
    first_ms: i64,
}

/// Accounts whose sums one question answers: of one time zone, with one cut before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    time_zone: String,
    /// The first month that was closed by an earlier close, where there was one.
    is_first: bool,
    before: Cut,
}

impl CommandMaker {
    pub(super) fn close(&self, place: &Place<'_>, command: &CloseMonth) -> Result<Effect, Refusal> {
        let month = Month::parse(&command.period).ok_or_else(|| {
            Refusal::Refused(format!("period {:?} is no month such as 2026-10", command.period))
        })?;
        let kind = Kind::parse(&command.kind).ok_or_else(|| {
            Refusal::Refused(format!("kind {:?} is neither customer nor team", command.kind))
        })?;
        let accounts = self.accounts(place)?;
        let operations = self.operations_at_cut(place, command, month)?;
        let closed = self.last_closes(place, kind, &command.accounts)?;
        let mut groups: BTreeMap<Group, Vec<&Account>> = BTreeMap::new();
        let mut already = 0_u32;
        for id in &command.accounts {
            let account = account_at_end(&accounts, kind, id, month)?;
            let last = closed.get(id.as_str());
            if last.is_some_and(|(last, _)| *last >= month) {
                already += 1;
                continue;
            }
            in_order(id, month, last.map(|(last, _)| *last))?;
            if last.is_some_and(|(_, before)| !command.cut.reaches(before)) {
                return Err(Refusal::Refused(format!(
                    "account {id:?} was closed at a later position meanwhile than this close was prepared at; ask for it again"
                )));
            }
            let before = last.map(|(_, cut)| cut.clone()).unwrap_or_default();
            let group = Group { time_zone: account.time_zone.clone(), is_first: last.is_none(), before };
            groups.entry(group).or_default().push(account);
        }
        let mut made = Vec::new();
        for (group, accounts) in groups {
            self.close_group(place, command, kind, month, &group, (&accounts, &operations), &mut made)?;
        }
        effect(place, command, &made, already)
    }

    fn accounts(&self, place: &Place<'_>) -> Result<Accounts, Refusal> {
        let stored = stored::<AccountText>(&self.store, &place.partition.topic, place.offset)?;
        registries::read::<AccountText>(&stored).map_err(|error| state(&error.to_string()))
    }

    /// The invoices of accounts of one time zone with one close before.
    #[expect(clippy::too_many_arguments, reason = "all of it is the question")]
    fn close_group(
        &self,
        place: &Place<'_>,
        command: &CloseMonth,
        kind: Kind,
        month: Month,
        group: &Group,
        (accounts, operations): (&[&Account], &[u64]),
        made: &mut Vec<(InvoiceText, (Millis, Millis))>,
    ) -> Result<(), Refusal> {
        let ids: Vec<String> = accounts.iter().map(|account| account.id.clone()).collect();
        let failed = |error: schemas::invoices::Error| Refusal::Refused(error.to_string());
        let months = if group.is_first {
            let only = Months::new(month, month, &group.time_zone).map_err(failed)?;
            let first = self.first_entries(kind, &ids, only.last_bounds().0, &command.cut, operations)?;
            if let Some(entry) = first.first() {
                let earlier = month_of(Millis(entry.first_ms), &group.time_zone).unwrap_or(month);
                return Err(Refusal::Refused(format!(
                    "account {:?} has entries of {earlier}, which is not closed; close its months in order",
                    entry.account_id
                )));
            }
            only
        } else {
            Months::up_to(month, &group.time_zone).map_err(failed)?
        };
        let mut sums: HashMap<String, BTreeMap<String, Vec<Sum>>> = HashMap::new();
        for row in self.sums(kind, &ids, &months, (&command.cut, &group.before), operations)? {
            let (account, currency) = (row.account_id.clone(), row.currency_code.clone());
            let sum = months.sum(row).map_err(failed)?;
            sums.entry(account).or_default().entry(currency).or_default().push(sum);
        }
        for account in accounts {
            let heading = Heading { account, months: &months, month };
            let sums = sums.remove(&account.id).unwrap_or_default();
            for invoice in invoices(&heading, sums).map_err(failed)? {
                made.push((
                    finish(invoice, place, command).map_err(|error| state(&error.to_string()))?,
                    months.last_bounds(),
                ));
            }
        }
        Ok(())
    }

    /// The operations whose rows all lie before the cut. One that is open there and whose period reaches into what is
    /// billed would be on the invoice by half.
    fn operations_at_cut(
        &self,
        place: &Place<'_>,
        command: &CloseMonth,
        month: Month,
    ) -> Result<Vec<u64>, Refusal> {
        let history =
            self.operations_before(place, command.cut.next(&place.partition.topic, place.partition.number))?;
        // Two days more than any time zone is behind or ahead.
        let months = Months::new(month, month, "UTC").map_err(|error| Refusal::Refused(error.to_string()))?;
        let end = months.last_bounds().1.0 + 2 * 24 * 60 * 60 * 1000;
        if let Some(open) = history.open_in(i64::MIN, end) {
            return Err(Refusal::Refused(format!(
                "operation {} changes entries of {month} or earlier and is not finished; close the month after it",
                open.id
            )));
        }
        Ok(history.counted())
    }

    fn last_closes<'a>(
        &self,
        place: &Place<'_>,
        kind: Kind,
        accounts: &'a [String],
    ) -> Result<HashMap<&'a str, (Month, Cut)>, Refusal> {
        let query = self.store.sequential(queries::INVOICES_CLOSED.text());
        let rows: Vec<LastClose> = self.store.block_on(
            query
                .param("kind", kind.name())
                .param("accounts", accounts)
                .param("offset", place.offset)
                .fetch_all(),
        )?;
        let mut closes = HashMap::new();
        for row in rows {
            let month = Month::parse(&row.last_month)
                .ok_or_else(|| state(&format!("the store names a month {:?}", row.last_month)))?;
            let cut = Cut { topics: row.topics, partitions: row.partitions, nexts: row.nexts };
            if let Some(id) = accounts.iter().find(|id| **id == row.account_id) {
                closes.insert(id.as_str(), (month, cut));
            }
        }
        Ok(closes)
    }

    fn first_entries(
        &self,
        kind: Kind,
        accounts: &[String],
        before: Millis,
        cut: &Cut,
        operations: &[u64],
    ) -> Result<Vec<FirstEntry>, Refusal> {
        let text = queries::INVOICE_FIRST_ENTRIES
            .text()
            .replace("{{account}}", account_column(kind))
            .replace("{{conditions}}", "true");
        let query = self.store.sequential(&text).param("accounts", accounts).param("before", before.0);
        let query = query.param("operations", operations);
        Ok(self.store.block_on(with_cut(query, "cut", cut).fetch_all())?)
    }

    fn sums(
        &self,
        kind: Kind,
        accounts: &[String],
        months: &Months,
        (cut, before): (&Cut, &Cut),
        operations: &[u64],
    ) -> Result<Vec<SumRow>, Refusal> {
        let text = sums_slots(kind)
            .into_iter()
            .chain([("conditions", "true".to_owned())])
            .fold(queries::INVOICE_SUMS.text().to_owned(), |text, (name, sql)| {
                text.replace(&format!("{{{{{name}}}}}"), &sql)
            });
        let query = self
            .store
            .sequential(&text)
            .param("accounts", accounts)
            .param("operations", operations)
            .param("month_starts", months.starts())
            .param("month_end", months.end());
        Ok(self.store.block_on(with_cut(with_cut(query, "cut", cut), "before", before).fetch_all())?)
    }
}

fn with_cut(query: clickhouse::query::Query, name: &str, cut: &Cut) -> clickhouse::query::Query {
    query
        .param(&format!("{name}_topics"), &cut.topics)
        .param(&format!("{name}_partitions"), &cut.partitions)
        .param(&format!("{name}_nexts"), &cut.nexts)
}

/// What cannot be read says nothing of the command: it is tried again.
fn state(detail: &str) -> Refusal {
    Refusal::Store(MakeError::State { detail: detail.to_owned() })
}

/// The account as of the last millisecond of the month.
fn account_at_end<'a>(
    accounts: &'a Accounts,
    kind: Kind,
    id: &str,
    month: Month,
) -> Result<&'a Account, Refusal> {
    let none = || Refusal::Refused(format!("there is no account of the {} {id:?}", kind.name()));
    let timeline = accounts.get(kind, id).ok_or_else(none)?;
    let time_zone = &timeline.last_set().ok_or_else(none)?.time_zone;
    let months = Months::new(month, month, time_zone).map_err(|error| Refusal::Refused(error.to_string()))?;
    let last = Millis(months.last_bounds().1.0 - 1);
    let (_, account) = timeline
        .at(last)
        .ok_or_else(|| Refusal::Refused(format!("account {id:?} is in effect only after {month}")))?;
    Ok(account)
}

fn in_order(id: &str, month: Month, last: Option<Month>) -> Result<(), Refusal> {
    match last.and_then(Month::next) {
        Some(due) if due != month => Err(Refusal::Refused(format!(
            "the next month of account {id:?} to close is {due}, not {month}; its months close in order"
        ))),
        _ => Ok(()),
    }
}

/// What makes an open invoice a closed one.
fn finish(
    mut invoice: InvoiceText,
    place: &Place<'_>,
    command: &CloseMonth,
) -> Result<InvoiceText, serde_json::Error> {
    invoice.state = "closed".into();
    invoice.accepted = command.accepted.get(&invoice.account).cloned().unwrap_or_default();
    invoice.reason = command.reason.clone().filter(|_| !invoice.accepted.is_empty());
    invoice.complete_through.clone_from(&command.complete_through);
    invoice.cut = Some(command.cut.clone());
    invoice.commands_through = Some(place.offset);
    invoice.closed_at = Timestamp::from_millisecond(place.log_time.0).ok().map(|at| at.to_string());
    invoice.hash = Some(invoice.digest()?);
    Ok(invoice)
}

fn effect(
    place: &Place<'_>,
    command: &CloseMonth,
    made: &[(InvoiceText, (Millis, Millis))],
    already: u32,
) -> Result<Effect, Refusal> {
    let mut effect = Effect {
        detail: format!(
            "{} invoices of {} closed, {already} accounts were closed before",
            made.len(),
            command.period
        ),
        ..Effect::default()
    };
    for (ordinal, (invoice, bounds)) in (0..).zip(made) {
        if place.is_held("invoices", ordinal) {
            continue;
        }
        let amount = |text: &str| Amount::parse(text).map_err(|error| state(&error.to_string()));
        let body = invoice.canonical().map_err(|error| state(&error.to_string()))?;
        effect.invoices.push(&InvoiceRow {
            origin: place.origin(ordinal),
            invoice,
            body: &body,
            bounds: *bounds,
            cut: &command.cut,
            total: amount(&invoice.total)?,
            exact_usage: amount(&invoice.exact_usage)?,
            closed_at: place.log_time,
        });
    }
    let ids: Vec<&str> = made.iter().map(|(invoice, _)| invoice.id.as_str()).collect();
    effect.result = serde_json::json!({ "invoices": ids, "closed_before": already }).to_string();
    Ok(effect)
}

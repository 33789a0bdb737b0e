//! What is compared: counts, and sums by team and by model. The truth's and the ledger's, in one form.

use std::collections::BTreeMap;

use ::api::answers::SpendRow;
use ::api::audit::Report;
use ::api::client::Client;
use anyhow::{Context, bail};
use ledger::money::Amount;
use schemas::log::COMMANDS_TOPIC;
use traffic::{Sum, Truth};

use super::super::truth::{CURRENCY, Period};

/// Rows of a page of totals.
const SPEND_PAGE: &str = "10000";
/// Records of a page of the quarantine; some are large.
const QUARANTINE_PAGE: u64 = 100;

/// Counts and sums.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) counts: Counts,
    unpriced: i128,
    /// By dimension and its value.
    sums: BTreeMap<(&'static str, String), Sums>,
}

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    quarantined: u64,
    /// Of the quarantined ones, by reason.
    reasons: BTreeMap<String, u64>,
}

/// What is summed, by name: `requests`, `attempts`, `cost in USD` and each unit, in 10^-18. Nothing is left out.
type Sums = BTreeMap<String, i128>;

impl Books {
    /// What a ledger must find.
    ///
    /// # Errors
    /// Where a number is too large.
    pub(super) fn of(truth: &Truth) -> anyhow::Result<Self> {
        let counts = Counts {
            received: truth.received,
            accepted: truth.accepted,
            duplicates: truth.duplicates,
            quarantined: truth.quarantined.values().sum(),
            reasons: truth.quarantined.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
        };
        let mut books = Self { counts, unpriced: truth.total.unpriced.into(), sums: BTreeMap::new() };
        let teams = truth.by_team.iter().map(|(team, sum)| (("team", team.clone()), sum));
        let models = truth.by_model.iter().map(|(model, sum)| (("model", model.clone()), sum));
        for (group, sum) in teams.chain(models) {
            books.sums.insert(group, sums_of(sum)?);
        }
        Ok(books)
    }

    /// What the ledger has of the period, with counts of its whole life.
    ///
    /// # Errors
    /// Where the service does not answer, or with what is no number.
    pub(super) async fn read(client: &Client, period: Period, counts: Counts) -> anyhow::Result<Self> {
        let mut books = Self { counts, ..Self::default() };
        let (from, to) = (period.from.to_string(), period.to.to_string());
        for dimension in ["team", "model"] {
            let mut cursor: Option<String> = None;
            loop {
                let mut parameters = vec![
                    ("from", from.as_str()),
                    ("to", to.as_str()),
                    ("group_by", dimension),
                    ("measure", "cost"),
                    ("limit", SPEND_PAGE),
                ];
                parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let page = client.spend(&parameters).await?;
                books.unpriced = page.unpriced.map_or(0, |unpriced| unpriced.entries.into());
                for row in &page.rows {
                    books.add(dimension, row)?;
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(books)
    }

    fn add(&mut self, dimension: &'static str, row: &SpendRow) -> anyhow::Result<()> {
        let value = row.group.get(dimension).cloned().flatten().unwrap_or_default();
        let sums = self.sums.entry((dimension, value)).or_default();
        let whole = |count: i64| Amount::parse(&count.to_string()).map(Amount::raw);
        add(sums, "requests", whole(row.requests)?)?;
        add(sums, "attempts", whole(row.attempts)?)?;
        add(
            sums,
            &cost_in(row.currency.as_deref().unwrap_or("no currency")),
            Amount::parse(&row.amount)?.raw(),
        )?;
        for (unit, quantity) in row.quantities.iter().flatten() {
            add(sums, unit, Amount::parse(quantity)?.raw())?;
        }
        Ok(())
    }

    /// These books without those.
    ///
    /// # Errors
    /// Where a number is too large.
    pub(super) fn less(mut self, before: &Self) -> anyhow::Result<Self> {
        self.counts = self.counts.less(&before.counts);
        self.unpriced -= before.unpriced;
        for (group, sums) in &before.sums {
            let own = self.sums.entry(group.clone()).or_default();
            for (name, number) in sums {
                add(own, name, -number)?;
            }
        }
        Ok(self)
    }

    /// Each difference of the books that were found to these, as a sentence.
    pub(super) fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = self.counts.differences(&found.counts);
        differ(&mut differences, "entries without a full price", found.unpriced, self.unpriced);
        let nothing = Sums::new();
        let groups =
            self.sums.keys().chain(found.sums.keys().filter(|group| !self.sums.contains_key(*group)));
        for group in groups {
            let own = self.sums.get(group).unwrap_or(&nothing);
            let other = found.sums.get(group).unwrap_or(&nothing);
            let names = own.keys().chain(other.keys().filter(|name| !own.contains_key(*name)));
            for name in names {
                let number = |sums: &Sums| sums.get(name).copied().unwrap_or_default();
                if number(own) != number(other) {
                    let (dimension, value) = group;
                    let (found, expected) = (text(number(other)), text(number(own)));
                    differences
                        .push(format!("{dimension} {value}: {name} is {found}, but should be {expected}"));
                }
            }
        }
        differences
    }
}

impl Counts {
    /// The counts of all partitions of events.
    ///
    /// # Errors
    /// Where the audit is not clean.
    pub(super) fn of(report: &Report) -> anyhow::Result<Self> {
        if !report.clean {
            bail!("the audit is not clean:\n{report}");
        }
        let mut counts = Self::default();
        for partition in report.partitions.iter().filter(|partition| partition.topic != COMMANDS_TOPIC) {
            counts.received += partition.received;
            counts.accepted += partition.posted;
            counts.duplicates += partition.duplicates;
            counts.quarantined += partition.quarantined;
        }
        Ok(counts)
    }

    /// These counts without those.
    pub(super) fn less(&self, before: &Self) -> Self {
        Self {
            received: self.received.saturating_sub(before.received),
            accepted: self.accepted.saturating_sub(before.accepted),
            duplicates: self.duplicates.saturating_sub(before.duplicates),
            quarantined: self.quarantined.saturating_sub(before.quarantined),
            reasons: BTreeMap::new(),
        }
    }

    /// Reads the reasons of the records that were quarantined last.
    ///
    /// # Errors
    /// Where the service does not answer.
    pub(super) async fn read_reasons(&mut self, client: &Client) -> anyhow::Result<()> {
        let (mut left, mut cursor) = (self.quarantined, None::<String>);
        while left > 0 {
            let limit = left.min(QUARANTINE_PAGE).to_string();
            let mut parameters = vec![("limit", limit.as_str())];
            parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = client.quarantine(&parameters).await?;
            for row in page.rows {
                *self.reasons.entry(row.reason).or_default() += 1;
                left -= 1;
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        differ(&mut differences, "records received", found.received, self.received);
        differ(&mut differences, "records accepted", found.accepted, self.accepted);
        differ(&mut differences, "duplicates", found.duplicates, self.duplicates);
        differ(&mut differences, "records in quarantine", found.quarantined, self.quarantined);
        let others = found.reasons.keys().filter(|reason| !self.reasons.contains_key(*reason));
        for reason in self.reasons.keys().chain(others) {
            let count = |counts: &Self| counts.reasons.get(reason).copied().unwrap_or_default();
            differ(
                &mut differences,
                &format!("records in quarantine for {reason}"),
                count(found),
                count(self),
            );
        }
        differences
    }
}

fn differ(differences: &mut Vec<String>, what: &str, found: impl Into<i128>, expected: impl Into<i128>) {
    let (found, expected) = (found.into(), expected.into());
    if found != expected {
        differences.push(format!("{what}: {found}, but should be {expected}"));
    }
}

fn sums_of(sum: &Sum) -> anyhow::Result<Sums> {
    let mut sums = Sums::new();
    let whole = |count: u64| Amount::parse(&count.to_string()).map(Amount::raw);
    add(&mut sums, "requests", whole(sum.requests)?)?;
    add(&mut sums, "attempts", whole(sum.attempts)?)?;
    add(&mut sums, &cost_in(CURRENCY), sum.cost_atto)?;
    for (unit, quantity) in sum.quantities() {
        add(&mut sums, unit.name(), whole(quantity)?)?;
    }
    Ok(sums)
}

fn add(sums: &mut Sums, name: &str, number: i128) -> anyhow::Result<()> {
    let sum = sums.entry(name.to_owned()).or_default();
    *sum = sum.checked_add(number).with_context(|| format!("{name} has more than 38 digits"))?;
    Ok(())
}

fn cost_in(currency: &str) -> String {
    format!("cost in {currency}")
}

fn text(number: i128) -> String {
    Amount::from_raw(number).map_or_else(|| format!("{number} x 10^-18"), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use traffic::{Config, Prices};

    use super::*;

    fn books() -> Books {
        let config = Config { rejects_per_mille: 20, duplicates_per_mille: 10, ..Config::default() };
        Books::of(&Truth::of(config, Prices::built_in().unwrap())).unwrap()
    }

    #[test]
    fn a_ledger_that_has_what_was_sent_does_not_differ() {
        assert_eq!(books().differences(&books()), Vec::<String>::new());
    }

    #[test]
    fn what_was_there_before_is_taken_off() {
        let mut twice = books();
        for sums in twice.sums.values_mut() {
            sums.values_mut().for_each(|number| *number *= 2);
        }
        twice.unpriced *= 2;
        twice.counts.received *= 2;
        let found = twice.less(&books()).unwrap();
        assert_eq!(found.counts.received, books().counts.received);
        assert_eq!(found.sums, books().sums);
        assert_eq!(found.unpriced, books().unpriced);
    }

    #[test]
    fn one_unit_in_the_last_digit_is_named() {
        let mut found = books();
        let (group, sums) = found.sums.iter_mut().next().unwrap();
        let cost = sums.get_mut("cost in USD").unwrap();
        let expected = text(*cost);
        *cost += 1;
        let sentence =
            format!("{} {}: cost in USD is {}, but should be {expected}", group.0, group.1, text(*cost));
        assert_eq!(books().differences(&found), [sentence]);
    }

    #[test]
    fn a_group_that_should_not_be_there_is_named() {
        let mut found = books();
        found
            .sums
            .insert(("team", "ghosts".to_owned()), Sums::from([("requests".to_owned(), 10_i128.pow(18))]));
        assert_eq!(books().differences(&found), ["team ghosts: requests is 1, but should be 0"]);
    }
}

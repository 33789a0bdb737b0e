//! The truth as people and programs read it: exact decimals, in JSON and in a sentence or two.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use traffic::{Config, Sum, Truth};

/// The currency of all prices of the traffic.
pub(super) const CURRENCY: &str = "USD";

/// When the attempts start; half-open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Period {
    /// The period of a traffic.
    ///
    /// # Errors
    /// Where it ends beyond the calendar.
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        let from = Timestamp::from_millisecond(config.start.0)?;
        let to = from.checked_add(config.spread).context("--spread ends beyond the calendar")?;
        Ok(Self { from, to })
    }
}

#[derive(Serialize)]
struct Document<'a> {
    seed: u64,
    from: String,
    to: String,
    received: u64,
    accepted: u64,
    duplicates: u64,
    quarantined: &'a BTreeMap<&'static str, u64>,
    currency: &'static str,
    total: Totals,
    by_model: BTreeMap<&'a str, Totals>,
    by_team: BTreeMap<&'a str, Totals>,
    by_customer: Vec<Customer<'a>>,
}

#[derive(Serialize)]
struct Customer<'a> {
    /// Null for the work of teams inside the company.
    customer: Option<&'a str>,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Serialize)]
struct Totals {
    requests: u64,
    attempts: u64,
    unpriced: u64,
    cost: String,
    cost_avoided: String,
    quantities: BTreeMap<&'static str, String>,
}

impl Totals {
    fn of(sum: &Sum) -> anyhow::Result<Self> {
        Ok(Self {
            requests: sum.requests,
            attempts: sum.attempts,
            unpriced: sum.unpriced,
            cost: sum.cost().context("the cost has more than 38 digits")?.to_string(),
            cost_avoided: sum.cost_avoided().context("the avoided cost has more than 38 digits")?.to_string(),
            quantities: sum
                .quantities()
                .map(|(unit, quantity)| (unit.name(), quantity.to_string()))
                .collect(),
        })
    }
}

/// Writes the truth as JSON.
///
/// # Errors
/// Where the file cannot be written.
pub(super) fn write(truth: &Truth, config: &Config, period: Period, path: &Path) -> anyhow::Result<()> {
    let all = |sums: &BTreeMap<String, Sum>| -> anyhow::Result<Vec<Totals>> {
        sums.values().map(Totals::of).collect()
    };
    let document = Document {
        seed: config.seed,
        from: period.from.to_string(),
        to: period.to.to_string(),
        received: truth.received,
        accepted: truth.accepted,
        duplicates: truth.duplicates,
        quarantined: &truth.quarantined,
        currency: CURRENCY,
        total: Totals::of(&truth.total)?,
        by_model: truth.by_model.keys().map(String::as_str).zip(all(&truth.by_model)?).collect(),
        by_team: truth.by_team.keys().map(String::as_str).zip(all(&truth.by_team)?).collect(),
        by_customer: truth
            .by_customer
            .iter()
            .map(|(customer, sum)| Ok(Customer { customer: customer.as_deref(), totals: Totals::of(sum)? }))
            .collect::<anyhow::Result<_>>()?,
    };
    let writing = || format!("writing {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(writing)?);
    serde_json::to_writer_pretty(&mut file, &document).with_context(writing)?;
    file.write_all(b"\n").and_then(|()| file.flush()).with_context(writing)
}

/// What a ledger must find.
///
/// # Errors
/// Where the cost has more than 38 digits.
pub(super) fn summary(truth: &Truth) -> anyhow::Result<String> {
    let quarantined: u64 = truth.quarantined.values().sum();
    let totals = Totals::of(&truth.total)?;
    Ok(format!(
        "A ledger must find: received {} = accepted {} + duplicates {} + quarantined {quarantined}; {} requests, {} attempts, cost {} {CURRENCY}, {} without a full price",
        truth.received,
        truth.accepted,
        truth.duplicates,
        totals.requests,
        totals.attempts,
        totals.cost,
        totals.unpriced
    ))
}

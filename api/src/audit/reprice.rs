//! Amounts derived again: an entry's quantities times the prices of the row that it names must be its lines and its
//! cost, to the last digit. Of an entry whose cost was not priced (nothing is owed, no row held, the provider's own
//! figure counts), the cost must be what that rule says.

use clickhouse::Row;
use ledger::event::{Millis, Outcome};
use ledger::money::Amount;
use ledger::price::{Basis, Line, price};
use ledger::prices::{AmountBasis, Match, PriceBook};
use ledger::unit::UnitSet;
use ledger::usage::Flag;
use schemas::queries;
use schemas::stored::{Parts, StoredEntry};
use serde::Deserialize;

use super::{Auditor, Check, Difference, Error, Report, Repricing};

/// Which entries are priced again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// All.
    All,
    /// Some, drawn by a seed.
    Some {
        /// How many.
        count: u64,
        /// Draws the same entries again, as long as no others come.
        seed: u64,
    },
}

#[derive(Row, Deserialize)]
struct Published {
    row_id: String,
    body: String,
    effective_from: Option<i64>,
}

/// The origin by which the first entry that differs is found.
type Origin = (String, u32, u64, u32);

/// Prices entries again and compares.
pub(super) async fn check(auditor: &Auditor, sample: Sample, report: &mut Report) -> Result<(), Error> {
    let book = book(auditor).await?;
    let (condition, seed) = match sample {
        Sample::All => ("1", None),
        Sample::Some { seed, .. } => (queries::AUDIT_SAMPLE.text(), Some(seed)),
    };
    let mut query = auditor.sql(&queries::STORED_ENTRIES.text().replace("{{conditions}}", condition));
    if let Sample::Some { count, seed } = sample {
        query = query.param("sample", count).param("seed", seed);
    }
    let failed = |source| Error::store("the entries to price again", source);
    let mut entries = query.fetch::<StoredEntry>().map_err(failed)?;
    let mut repricing = Repricing { seed, ..Repricing::default() };
    let mut first: Option<(Origin, String)> = None;
    while let Some(entry) = entries.next().await.map_err(failed)? {
        repricing.entries += 1;
        let Err(detail) = derive(&entry, &book) else { continue };
        repricing.differing += 1;
        let origin: Origin =
            (entry.record_topic, entry.record_partition, entry.record_offset, entry.record_ordinal);
        if first.as_ref().is_none_or(|(found, _)| origin < *found) {
            first = Some((origin, detail));
        }
    }
    if let Some(((topic, partition, offset, ordinal), detail)) = first {
        let more = repricing.differing - 1;
        report.differs(Difference {
            check: Check::Price,
            topic: Some(topic),
            partition: Some(partition),
            offset: Some(offset),
            detail: format!("entry {ordinal} is not what its prices come to: {detail}; {more} more differ"),
        });
    }
    report.repricing = Some(repricing);
    Ok(())
}

/// Every row that was ever published.
async fn book(auditor: &Auditor) -> Result<PriceBook, Error> {
    let published: Vec<Published> = auditor
        .query(queries::AUDIT_PRICES)
        .fetch_all()
        .await
        .map_err(|source| Error::store("the price rows", source))?;
    let rows = published
        .into_iter()
        .map(|Published { row_id, body, effective_from }| {
            let mut row = schemas::prices::from_json(&body)
                .map_err(|error| Error::Prices { detail: format!("row {row_id}: {error}") })?;
            row.effective_from = effective_from.map(Millis);
            Ok(row)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    PriceBook::new(rows).map_err(|error| Error::Prices { detail: error.to_string() })
}

/// Derives the entry again; the error says what differs.
fn derive(entry: &StoredEntry, book: &PriceBook) -> Result<(), String> {
    let parts = entry.parts().map_err(|error| error.to_string())?;
    let row = match entry.model_row_id.as_str() {
        "" => None,
        id => Some(book.with_id(id).ok_or_else(|| format!("its price row {id} is not published"))?),
    };
    let is_owed = parts.outcome != Outcome::NotBilled && !parts.is_hit;
    let is_reported = parts.lines.iter().any(|line| line.basis == Basis::Reported.to_string());
    if is_reported {
        let is_row_for_it = row.is_some_and(|row| row.row.amount_basis == AmountBasis::ProviderReported);
        return equal(&"its price row bills what is reported", &true, &(is_row_for_it && is_owed))
            // A further entry of the event does not repeat what was reported.
            .and_then(|()| equal(&"the reported cost", &parts.cost, &parts.reported.unwrap_or(parts.cost)));
    }
    let is_missing = parts.flags.contains(Flag::UsageMissing);
    match row {
        Some(row) if (is_owed && !is_missing) || parts.is_hit => priced(&parts, row, is_owed),
        _ => {
            let sum = stored_sum(&parts)?;
            equal(&"the sum of its lines", &parts.cost, &sum)?;
            equal(&"its cost without a price", &parts.cost, &Amount::ZERO)
        }
    }
}

/// An entry whose lines a price row makes.
fn priced(parts: &Parts<'_>, row: Match<'_>, is_owed: bool) -> Result<(), String> {
    let mut flags = parts.flags;
    let mut lines = Vec::new();
    let unpriced = price(&parts.quantities, &parts.dimensions, row, parts.at, &mut flags, &mut lines)
        .map_err(|error| error.to_string())?;
    let sum = lines
        .iter()
        .try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount))
        .ok_or("the sum of its lines does not fit")?;
    if parts.is_hit {
        return equal(&"what the cache spared", &parts.cost_avoided, &sum)
            .and_then(|()| equal(&"the cost of a cache hit", &parts.cost, &Amount::ZERO));
    }
    equal(&"the number of its lines", &parts.lines.len(), &lines.len())?;
    lines.sort_by_key(|line| line.unit);
    for (stored, Line { unit, quantity, amount, basis, .. }) in parts.lines.iter().zip(&lines) {
        equal(&"the unit of a line", &stored.unit, unit)?;
        equal(&format_args!("the quantity of {unit}"), &stored.quantity, quantity)?;
        equal(&format_args!("the amount of {unit}"), &stored.amount, amount)?;
        equal(&format_args!("the price basis of {unit}"), stored.basis, basis.to_string().as_str())?;
    }
    equal(&"its cost", &parts.cost, &sum)?;
    equal(&"its flags", &names(parts.flags.iter().map(Flag::name)), &names(flags.iter().map(Flag::name)))?;
    let unpriced = if is_owed { unpriced } else { UnitSet::EMPTY };
    // A unit may also lack a price in the charge, which is another row's.
    let is_told = unpriced.iter().all(|unit| parts.unpriced.contains(unit));
    equal(&"whether all its units without a price are told", &is_told, &true)
}

fn stored_sum(parts: &Parts<'_>) -> Result<Amount, String> {
    let sum = parts.lines.iter().try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount));
    Ok(sum.ok_or("the sum of its lines does not fit")?)
}

fn equal<T: PartialEq + std::fmt::Display + ?Sized>(
    what: &dyn std::fmt::Display,
    stored: &T,
    derived: &T,
) -> Result<(), String> {
    if stored == derived {
        Ok(())
    } else {
        Err(format!("{what} is stored as {stored} and derived as {derived}"))
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" ")
}

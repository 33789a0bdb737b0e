//! The difference between the rows of a price file and the published book: what is new, what changes and by how much,
//! what stays, and what the file no longer has. Exact decimals; percentages are rounded for reading only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ledger::event::Millis;
use ledger::money::{Decimal, round_half_even};
use ledger::prices::{ModelRow, Multiplier, Price};
use ledger::unit::Unit;

use super::publication::LATER_VERSION_AFTER_MS;
use super::same_terms;
use super::versions::{Key, Versions};

/// What publishing the rows of a file would change. `new + changed + unchanged + earlier + refused` are its rows.
#[derive(Debug, Default)]
pub struct Diff {
    /// Rows of models that have no version yet, or none at that time.
    pub new: Vec<ModelRow>,
    /// Rows that are another version of a model.
    pub changed: Vec<Change>,
    /// Ids of rows that say what is published.
    pub unchanged: Vec<String>,
    /// Ids of first versions whose model is published already, and in the file has begun another version since.
    pub earlier: Vec<String>,
    /// Rows that cannot be published, and why.
    pub refused: Vec<(String, String)>,
    /// Versions in force that came from the same source, of models that the file does not have. They stay.
    pub gone: Vec<ModelRow>,
}

/// A model's prices before and after.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version that is published.
    pub before: ModelRow,
    /// The version of the file.
    pub row: ModelRow,
    /// Prices that differ.
    pub prices: Vec<PriceChange>,
    /// Whatever else differs: its name, and what it was and is.
    pub others: Vec<(&'static str, String, String)>,
}

/// One price before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceChange {
    /// What is priced.
    pub unit: Unit,
    /// Under which conditions; empty where there are none.
    pub conditions: String,
    /// What it cost; `None` where it had no price.
    pub old: Option<Price>,
    /// What it costs; `None` where it has no price any more.
    pub new: Option<Price>,
}

/// Compares the rows of a file with the published ones, each with the time from which it holds. `source` names the
/// file's source, where the file is all that the source has.
#[must_use]
pub fn diff(rows: &[ModelRow], source: Option<&str>, published: Vec<ModelRow>, now: Millis) -> Diff {
    let by_id: HashMap<String, ModelRow> =
        published.iter().map(|row| (row.id.clone(), row.clone())).collect();
    let mut book = Versions::of(published);
    let later = Millis(now.0.saturating_add(LATER_VERSION_AFTER_MS));
    let begun: BTreeSet<Key> =
        rows.iter().filter(|row| row.effective_from.is_some_and(|from| from <= now)).map(Key::of).collect();
    let mut diff = Diff { gone: gone(rows, source, &book, now), ..Diff::default() };
    // Versions go by time, so that each is compared with what comes before it.
    let mut ordered: Vec<&ModelRow> = rows.iter().collect();
    ordered.sort_by_key(|row| row.effective_from);
    let known: BTreeSet<Key> = rows.iter().map(Key::of).filter(|key| book.has(key)).collect();
    for row in ordered {
        let key = Key::of(row);
        if let Some(same) = by_id.get(&row.id) {
            let is_same = same_terms(same, row)
                && row.effective_from.is_none_or(|from| same.effective_from == Some(from));
            if is_same {
                diff.unchanged.push(row.id.clone());
            } else {
                let reason =
                    "the id is published with other content; give the file another version".to_owned();
                diff.refused.push((row.id.clone(), reason));
            }
            continue;
        }
        let replaced = row.supersedes.as_ref().and_then(|id| by_id.get(id));
        let (from, before) = match (row.effective_from, replaced) {
            (from, Some(replaced)) => (from.or(replaced.effective_from), Some(replaced)),
            (None, None) if known.contains(&key) && begun.contains(&key) => {
                diff.earlier.push(row.id.clone());
                continue;
            }
            (None, None) => match book.at(&key, later) {
                Some(before) => (Some(later), Some(before)),
                None => (None, None),
            },
            (Some(from), None) => (Some(from), book.at(&key, from)),
        };
        match before {
            None => diff.new.push(row.clone()),
            Some(before) if replaced.is_none() && same_terms(before, row) => {
                diff.unchanged.push(row.id.clone());
                continue;
            }
            Some(before) if replaced.is_none() && from.is_some() && before.effective_from == from => {
                let reason = format!(
                    "{} is published from the same instant with other terms; supersede it",
                    before.id
                );
                diff.refused.push((row.id.clone(), reason));
                continue;
            }
            Some(before) => diff.changed.push(Change::of(before, row)),
        }
        book.push(ModelRow { effective_from: from, ..row.clone() });
    }
    diff.new.sort_by(|one, two| one.id.cmp(&two.id));
    diff.changed.sort_by(|one, two| one.row.id.cmp(&two.row.id));
    diff
}

/// Versions in force of a source whose models the rows do not have.
fn gone(rows: &[ModelRow], source: Option<&str>, book: &Versions, now: Millis) -> Vec<ModelRow> {
    let keys: BTreeSet<Key> = rows.iter().map(Key::of).collect();
    let mut gone: BTreeMap<Key, &ModelRow> = BTreeMap::new();
    for row in book.rows().filter(|row| source == Some(row.source.name.as_str())) {
        let key = Key::of(row);
        let holds = book.at(&key, now).is_some_and(|present| present.id == row.id);
        if holds && !keys.contains(&key) {
            gone.insert(key, row);
        }
    }
    gone.into_values().cloned().collect()
}

impl Change {
    /// What differs between two versions.
    #[must_use]
    pub fn of(before: &ModelRow, row: &ModelRow) -> Self {
        let mut places: BTreeMap<(Unit, String), [Option<Price>; 2]> = BTreeMap::new();
        for (side, version) in [before, row].into_iter().enumerate() {
            for price in &version.prices {
                let place = places.entry((price.unit, price.conditions.to_string())).or_default();
                place[side] = Some(price.clone());
            }
        }
        let prices = places
            .into_iter()
            .map(|((unit, conditions), [old, new])| PriceChange { unit, conditions, old, new })
            .filter(PriceChange::is_one)
            .collect();
        Self { others: others(before, row), before: before.clone(), row: row.clone(), prices }
    }
}

fn others(before: &ModelRow, row: &ModelRow) -> Vec<(&'static str, String, String)> {
    let multiplier = |one: &Multiplier| format!("× {} {}", one.factor, one.conditions).trim_end().to_owned();
    let texts = |row: &ModelRow| {
        let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        [
            ("currency", row.currency.clone()),
            ("aliases", list(row.aliases.clone())),
            ("endpoint_families", list(row.endpoint_families.clone())),
            ("amount_basis", row.amount_basis.name().to_owned()),
            ("multipliers", list(row.multipliers.iter().map(multiplier).collect())),
            (
                "minimums",
                list(row.minimums.iter().map(|one| format!("{} {}", one.quantity, one.unit)).collect()),
            ),
            (
                "increments",
                list(row.increments.iter().map(|one| format!("{} {}", one.quantity, one.unit)).collect()),
            ),
            (
                "free_quotas",
                list(
                    row.free_quotas
                        .iter()
                        .map(|one| format!("{} {} a {}", one.quantity, one.unit, one.period.name()))
                        .collect(),
                ),
            ),
        ]
    };
    let pairs = texts(before).into_iter().zip(texts(row));
    pairs.filter(|((_, old), (_, new))| old != new).map(|((name, old), (_, new))| (name, old, new)).collect()
}

impl PriceChange {
    /// Whether one of the unit costs something else than before.
    fn is_one(&self) -> bool {
        match self.pair() {
            Some((old, new)) => old != new,
            None => self.old != self.new,
        }
    }

    /// Both prices for the same number of the unit.
    fn pair(&self) -> Option<(Decimal, Decimal)> {
        let (old, new) = self.old.as_ref().zip(self.new.as_ref())?;
        if old.per == new.per {
            return Some((old.amount, new.amount));
        }
        Some((old.amount.checked_mul(new.per.into()).ok()?, new.amount.checked_mul(old.per.into()).ok()?))
    }

    /// By how many percent the price changes, with one decimal: `+25.0`. `None` where there is nothing to compare
    /// with, or it was free.
    #[must_use]
    pub fn percent(&self) -> Option<String> {
        let (old, new) = self.pair()?;
        let (old, new) = (old.to_raw18()?.unsigned_abs(), new.to_raw18()?.unsigned_abs());
        let tenths = round_half_even(new.abs_diff(old).checked_mul(1000)?, old)?;
        let sign = if new < old { '-' } else { '+' };
        Some(format!("{sign}{}.{}", tenths / 10, tenths % 10))
    }

    /// Whether the price becomes more than `factor` times what it was, or less than that part of it. From free to
    /// paid, and back, always counts; so does what does not fit.
    #[must_use]
    pub fn exceeds(&self, factor: Decimal) -> bool {
        if self.old.is_none() || self.new.is_none() {
            return false;
        }
        let Some((old, new)) = self.pair() else { return true };
        if old.is_zero() || new.is_zero() {
            return old != new;
        }
        match (old.checked_mul(factor), new.checked_mul(factor)) {
            (Ok(most), Ok(least)) => new > most || least < old,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;

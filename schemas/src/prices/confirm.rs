//! Two sources: whether rows of other sources have the same standard prices of the same models.

use std::collections::{HashMap, HashSet};

use ledger::event::Millis;
use ledger::prices::{Bound, ModelRow, Price, Scope};
use ledger::unit::Unit;

use super::versions::{Key, canonical};

/// What a row says that no other source was compared with.
pub const ONLY_SOURCE: &str = "only one source";

/// Units without which the prices of a model of language are not confirmed.
const MAIN: [Unit; 2] = [Unit::InputUncachedTokens, Unit::OutputTextTokens];

/// Differences that are spelled out.
const DIFFERENCES_MAX: usize = 3;

/// Compares each row that is in force at an instant with those of other sources that are in force then. Where another
/// source has the same standard prices, `confirmed_by` names it; where one has others, `unconfirmed` says which; where
/// none has the model, it says that too. Rows of other times have no second source.
pub fn confirm(rows: &mut [ModelRow], others: &[ModelRow], at: Millis) {
    let present: Vec<bool> = {
        let index = Index::of(rows, at);
        rows.iter().map(|row| index.holds(row)).collect()
    };
    let index = Index::of(others, at);
    for (row, _) in rows.iter_mut().zip(present).filter(|(_, present)| *present) {
        let mut objections = Vec::new();
        let mut confirmed_by = Vec::new();
        for other in index.find(row) {
            match compare(row, other) {
                Verdict::Same => confirmed_by.push(title(other)),
                Verdict::Other(differences) => {
                    let more = differences.len().saturating_sub(DIFFERENCES_MAX);
                    let mut text = differences[..differences.len() - more].join("; ");
                    if more > 0 {
                        text += &format!("; and {more} more");
                    }
                    objections.push(format!("{} says {text}", title(other)));
                }
                Verdict::Nothing => {}
            }
        }
        confirmed_by.sort_unstable();
        row.unconfirmed = match (objections.is_empty(), confirmed_by.is_empty()) {
            (false, _) => Some(objections.join("; ")),
            (true, false) => None,
            (true, true) => Some(ONLY_SOURCE.to_owned()),
        };
        row.source.confirmed_by = confirmed_by;
    }
}

/// The public versions in force at an instant, by source, provider and name.
struct Index<'r> {
    rows: HashMap<(Option<String>, &'r str), Vec<&'r ModelRow>>,
}

impl<'r> Index<'r> {
    fn of(rows: &'r [ModelRow], at: Millis) -> Self {
        let superseded: HashSet<&str> = rows.iter().filter_map(|row| row.supersedes.as_deref()).collect();
        let mut latest: HashMap<(Key, &str), &ModelRow> = HashMap::new();
        for row in rows.iter().filter(|row| row.scope == Scope::Public) {
            if superseded.contains(row.id.as_str()) || row.effective_from.is_some_and(|from| from > at) {
                continue;
            }
            let kept = latest.entry((Key::of(row), row.source.name.as_str())).or_insert(row);
            if kept.effective_from <= row.effective_from {
                *kept = row;
            }
        }
        let mut index = Self { rows: HashMap::new() };
        for row in latest.into_values() {
            for name in std::iter::once(&row.model).chain(&row.aliases) {
                index.rows.entry((canonical(row.provider.as_deref()), name.as_str())).or_default().push(row);
            }
        }
        index
    }

    /// Rows of other sources that have the row's own name.
    fn find(&self, row: &ModelRow) -> Vec<&'r ModelRow> {
        let named = self.rows.get(&(canonical(row.provider.as_deref()), row.model.as_str()));
        let mut found: Vec<&ModelRow> = named
            .into_iter()
            .flatten()
            .copied()
            .filter(|other| other.source.name != row.source.name)
            .collect();
        found.sort_by(|one, two| (&one.source.name, &one.id).cmp(&(&two.source.name, &two.id)));
        found
    }

    fn holds(&self, row: &ModelRow) -> bool {
        let named = self.rows.get(&(canonical(row.provider.as_deref()), row.model.as_str()));
        named.into_iter().flatten().any(|other| other.id == row.id)
    }
}

enum Verdict {
    /// The standard prices that both have are the same, the main ones among them.
    Same,
    /// Some differ.
    Other(Vec<String>),
    /// There is too little to compare.
    Nothing,
}

fn compare(row: &ModelRow, other: &ModelRow) -> Verdict {
    if row.currency != other.currency {
        return Verdict::Nothing;
    }
    let mut differences = Vec::new();
    let mut shared = 0;
    for price in row.prices.iter().filter(|price| is_standard(price)) {
        let Some(theirs) = other.prices.iter().find(|theirs| is_same_place(price, theirs)) else { continue };
        if same_price(price, theirs) {
            shared += 1;
        } else {
            differences.push(format!("{} {}, not {}", place(theirs), money(theirs), money(price)));
        }
    }
    differences.extend(steps_apart(row, other));
    let has_main =
        |row: &ModelRow, unit: Unit| row.prices.iter().any(|price| price.unit == unit && is_plain(price));
    let is_missing = |unit: &Unit| has_main(row, *unit) != has_main(other, *unit);
    if !differences.is_empty() {
        Verdict::Other(differences)
    } else if shared == 0 || MAIN.iter().any(is_missing) {
        Verdict::Nothing
    } else {
        Verdict::Same
    }
}

/// A step of the main prices that only one of both has, and at which it charges something else than below it.
fn steps_apart(row: &ModelRow, other: &ModelRow) -> Vec<String> {
    let lonely = |of: &'_ ModelRow, against: &ModelRow, says: &str| {
        of.prices
            .iter()
            .filter(|price| MAIN.contains(&price.unit) && is_standard(price) && !is_plain(price))
            .filter(|price| !against.prices.iter().any(|theirs| is_same_place(price, theirs)))
            .filter(|price| {
                let plain =
                    against.prices.iter().find(|theirs| theirs.unit == price.unit && is_plain(theirs));
                plain.is_some_and(|plain| !same_price(plain, price))
            })
            .map(|price| format!("{says} {}", place(price)))
            .collect::<Vec<_>>()
    };
    let mut apart = lonely(other, row, "another price of");
    apart.extend(lonely(row, other, "no other price of"));
    apart
}

/// Whether a price is of the standard tier and depends on nothing but the prompt's size.
fn is_standard(price: &Price) -> bool {
    let others = price.conditions.count() - usize::from(price.conditions.prompt_tokens_total.is_some());
    others == 0 && !price.amount.is_zero() || price.conditions.is_empty()
}

fn is_plain(price: &Price) -> bool {
    price.conditions.is_empty()
}

fn floor(price: &Price) -> u64 {
    price.conditions.prompt_tokens_total.map_or(0, Bound::floor)
}

fn is_same_place(one: &Price, two: &Price) -> bool {
    one.unit == two.unit && is_standard(one) && is_standard(two) && floor(one) == floor(two)
}

/// Whether one of the unit costs the same, however it is written.
pub(super) fn same_price(one: &Price, two: &Price) -> bool {
    let cross = |price: &Price, per: u64| price.amount.checked_mul(per.into());
    (one.amount == two.amount && one.per == two.per) || cross(one, two.per) == cross(two, one.per)
}

fn place(price: &Price) -> String {
    if is_plain(price) { price.unit.to_string() } else { format!("{} {}", price.unit, price.conditions) }
}

fn money(price: &Price) -> String {
    if price.per == 1 { price.amount.to_string() } else { format!("{} / {}", price.amount, price.per) }
}

fn title(row: &ModelRow) -> String {
    match &row.source.version {
        Some(version) => format!("{} {version}", row.source.name),
        None => row.source.name.clone(),
    }
}

#[cfg(test)]
mod tests;

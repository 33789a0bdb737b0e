//! Rolls entries up to totals: the slow and obvious twin that every faster sum must equal.

use std::collections::BTreeMap;

use crate::entry::Entry;
use crate::money::{Amount, Decimal};
use crate::unit::Unit;

/// Sums over entries of one currency of cost and one of charge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Attempts.
    pub attempts: i64,
    /// Requests.
    pub requests: i64,
    /// How much of each unit.
    pub quantities: BTreeMap<Unit, Decimal>,
    /// At the provider's list prices.
    pub list_cost: Amount,
    /// What we owe.
    pub cost: Amount,
    /// What customers are billed.
    pub charge: Amount,
    /// What gateway caches spared.
    pub cost_avoided: Amount,
    /// Entries whose amounts are not all that is owed.
    pub unpriced_entries: u64,
}

impl Totals {
    /// Adds an entry; `None`, with nothing added, where a sum does not fit.
    #[must_use]
    pub fn add(&mut self, entry: &Entry<'_, '_>) -> Option<()> {
        let mut sum = self.clone();
        sum.attempts += i64::from(entry.attempts);
        sum.requests += i64::from(entry.requests);
        for line in entry.lines {
            let quantity = sum.quantities.entry(line.unit).or_insert(Decimal::ZERO);
            *quantity = quantity.checked_add(line.quantity).ok()?;
        }
        sum.list_cost = sum.list_cost.checked_add(entry.list_cost)?;
        sum.cost = sum.cost.checked_add(entry.cost)?;
        sum.charge = sum.charge.checked_add(entry.charge)?;
        sum.cost_avoided = sum.cost_avoided.checked_add(entry.cost_avoided)?;
        sum.unpriced_entries += u64::from(entry.is_unpriced());
        *self = sum;
        Some(())
    }
}

/// Totals by group, currency of the cost and currency of the charge; two currencies are never added.
#[must_use]
pub fn roll_up<'x, 'e: 'x, 'b: 'x, K: Ord>(
    entries: impl IntoIterator<Item = &'x Entry<'e, 'b>>,
    group: impl Fn(&Entry<'e, 'b>) -> K,
) -> Option<BTreeMap<(K, String, String), Totals>> {
    let mut totals = BTreeMap::<_, Totals>::new();
    for entry in entries {
        let currencies = (entry.currency.to_owned(), entry.charge_currency.to_owned());
        totals.entry((group(entry), currencies.0, currencies.1)).or_default().add(entry)?;
    }
    Some(totals)
}

//! What the commands of an operation say of themselves.

use std::collections::BTreeMap;

use ledger::money::Decimal;
use serde::{Deserialize, Serialize};

use super::Call;
use crate::posted::PostedRow;

/// What a step did, or all steps of an operation together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Entries that were taken back and posted anew.
    pub entries: u64,
    /// Entries that could not be posted anew and stay as they are.
    pub unpostable: u64,
    /// By plane and currency, by how much the total changed.
    pub delta: BTreeMap<String, BTreeMap<String, String>>,
}

/// The planes of money, with the currency of each.
const PLANES: [&str; 3] = ["list_cost", "cost", "charge"];

/// Sums of amounts by plane and currency, times 10^18.
#[derive(Clone, Debug, Default)]
pub struct Delta(BTreeMap<&'static str, BTreeMap<String, i128>>);

impl Delta {
    /// Adds the amounts of a row that is posted. A sum that is too large is said to be so: it is shown and nothing more.
    pub fn add(&mut self, row: &PostedRow) {
        self.put(row, |amount| amount);
    }

    /// Adds the amounts of a row that is taken back.
    pub fn take_back(&mut self, row: &PostedRow) {
        self.put(row, i128::saturating_neg);
    }

    fn put(&mut self, row: &PostedRow, signed: fn(i128) -> i128) {
        let amounts = [
            (PLANES[0], &row.currency, row.list_cost),
            (PLANES[1], &row.currency, row.cost),
            (PLANES[2], &row.charge_currency, row.charge),
        ];
        for (plane, currency, amount) in amounts {
            let sum = self.0.entry(plane).or_default().entry(currency.clone()).or_default();
            // Beyond 38 digits, where it stays, no sum is a number any more.
            *sum = if ledger::money::Amount::from_raw(*sum).is_some() {
                sum.saturating_add(signed(amount))
            } else {
                i128::MAX
            };
        }
    }

    /// The sums as decimals, without those that are nothing.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let text = |(currency, raw): (&String, &i128)| {
            let Some(amount) = ledger::money::Amount::from_raw(*raw) else {
                return Some((currency.clone(), TOO_LARGE.to_owned()));
            };
            (!amount.is_zero()).then(|| (currency.clone(), amount.to_string()))
        };
        let plane = |(plane, sums): (&&'static str, &BTreeMap<String, i128>)| {
            ((*plane).to_owned(), sums.iter().filter_map(text).collect::<BTreeMap<_, _>>())
        };
        self.0.iter().map(plane).filter(|(_, sums)| !sums.is_empty()).collect()
    }
}

/// What stands in the place of a sum of more than 38 digits.
const TOO_LARGE: &str = "too large";

impl Outcome {
    /// Adds what another step did.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.unpostable += other.unpostable;
        for (plane, sums) in &other.delta {
            let plane = self.delta.entry(plane.clone()).or_default();
            for (currency, text) in sums {
                let known = plane.get(currency).map_or("0", String::as_str);
                let sum = Decimal::parse(known).and_then(|known| known.checked_add(Decimal::parse(text)?));
                plane.insert(
                    currency.clone(),
                    sum.map_or_else(|_| TOO_LARGE.to_owned(), |sum| sum.to_string()),
                );
            }
        }
    }
}

/// The result of a start, as its command keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The number of the operation, which its rows bear.
    pub operation: u64,
    /// How many steps it has.
    pub steps: u32,
    /// What was asked for.
    pub call: Call,
}

/// The result of a step, as its command keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stepped {
    /// The operation.
    pub operation: u64,
    /// Its id, as the API names it.
    pub id: String,
    /// Which step, from 0.
    pub step: u32,
    /// Whether it was the last: with it the operation is finished.
    pub last: bool,
    /// What it did.
    pub outcome: Outcome,
}

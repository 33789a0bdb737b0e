//! The price rows of an archive: whether a line's amount is what its row makes of its quantity.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use ledger::money::{Amount, Decimal};
use ledger::prices::{AmountBasis, ModelRow};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::arithmetic::Price;

/// Half of a price: what the longer keeping of a cache costs in a batch.
const HALF: &str = "0.5";

#[derive(Deserialize)]
struct Listed<'a> {
    id: String,
    #[serde(borrow)]
    row: &'a RawValue,
}

/// Price rows by id.
pub(super) struct Rows(HashMap<String, ModelRow>);

impl Rows {
    /// Reads them, one a line.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let mut rows = HashMap::new();
        for line in text.lines() {
            let listed: Listed<'_> = serde_json::from_str(line).context("a price row cannot be read")?;
            let row = schemas::prices::from_json(listed.row.get())?;
            ensure!(row.id == listed.id, "the price row {} is kept as {}", row.id, listed.id);
            rows.insert(listed.id, row);
        }
        Ok(Self(rows))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a row makes that amount of that quantity; an error where it does not.
    pub(super) fn check(&self, id: &str, line: &Line<'_>) -> anyhow::Result<()> {
        let row = self.0.get(id).with_context(|| format!("the price row {id} is not in the archive"))?;
        if line.amount.is_zero() || row.amount_basis == AmountBasis::ProviderReported {
            return Ok(());
        }
        let is_priced = candidates(row, line).any(|price| price.of(line.quantity) == Some(line.amount));
        if !is_priced {
            bail!(
                "the price row {id} makes another amount than {} of {} {}",
                line.amount,
                line.quantity,
                line.unit
            );
        }
        Ok(())
    }
}

/// A line of an entry that a row priced.
pub(super) struct Line<'a> {
    pub(super) unit: &'a str,
    pub(super) basis: &'a str,
    pub(super) quantity: Decimal,
    pub(super) amount: Amount,
}

/// The prices of a row that a line may have, each under the factors that the row has.
fn candidates<'a>(row: &'a ModelRow, line: &'a Line<'_>) -> impl Iterator<Item = Price> + 'a {
    let minimum = row.minimums.iter().find(|one| one.unit.name() == line.unit).map(|one| one.quantity);
    let increment = row.increments.iter().find(|one| one.unit.name() == line.unit).map(|one| one.quantity);
    let from = line.basis.strip_prefix("fallback:").unwrap_or(line.unit);
    let is_derived = line.basis == "derived";
    let prices = row.prices.iter().filter(move |price| is_derived || price.unit.name() == from);
    let factors = factors(row, is_derived);
    prices.flat_map(move |price| {
        let (amount, per) = (price.amount, price.per);
        factors.clone().into_iter().map(move |factor| Price { amount, per, factor, minimum, increment })
    })
}

/// The products of all choices of a row's multipliers.
fn factors(row: &ModelRow, is_derived: bool) -> Vec<Decimal> {
    let own = row.multipliers.iter().map(|multiplier| multiplier.factor);
    let half = Decimal::parse(HALF).ok().filter(|_| is_derived);
    own.chain(half).fold(vec![Decimal::ONE], |products, factor| {
        let with = products.iter().filter_map(|product| product.checked_mul(factor).ok()).collect::<Vec<_>>();
        products.into_iter().chain(with).collect()
    })
}

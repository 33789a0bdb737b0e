//! What every importer brings: model rows, what was refused and why, and counts that add up to the source.

use std::collections::HashMap;
use std::fmt::Write as _;

use ledger::money::Decimal;
use ledger::prices::{AmountBasis, Conditions, ModelRow, Price, PriceBook, Scope, Source};
use ledger::unit::Unit;
use sha2::{Digest, Sha256};

use super::confirm::ONLY_SOURCE;

/// Tokens are priced by the million, as vendors do.
pub(super) const TOKENS_PER_PRICE: u64 = 1_000_000;

/// Bytes of a file's hash that name its version where nothing else does.
const VERSION_BYTES: usize = 6;

/// What the file does not say and an importer may need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Version of the source, which ids name; else the file's own, else its hash.
    pub version: Option<String>,
    /// Who serves the models, where the file does not say.
    pub provider: Option<String>,
    /// The model, where the file holds one and does not name it.
    pub model: Option<String>,
    /// The group of a new-api instance whose ratio is on its prices; `default` where none is named.
    pub group: Option<String>,
    /// A ratio on a new-api instance's prices, instead of a group's.
    pub group_ratio: Option<Decimal>,
}

/// What an import brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Name of the source; `None` where the rows name their own.
    pub source: Option<String>,
    /// Model rows, by provider, model and time. They make a price book.
    pub rows: Vec<ModelRow>,
    /// What was not used.
    pub refused: Vec<Refusal>,
    /// How many of what.
    pub summary: Summary,
}

/// A price, or a rule that gives prices to models, that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry of the source.
    pub key: String,
    /// The price or rule in it.
    pub price_key: String,
    /// Why.
    pub reason: String,
}

/// Counts of an import. `imported + folded + repeated + conflicting + unpriced = entries`,
/// `used + refused = price_keys`, and `refused + rules_refused` refusals are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries of the source, each a model; samples aside.
    pub entries: usize,
    /// Entries that brought a row, or several versions of one.
    pub imported: usize,
    /// Entries that added conditions, such as a size, to the row of another.
    pub folded: usize,
    /// Entries that repeat another's prices under a second name.
    pub repeated: usize,
    /// Entries whose name is another's, with other prices.
    pub conflicting: usize,
    /// Entries without a price that can be used.
    pub unpriced: usize,
    /// Price keys of all entries.
    pub price_keys: usize,
    /// Price keys that are in a row.
    pub used: usize,
    /// Price keys that are not.
    pub refused: usize,
    /// Rules that would give a model's prices to further names, which a row cannot say.
    pub rules_refused: usize,
}

/// Why a price cannot be used.
pub(super) type Reason = String;

/// An importer's source, as its rows name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) license: Option<&'a str>,
}

/// One entry on its way to a row: each price is used or refused.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) key: String,
    pub(super) prices: Vec<Price>,
    pub(super) used: Vec<String>,
    pub(super) refused: Vec<Refusal>,
}

impl Draft {
    pub(super) fn new(key: &str) -> Self {
        Self { key: key.to_owned(), prices: Vec::new(), used: Vec::new(), refused: Vec::new() }
    }

    /// Counts a price key: its prices are kept, or its reason is.
    pub(super) fn take(&mut self, price_key: &str, prices: Result<Vec<Price>, Reason>) {
        match prices {
            Ok(prices) => {
                self.prices.extend(prices);
                self.used.push(price_key.to_owned());
            }
            Err(reason) => self.refuse(price_key, reason),
        }
    }

    pub(super) fn refuse(&mut self, price_key: &str, reason: Reason) {
        self.refused.push(Refusal { key: self.key.clone(), price_key: price_key.to_owned(), reason });
    }
}

impl Import {
    pub(super) fn of(source: Option<&str>) -> Self {
        Self {
            source: source.map(str::to_owned),
            rows: Vec::new(),
            refused: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Counts an entry and adds its row, if it has prices, makes a price book, and is the first of its name.
    pub(super) fn add(&mut self, draft: Draft, mut row: ModelRow, names: &mut Names) {
        self.summary.entries += 1;
        self.summary.price_keys += draft.used.len() + draft.refused.len();
        row.prices.clone_from(&draft.prices);
        let refused = if row.prices.is_empty() {
            self.summary.unpriced += 1;
            None
        } else if let Some(kept) =
            names.0.get(&(row.provider.clone(), row.model.clone())).and_then(|index| self.rows.get(*index))
        {
            if kept.prices == row.prices {
                self.summary.repeated += 1;
                None
            } else {
                self.summary.conflicting += 1;
                Some(format!(
                    "{:?} names the same model with other prices",
                    kept.source.key.as_deref().unwrap_or_default()
                ))
            }
        } else if let Err(error) = PriceBook::new(vec![row.clone()]) {
            self.summary.unpriced += 1;
            Some(error.to_string())
        } else {
            self.summary.imported += 1;
            names.0.insert((row.provider.clone(), row.model.clone()), self.rows.len());
            self.rows.push(row);
            None
        };
        self.count(&draft.key, draft.used, draft.refused, refused.as_deref());
    }

    /// Counts an entry's price keys: the used ones as refused where the entry as a whole is.
    pub(super) fn count(
        &mut self,
        key: &str,
        used: Vec<String>,
        refusals: Vec<Refusal>,
        refused: Option<&str>,
    ) {
        self.summary.refused += refusals.len();
        self.refused.extend(refusals);
        match refused {
            None => self.summary.used += used.len(),
            Some(reason) => {
                self.summary.refused += used.len();
                self.refused.extend(used.into_iter().map(|price_key| Refusal {
                    key: key.to_owned(),
                    price_key,
                    reason: reason.to_owned(),
                }));
            }
        }
    }
}

/// Models that have a row, by provider and name.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<(Option<String>, String), usize>);

/// A row without prices yet.
pub(super) fn blank(origin: Origin<'_>, provider: &str, model: &str, key: &str) -> ModelRow {
    ModelRow {
        id: format!("{provider}/{model}@{}-{}", origin.name, origin.version),
        provider: Some(provider.to_owned()),
        model: model.to_owned(),
        aliases: Vec::new(),
        endpoint_families: Vec::new(),
        currency: "USD".into(),
        effective_from: None,
        scope: Scope::Public,
        supersedes: None,
        amount_basis: AmountBasis::Units,
        prices: Vec::new(),
        multipliers: Vec::new(),
        minimums: Vec::new(),
        increments: Vec::new(),
        free_quotas: Vec::new(),
        source: Source {
            name: origin.name.to_owned(),
            version: Some(origin.version.to_owned()),
            key: Some(key.to_owned()),
            license: origin.license.map(str::to_owned),
            confirmed_by: Vec::new(),
        },
        unconfirmed: Some(ONLY_SOURCE.to_owned()),
        notes: None,
    }
}

/// A price of tokens, given by the million, under conditions.
pub(super) fn by_million(unit: Unit, amount: Decimal, conditions: Conditions) -> Price {
    Price { unit, amount, per: TOKENS_PER_PRICE, conditions }
}

/// A price of one of the unit: of tokens it becomes one by the million.
pub(super) fn by_one(unit: Unit, amount: Decimal, conditions: Conditions) -> Result<Price, Reason> {
    let per = if unit.is_token() { TOKENS_PER_PRICE } else { 1 };
    let amount = amount.checked_mul(Decimal::from(per)).map_err(|error| error.to_string())?;
    Ok(Price { unit, amount, per, conditions })
}

/// Money, not below zero.
pub(super) fn not_negative(amount: Decimal) -> Result<Decimal, Reason> {
    if amount.is_negative() { Err(format!("{amount} is below zero")) } else { Ok(amount) }
}

/// A name for a file that has none: the beginning of its hash.
pub(super) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(VERSION_BYTES).fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

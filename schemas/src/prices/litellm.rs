//! Imports LiteLLM's price map. Every price of every entry is used or refused with a reason, and counted; numbers
//! are read from their text. Model rows come out in the same order with the same ids from the same map.

mod entry;
mod key;
mod special;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ledger::prices::{AmountBasis, ModelRow, PriceBook, Scope, Source};
use sha2::{Digest, Sha256};

use entry::{Draft, Fields, is_price_key};

/// An entry that documents the others.
const SAMPLE: &str = "sample_spec";

/// Providers whose prices two independent sources give alike.
const CONFIRMED_PROVIDERS: &[&str] = &["openai", "anthropic", "gemini", "cohere", "perplexity"];

/// Bytes of the map's hash that name its version where none is given.
const VERSION_BYTES: usize = 6;

/// Why a text is no such map.
#[derive(Debug, thiserror::Error)]
#[error("not a LiteLLM price map: an object of model names with objects of prices is expected")]
pub struct Error(#[from] serde_json::Error);

/// What an import brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Model rows, by provider and model. They make a price book.
    pub rows: Vec<ModelRow>,
    /// Price keys that were not used.
    pub refused: Vec<Refusal>,
    /// How many of what.
    pub summary: Summary,
}

/// A price key that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry.
    pub key: String,
    /// The price in it.
    pub price_key: String,
    /// Why.
    pub reason: String,
}

/// Counts of an import. `imported + folded + repeated + conflicting + unpriced = entries`, and
/// `used + refused = price_keys`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries of the map, its sample aside.
    pub entries: usize,
    /// Entries that began a row.
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
}

/// Imports a map. `version` names it in ids; without one, its hash does.
///
/// # Errors
/// [`Error`] where the text is no such map.
pub fn import(text: &str, version: Option<&str>) -> Result<Import, Error> {
    let map: BTreeMap<String, Fields<'_>> = serde_json::from_str(text)?;
    let version = version.map_or_else(|| hash(text), str::to_owned);
    let mut import = Import { rows: Vec::new(), refused: Vec::new(), summary: Summary::default() };
    let mut models: BTreeMap<(&str, &str), Vec<Draft<'_>>> = BTreeMap::new();
    for (key, fields) in map.iter().filter(|(key, _)| *key != SAMPLE) {
        import.summary.entries += 1;
        import.summary.price_keys += fields.keys().filter(|name| is_price_key(name)).count();
        let draft = entry::read(key, fields);
        let is_model = !draft.name.provider.is_empty();
        if is_model && !draft.prices.is_empty() {
            models.entry((draft.name.provider, draft.name.model)).or_default().push(draft);
        } else {
            import.summary.unpriced += 1;
            import.count(draft, None);
        }
    }
    for ((provider, model), drafts) in models {
        import.add_model(provider, model, drafts, &version);
    }
    import.summary.refused = import.refused.len();
    Ok(import)
}

impl Import {
    /// Makes one row of all entries of a model. An entry whose name begins with its provider goes first.
    fn add_model(&mut self, provider: &str, model: &str, mut drafts: Vec<Draft<'_>>, version: &str) {
        drafts.sort_by_key(|draft| (draft.name.size.is_some(), !draft.name.is_prefixed, draft.key));
        let mut row: Option<ModelRow> = None;
        for draft in drafts {
            let Some(kept) = &mut row else {
                let begun = begin(provider, model, &draft, version);
                match PriceBook::new(vec![begun.clone()]) {
                    Ok(_) => {
                        self.summary.imported += 1;
                        self.count(draft, None);
                        row = Some(begun);
                    }
                    Err(error) => {
                        self.summary.unpriced += 1;
                        self.count(draft, Some(&error.to_string()));
                    }
                }
                continue;
            };
            self.merge(kept, draft);
        }
        self.rows.extend(row);
    }

    /// Adds a further entry of a model to its row: as sizes, or, where it has none, only if it says the same.
    fn merge(&mut self, row: &mut ModelRow, draft: Draft<'_>) {
        if draft.name.size.is_none() {
            let says_same = |prices: &[_]| {
                prices.len() == row.prices.len()
                    && draft.prices.iter().all(|price| row.prices.contains(price))
            };
            if says_same(&draft.prices) && draft.multipliers == row.multipliers {
                self.summary.repeated += 1;
                self.count(draft, None);
            } else {
                let kept = row.source.key.as_deref().unwrap_or_default();
                let reason = format!("{kept:?} names the same model with other prices");
                self.summary.conflicting += 1;
                self.count(draft, Some(&reason));
            }
            return;
        }
        let mut merged = row.clone();
        merged.prices.extend(draft.prices.iter().filter(|price| !row.prices.contains(price)).cloned());
        match PriceBook::new(vec![merged.clone()]) {
            Ok(_) => {
                self.summary.folded += 1;
                *row = merged;
                self.count(draft, None);
            }
            Err(error) => {
                self.summary.conflicting += 1;
                self.count(draft, Some(&error.to_string()));
            }
        }
    }

    /// Counts an entry's price keys: the used ones as refused where the entry as a whole is.
    fn count(&mut self, draft: Draft<'_>, refused: Option<&str>) {
        self.refused.extend(draft.refused);
        match refused {
            None => self.summary.used += draft.used.len(),
            Some(reason) => self.refused.extend(draft.used.into_iter().map(|price_key| Refusal {
                key: draft.key.to_owned(),
                price_key,
                reason: reason.to_owned(),
            })),
        }
    }
}

fn begin(provider: &str, model: &str, draft: &Draft<'_>, version: &str) -> ModelRow {
    let is_confirmed = CONFIRMED_PROVIDERS.contains(&provider);
    ModelRow {
        id: format!("{provider}/{model}@litellm-{version}"),
        provider: Some(provider.to_owned()),
        model: model.to_owned(),
        aliases: Vec::new(),
        endpoint_families: Vec::new(),
        currency: "USD".into(),
        effective_from: None,
        scope: Scope::Public,
        supersedes: None,
        amount_basis: AmountBasis::Units,
        prices: draft.prices.clone(),
        multipliers: draft.multipliers.clone(),
        minimums: Vec::new(),
        increments: Vec::new(),
        free_quotas: Vec::new(),
        source: Source {
            name: "litellm".into(),
            version: Some(version.to_owned()),
            key: Some(draft.key.to_owned()),
            license: Some("MIT".into()),
            confirmed_by: Vec::new(),
        },
        unconfirmed: (!is_confirmed).then(|| "only this source was read for this provider".into()),
        notes: (!draft.notes.is_empty()).then(|| draft.notes.join("; ")),
    }
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(VERSION_BYTES).fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

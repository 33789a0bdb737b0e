//! Imports LiteLLM's price map. Every price of every entry is used or refused with a reason, and counted; numbers
//! are read from their text. Model rows come out in the same order with the same ids from the same map.

mod entry;
mod key;
mod special;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ledger::prices::{ModelRow, PriceBook};

use super::import::{Import, Options, Origin, blank, hash};
use entry::{Draft, Fields, is_price_key};

/// Name of the source in rows and ids.
pub const SOURCE: &str = "litellm";

/// An entry that documents the others.
const SAMPLE: &str = "sample_spec";

/// Imports a map, whose version in ids is that of the options, or else its hash.
///
/// # Errors
/// Where the text is no such map.
pub fn import(text: &str, options: &Options) -> Result<Import, serde_json::Error> {
    let map: BTreeMap<String, Fields<'_>> = serde_json::from_str(text)?;
    let version = options.version.clone().unwrap_or_else(|| hash(text));
    let mut import = Import::of(Some(SOURCE));
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
            import.count_draft(draft, None);
        }
    }
    for ((provider, model), drafts) in models {
        import.add_model(provider, model, drafts, &version);
    }
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
                        self.count_draft(draft, None);
                        row = Some(begun);
                    }
                    Err(error) => {
                        self.summary.unpriced += 1;
                        self.count_draft(draft, Some(&error.to_string()));
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
                self.count_draft(draft, None);
            } else {
                let kept = row.source.key.as_deref().unwrap_or_default();
                let reason = format!("{kept:?} names the same model with other prices");
                self.summary.conflicting += 1;
                self.count_draft(draft, Some(&reason));
            }
            return;
        }
        let mut merged = row.clone();
        merged.prices.extend(draft.prices.iter().filter(|price| !row.prices.contains(price)).cloned());
        match PriceBook::new(vec![merged.clone()]) {
            Ok(_) => {
                self.summary.folded += 1;
                *row = merged;
                self.count_draft(draft, None);
            }
            Err(error) => {
                self.summary.conflicting += 1;
                self.count_draft(draft, Some(&error.to_string()));
            }
        }
    }

    fn count_draft(&mut self, draft: Draft<'_>, refused: Option<&str>) {
        self.count(draft.key, draft.used, draft.refused, refused);
    }
}

fn begin(provider: &str, model: &str, draft: &Draft<'_>, version: &str) -> ModelRow {
    let origin = Origin { name: SOURCE, version, license: Some("MIT") };
    ModelRow {
        prices: draft.prices.clone(),
        multipliers: draft.multipliers.clone(),
        free_quotas: draft.free_quotas.clone(),
        notes: (!draft.notes.is_empty()).then(|| draft.notes.join("; ")),
        ..blank(origin, provider, model, draft.key)
    }
}

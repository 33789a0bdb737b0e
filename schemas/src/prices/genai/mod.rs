//! Imports genai-prices: providers, their models, the rules by which models are told, and prices with their history.
//! Each start date becomes a version; hours of the day, tiers and long prompts become conditions. A rule that is
//! no list of names gives a row to the model's own id alone, and is refused beyond that.

mod model;
mod names;
mod prices;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::import::{Import, Options, Origin, hash};
use model::{Model, versions};

const SOURCE: &str = "genai-prices";
const LICENSE: &str = "MIT";

/// The file of genai-prices that the project ships; other sources are confirmed against it.
pub const BUNDLED: &str = include_str!("../../../prices/genai-prices/prices_0.2.3.json");

/// Providers that events and other sources know by another name.
const PROVIDERS: &[(&str, &str)] = &[
    ("aws", "bedrock"),
    ("fireworks", "fireworks_ai"),
    ("github-copilot", "github_copilot"),
    ("google", "gemini"),
    ("moonshotai", "moonshot"),
    ("together", "together_ai"),
    ("voyageai", "voyage"),
    ("x-ai", "xai"),
];

#[derive(Deserialize)]
struct File<'t> {
    #[serde(default)]
    genai_prices_version: Option<String>,
    #[serde(borrow)]
    providers: Vec<Provider<'t>>,
}

#[derive(Deserialize)]
struct Provider<'t> {
    id: String,
    #[serde(borrow)]
    models: Vec<Model<'t>>,
}

/// Imports a file; without a version in the options the file's own, or else its hash, is in the ids.
///
/// # Errors
/// Where the text is no such file.
pub(super) fn import(json: &str, options: &Options) -> Result<Import, serde_json::Error> {
    let file = parse(json)?;
    let version = options.version.clone().or(file.genai_prices_version).unwrap_or_else(|| hash(json));
    let origin = Origin { name: SOURCE, version: &version, license: Some(LICENSE) };
    let mut import = Import::of(Some(SOURCE));
    for provider in &file.providers {
        let name = PROVIDERS
            .iter()
            .find(|(theirs, _)| *theirs == provider.id)
            .map_or(&*provider.id, |(_, ours)| *ours);
        let mut claimed = HashSet::new();
        for model in &provider.models {
            add(&mut import, origin, name, model, &mut claimed);
        }
    }
    import.rows.sort_by(|one, two| {
        (&one.provider, &one.model, one.effective_from).cmp(&(&two.provider, &two.model, two.effective_from))
    });
    Ok(import)
}

/// The package's file, or the bare list of providers that the project publishes besides.
fn parse(json: &str) -> Result<File<'_>, serde_json::Error> {
    if json.trim_start().starts_with('[') {
        return Ok(File { genai_prices_version: None, providers: serde_json::from_str(json)? });
    }
    serde_json::from_str(json)
}

fn add(
    import: &mut Import,
    origin: Origin<'_>,
    provider: &str,
    model: &Model<'_>,
    claimed: &mut HashSet<String>,
) {
    import.summary.entries += 1;
    let key = format!("{provider}/{}", model.id);
    let found = names::of(&model.id, &model.rule);
    for rule in found.rules {
        import.summary.rules_refused += 1;
        import.refused.push(super::Refusal {
            key: key.clone(),
            price_key: rule,
            reason: "a pattern; only names are taken, and dated forms of them".into(),
        });
    }
    let mut outcome = versions(model, provider, &key);
    import.summary.price_keys += outcome.used.len() + outcome.refused.len();
    let mut free = found.names.into_iter().filter(|name| claimed.insert(name.clone()));
    let Some(first) = free.next() else {
        import.summary.unpriced += 1;
        import.count(
            &key,
            outcome.used,
            outcome.refused,
            Some("no rule of the model is a name, and its id is none"),
        );
        return;
    };
    let aliases: Vec<String> = free.collect();
    match model::rows(origin, provider, (first, aliases), &key, &mut outcome) {
        Ok(rows) if rows.is_empty() => {
            import.summary.unpriced += 1;
            import.count(&key, outcome.used, outcome.refused, None);
        }
        Ok(rows) => {
            import.summary.imported += 1;
            import.rows.extend(rows);
            import.count(&key, outcome.used, outcome.refused, None);
        }
        Err(reason) => {
            import.summary.unpriced += 1;
            import.count(&key, outcome.used, outcome.refused, Some(&reason));
        }
    }
}

/// A JSON value that is read later, because its form varies.
type Raw<'t> = &'t RawValue;

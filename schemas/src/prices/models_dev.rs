//! Imports models.dev: `api.json` with all providers, one provider of it, or the TOML of one model. Prices are money
//! for a million tokens.

use std::collections::BTreeMap;

use ledger::prices::{Bound, Conditions, Price};
use ledger::unit::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::form::{Error, Form};
use super::import::{Draft, Import, Names, Options, Origin, Reason, blank, by_million, hash, not_negative};
use super::number;

const SOURCE: &str = "models.dev";
const LICENSE: &str = "MIT";

/// What models.dev prices. It has one price of writing, which holds whether or not five minutes are stated.
const UNITS: &[(&str, &[Unit])] = &[
    ("input", &[Unit::InputUncachedTokens]),
    ("output", &[Unit::OutputTextTokens]),
    ("reasoning", &[Unit::OutputReasoningTokens]),
    ("cache_read", &[Unit::InputCacheReadTokens]),
    ("cache_write", &[Unit::InputCacheWriteTokens, Unit::InputCacheWrite5mTokens]),
    ("input_audio", &[Unit::InputUncachedAudioTokens]),
    ("output_audio", &[Unit::OutputAudioTokens]),
];

/// Providers that the ledger knows by another name.
const PROVIDERS: &[(&str, &str)] = &[
    ("amazon-bedrock", "bedrock"),
    ("google", "gemini"),
    ("google-vertex", "vertex_ai"),
    ("google-vertex-anthropic", "vertex_ai"),
    ("togetherai", "together_ai"),
    ("fireworks-ai", "fireworks_ai"),
    ("moonshotai", "moonshot"),
];

type Cost<'t> = BTreeMap<String, &'t RawValue>;

#[derive(Deserialize)]
struct Provider<'t> {
    #[serde(borrow)]
    models: BTreeMap<String, Model<'t>>,
}

#[derive(Deserialize)]
struct Model<'t> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    cost: Option<Cost<'t>>,
}

/// Imports whichever of its forms the text has.
///
/// # Errors
/// Where the text has none of them, or one model's file is given without its provider and name.
pub(super) fn import(json: &str, options: &Options) -> Result<Import, Error> {
    let broken = |source| Error::Broken { form: Form::ModelsDev, source };
    let version = options.version.clone().unwrap_or_else(|| hash(json));
    let origin = Origin { name: SOURCE, version: &version, license: Some(LICENSE) };
    let (mut import, mut names) = (Import::of(Some(SOURCE)), Names::default());
    let top: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(broken)?;
    if top.contains_key("cost") {
        let model: Model<'_> = serde_json::from_str(json).map_err(broken)?;
        let name = options.model.clone().or_else(|| model.id.clone());
        let (Some(provider), Some(name)) = (options.provider.clone(), name) else {
            let missing =
                "the file of one model names neither its provider nor itself; give --provider and --model"
                    .into();
            return Err(Error::Missing { form: Form::ModelsDev, missing });
        };
        let models = BTreeMap::from([(name, model)]);
        add((&mut import, &mut names), origin, &provider, &models);
    } else if top.contains_key("models") {
        let provider: Provider<'_> = serde_json::from_str(json).map_err(broken)?;
        let named = options
            .provider
            .clone()
            .or_else(|| top.get("id").and_then(|id| serde_json::from_str(id.get()).ok()));
        let missing = || Error::Missing {
            form: Form::ModelsDev,
            missing: "the provider has no `id`; give --provider".into(),
        };
        add((&mut import, &mut names), origin, &named.ok_or_else(missing)?, &provider.models);
    } else {
        let providers: BTreeMap<String, Provider<'_>> = serde_json::from_str(json).map_err(broken)?;
        for (id, provider) in &providers {
            add((&mut import, &mut names), origin, id, &provider.models);
        }
    }
    import.rows.sort_by(|one, two| (&one.provider, &one.model).cmp(&(&two.provider, &two.model)));
    Ok(import)
}

fn add(
    (import, names): (&mut Import, &mut Names),
    origin: Origin<'_>,
    id: &str,
    models: &BTreeMap<String, Model<'_>>,
) {
    let provider = PROVIDERS.iter().find(|(theirs, _)| *theirs == id).map_or(id, |(_, ours)| *ours);
    for (name, model) in models {
        let key = format!("{id}/{name}");
        let mut draft = Draft::new(&key);
        for (name, raw) in model.cost.iter().flatten() {
            read(&mut draft, name, raw, model.cost.as_ref().is_some_and(|cost| cost.contains_key("tiers")));
        }
        let name = model.id.as_deref().unwrap_or(name);
        import.add(draft, blank(origin, provider, name, &key), names);
    }
}

fn read(draft: &mut Draft, name: &str, raw: &RawValue, has_tiers: bool) {
    match name {
        "tiers" => match serde_json::from_str::<Vec<Cost<'_>>>(raw.get()) {
            Ok(tiers) => {
                for (index, tier) in tiers.iter().enumerate() {
                    step(draft, &format!("tiers[{index}]"), tier, &tier_bound(tier));
                }
            }
            Err(error) => draft.refuse(name, error.to_string()),
        },
        "context_over_200k" => match serde_json::from_str::<Cost<'_>>(raw.get()) {
            Ok(cost) if has_tiers => {
                let reason = "an older way to say what `tiers` say exactly";
                cost.keys().for_each(|key| draft.refuse(&format!("{name}.{key}"), reason.into()));
            }
            Ok(cost) => step(draft, name, &cost, &Ok(Bound::Gt(200_000))),
            Err(error) => draft.refuse(name, error.to_string()),
        },
        _ => draft.take(name, prices(name, raw, &Conditions::default())),
    }
}

/// The rates of long prompts.
fn step(draft: &mut Draft, place: &str, cost: &Cost<'_>, bound: &Result<Bound, Reason>) {
    for (name, raw) in cost.iter().filter(|(name, _)| *name != "tier" && *name != "size") {
        let found = bound.clone().and_then(|bound| {
            prices(name, raw, &Conditions { prompt_tokens_total: Some(bound), ..Conditions::default() })
        });
        draft.take(&format!("{place}.{name}"), found);
    }
}

#[derive(Deserialize)]
struct Tier {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    size: u64,
}

fn tier_bound(cost: &Cost<'_>) -> Result<Bound, Reason> {
    let tier = match (cost.get("tier"), cost.get("size")) {
        (Some(tier), _) => serde_json::from_str::<Tier>(tier.get()).map_err(|error| error.to_string())?,
        (None, Some(size)) => {
            let size = serde_json::from_str(size.get()).map_err(|error| error.to_string())?;
            Tier { kind: None, size }
        }
        (None, None) => return Err("a tier without its size".into()),
    };
    match tier.kind.as_deref() {
        None | Some("context") => Ok(Bound::Gt(tier.size)),
        Some(other) => Err(format!("a tier by {other:?} has no condition")),
    }
}

fn prices(name: &str, raw: &RawValue, conditions: &Conditions) -> Result<Vec<Price>, Reason> {
    let Some((_, units)) = UNITS.iter().find(|(known, _)| *known == name) else {
        return Err("the price key is not known".into());
    };
    let amount = not_negative(number::parse(raw)?)?;
    Ok(units.iter().map(|unit| by_million(*unit, amount, conditions.clone())).collect())
}

#[cfg(test)]
mod tests;

//! Imports the answer of OpenRouter's `/api/v1/models`: prices as decimal strings, money for one, with overrides for
//! long prompts and hours of the day. They are what OpenRouter asks, so the rows are of the provider `openrouter`.

use std::collections::BTreeMap;

use ledger::money::Decimal;
use ledger::prices::{Bound, Conditions, ModelRow, Price, Window};
use ledger::unit::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::form::Data;
use super::import::{Draft, Import, Names, Options, Origin, Reason, blank, by_one, hash, not_negative};
use super::{number, steps};

const SOURCE: &str = "openrouter";

/// The units of a price. OpenRouter has one price of writing, which holds whether or not five minutes are stated.
const UNITS: &[(&str, &[Unit])] = &[
    ("prompt", &[Unit::InputUncachedTokens]),
    ("completion", &[Unit::OutputTextTokens]),
    ("request", &[Unit::Requests]),
    ("image", &[Unit::InputImages]),
    ("image_token", &[Unit::InputUncachedImageTokens]),
    ("image_output", &[Unit::OutputImages]),
    ("audio", &[Unit::InputUncachedAudioTokens]),
    ("audio_output", &[Unit::OutputAudioTokens]),
    ("input_audio_cache", &[Unit::InputCacheReadAudioTokens]),
    ("web_search", &[Unit::WebSearchCalls]),
    ("internal_reasoning", &[Unit::OutputReasoningTokens]),
    ("input_cache_read", &[Unit::InputCacheReadTokens]),
    ("input_cache_write", &[Unit::InputCacheWriteTokens, Unit::InputCacheWrite5mTokens]),
    ("input_cache_write_1h", &[Unit::InputCacheWrite1hTokens]),
];

/// Prices whose zero is one also where the prompt is paid for. Of everything else it then means that nothing is said.
const ZERO_IS_A_PRICE: &[&str] = &["prompt", "completion", "request"];

type Pricing<'t> = BTreeMap<String, &'t RawValue>;

#[derive(Deserialize)]
struct Model<'t> {
    id: String,
    #[serde(default)]
    canonical_slug: Option<String>,
    #[serde(borrow)]
    pricing: Pricing<'t>,
}

/// Imports an answer.
///
/// # Errors
/// Where the text is no such answer.
pub(super) fn import(json: &str, options: &Options) -> Result<Import, serde_json::Error> {
    let answer: Data<Model<'_>> = serde_json::from_str(json)?;
    let version = options.version.clone().unwrap_or_else(|| hash(json));
    let origin = Origin { name: SOURCE, version: &version, license: None };
    let provider = options.provider.as_deref().unwrap_or(SOURCE);
    let ids: Vec<&str> = answer.data.iter().map(|model| model.id.as_str()).collect();
    let (mut import, mut names) = (Import::of(Some(SOURCE)), Names::default());
    for model in &answer.data {
        let slug = model.canonical_slug.as_ref().filter(|slug| !ids.contains(&slug.as_str()));
        let is_shared = slug.is_some_and(|slug| {
            answer.data.iter().filter(|other| other.canonical_slug.as_ref() == Some(slug)).count() > 1
        });
        let row = ModelRow {
            aliases: slug.filter(|_| !is_shared).cloned().into_iter().collect(),
            ..blank(origin, provider, &model.id, &model.id)
        };
        import.add(draft(model), row, &mut names);
    }
    import.rows.sort_by(|one, two| one.model.cmp(&two.model));
    Ok(import)
}

fn draft(model: &Model<'_>) -> Draft {
    let mut draft = Draft::new(&model.id);
    let discount = model.pricing.get("discount").map(|raw| factor(raw)).transpose();
    let is_paid =
        model.pricing.get("prompt").is_some_and(|raw| number::parse(raw).is_ok_and(|price| !price.is_zero()));
    for (name, raw) in &model.pricing {
        match (name.as_str(), &discount) {
            ("overrides", _) => {}
            ("discount", Ok(_)) => draft.take(name, Ok(Vec::new())),
            (_, Err(reason)) => draft.refuse(name, format!("the discount on it is not understood: {reason}")),
            (_, Ok(factor)) => {
                draft.take(
                    name,
                    prices(name, raw, factor.unwrap_or(Decimal::ONE), &Conditions::default(), is_paid),
                );
            }
        }
    }
    if let Some(raw) = model.pricing.get("overrides") {
        overrides(&mut draft, raw, discount.ok().flatten().unwrap_or(Decimal::ONE), is_paid);
    }
    if draft.prices.iter().any(|price| price.unit == Unit::WebSearchCalls) {
        draft.prices.extend(by_one(Unit::GroundedPrompts, Decimal::ZERO, Conditions::default()));
    }
    steps::spread(&mut draft.prices);
    draft
}

/// What is left of a price after a discount: one less it.
fn factor(raw: &RawValue) -> Result<Decimal, Reason> {
    let discount = number::parse(raw)?;
    let negative = Decimal::new(-1, 0).and_then(|minus| discount.checked_mul(minus));
    let factor =
        negative.and_then(|less| Decimal::ONE.checked_add(less)).map_err(|error| error.to_string())?;
    not_negative(factor)
}

fn prices(
    name: &str,
    raw: &RawValue,
    factor: Decimal,
    conditions: &Conditions,
    is_paid: bool,
) -> Result<Vec<Price>, Reason> {
    let Some((_, units)) = UNITS.iter().find(|(known, _)| *known == name) else {
        return Err("the price key is not known".into());
    };
    let amount = number::parse(raw)?;
    if amount.is_negative() {
        return Err("a price below zero stands for one that varies".into());
    }
    if amount.is_zero() && is_paid && !ZERO_IS_A_PRICE.contains(&name) {
        return Err("a zero where the prompt is paid for says nothing".into());
    }
    let amount = amount.checked_mul(factor).map_err(|error| error.to_string())?;
    units.iter().map(|unit| by_one(*unit, amount, conditions.clone())).collect()
}

/// Prices that hold under conditions: among those that do, the last one of a price goes first.
fn overrides(draft: &mut Draft, raw: &RawValue, factor: Decimal, is_paid: bool) {
    let list: Vec<Pricing<'_>> = match serde_json::from_str(raw.get()) {
        Ok(list) => list,
        Err(error) => return draft.refuse("overrides", error.to_string()),
    };
    for (index, entry) in list.iter().enumerate() {
        let conditions = conditions(entry);
        for (name, raw) in entry.iter().filter(|(name, _)| !is_condition(name)) {
            let key = format!("overrides[{index}].{name}");
            let found =
                conditions.clone().and_then(|conditions| prices(name, raw, factor, &conditions, is_paid));
            if let Ok(found) = &found {
                let replaced = |price: &Price| {
                    found.iter().any(|new| new.unit == price.unit && new.conditions == price.conditions)
                };
                draft.prices.retain(|price| !replaced(price));
            }
            draft.take(&key, found);
        }
    }
}

fn is_condition(name: &str) -> bool {
    matches!(name, "min_prompt_tokens" | "utc_start" | "utc_end")
}

fn conditions(entry: &Pricing<'_>) -> Result<Conditions, Reason> {
    let mut conditions = Conditions::default();
    if let Some(raw) = entry.get("min_prompt_tokens") {
        let tokens = number::parse(raw)?.to_i64().and_then(|tokens| u64::try_from(tokens).ok());
        conditions.prompt_tokens_total =
            Some(Bound::Gte(tokens.ok_or("min_prompt_tokens is no whole number of tokens")?));
    }
    match (entry.get("utc_start"), entry.get("utc_end")) {
        (None, None) => {}
        (Some(start), Some(end)) => {
            let window = minute(start).zip(minute(end));
            let window = window.and_then(|(from, to)| Window::new(&[1, 2, 3, 4, 5, 6, 7], from, to));
            conditions.windows.push(window.ok_or("utc_start and utc_end are hours such as 16:30")?);
        }
        _ => return Err("one of utc_start and utc_end is missing".into()),
    }
    if conditions.is_empty() { Err("an override without a known condition".into()) } else { Ok(conditions) }
}

/// The minute of the day: of a text such as `16:30`, with seconds where they are zero, or of a whole hour.
fn minute(raw: &RawValue) -> Option<u16> {
    let text: String = serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
    let text = text.strip_suffix('Z').unwrap_or(&text);
    let mut parts = text.split(':');
    let mut next = |otherwise: u16| parts.next().map_or(Some(otherwise), |part| part.parse::<u16>().ok());
    let (hour, minute, second) = (next(24)?, next(0)?, next(0)?);
    (hour < 24 && minute < 60 && second == 0 && parts.next().is_none()).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests;

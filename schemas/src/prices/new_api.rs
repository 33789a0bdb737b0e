//! Imports the answer of a new-api instance's `/api/pricing`. Its prices are ratios: a model ratio of 1 is 2 dollars
//! for a million tokens of input, everything else is a multiple of the input's price, and a group's ratio is on all.

use std::collections::BTreeMap;

use ledger::money::Decimal;
use ledger::prices::{Conditions, ModelRow, Price};
use ledger::unit::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::form::{Error, Form};
use super::import::{Draft, Import, Names, Options, Origin, Reason, blank, by_million, hash, not_negative};
use super::number;

const SOURCE: &str = "new-api";
/// The group that every instance has.
const DEFAULT_GROUP: &str = "default";
/// Dollars for a million tokens at a model ratio of 1.
const DOLLARS_PER_RATIO: u64 = 2;

/// Ratios on the price of input, and what they price.
const RATIOS: &[(&str, &[Unit])] = &[
    ("completion_ratio", &[Unit::OutputTextTokens]),
    ("cache_ratio", &[Unit::InputCacheReadTokens]),
    ("create_cache_ratio", &[Unit::InputCacheWriteTokens, Unit::InputCacheWrite5mTokens]),
    ("image_ratio", &[Unit::InputUncachedImageTokens]),
    ("audio_ratio", &[Unit::InputUncachedAudioTokens]),
];

/// What a price by the call covers, so that it is written as free.
const FREE_WITH_A_CALL: &[Unit] = &[
    Unit::InputUncachedTokens,
    Unit::InputCacheWrite1hTokens,
    Unit::OutputTextTokens,
    Unit::OutputAudioTokens,
    Unit::OutputImageTokens,
    Unit::OutputVideoTokens,
];

#[derive(Deserialize)]
struct Answer<'t> {
    #[serde(borrow)]
    data: Vec<Fields<'t>>,
    #[serde(borrow, default)]
    group_ratio: Fields<'t>,
}

type Fields<'t> = BTreeMap<String, &'t RawValue>;

/// Imports an answer at the ratio of a group.
///
/// # Errors
/// Where the text is no such answer, or has no ratio for the group.
pub(super) fn import(json: &str, options: &Options) -> Result<Import, Error> {
    let broken = |source| Error::Broken { form: Form::NewApi, source };
    let answer: Answer<'_> = serde_json::from_str(json).map_err(broken)?;
    let group = options.group.as_deref().unwrap_or(DEFAULT_GROUP);
    let ratio = group_ratio(&answer, group, options)
        .map_err(|missing| Error::Missing { form: Form::NewApi, missing })?;
    let version = options.version.clone().unwrap_or_else(|| hash(json));
    let origin = Origin { name: SOURCE, version: &version, license: None };
    let provider = options.provider.as_deref().unwrap_or(SOURCE);
    let (mut import, mut names) = (Import::of(Some(SOURCE)), Names::default());
    for fields in &answer.data {
        let text =
            |name: &str| fields.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let model = text("model_name").unwrap_or_default();
        let list = |name: &str| {
            fields
                .get(name)
                .and_then(|raw| serde_json::from_str::<Vec<String>>(raw.get()).ok())
                .unwrap_or_default()
        };
        let groups = list("enable_groups");
        let is_open = options.group_ratio.is_some()
            || groups.is_empty()
            || groups.iter().any(|open| open == group || open == "all");
        let mut draft = Draft::new(&model);
        if is_open {
            read(&mut draft, fields, ratio);
        } else {
            price_keys(fields)
                .for_each(|key| draft.refuse(key, format!("the group {group:?} has no access to the model")));
        }
        let row = ModelRow {
            endpoint_families: list("supported_endpoint_types"),
            notes: Some("new-api charges at least 0.000002 dollars for a request that costs anything".into()),
            ..blank(origin, provider, &model, &model)
        };
        import.add(draft, row, &mut names);
    }
    import.rows.sort_by(|one, two| one.model.cmp(&two.model));
    Ok(import)
}

fn group_ratio(answer: &Answer<'_>, group: &str, options: &Options) -> Result<Decimal, Reason> {
    if let Some(ratio) = options.group_ratio {
        return Ok(ratio);
    }
    match answer.group_ratio.get(group) {
        Some(raw) => not_negative(number::parse(raw)?),
        None if options.group.is_none() && answer.group_ratio.is_empty() => Ok(Decimal::ONE),
        None => {
            let known: Vec<&str> = answer.group_ratio.keys().map(String::as_str).collect();
            Err(format!("no `group_ratio` of the group {group:?}; it has {}", known.join(", ")))
        }
    }
}

/// The fields that are prices.
fn price_keys<'f>(fields: &'f Fields<'_>) -> impl Iterator<Item = &'f str> {
    let is_price = |name: &&str| {
        (name.ends_with("_ratio") || matches!(*name, "model_price" | "billing_expr"))
            && *name != "group_ratio"
    };
    fields.iter().filter(|(_, raw)| raw.get() != "null").map(|(name, _)| name.as_str()).filter(is_price)
}

fn read(draft: &mut Draft, fields: &Fields<'_>, group: Decimal) {
    let is_expression = fields.get("billing_mode").is_some_and(|mode| mode.get().contains("expr"));
    let is_by_call = fields.get("quota_type").is_some_and(|kind| kind.get() == "1");
    for key in price_keys(fields).collect::<Vec<_>>() {
        let prices = if is_expression {
            Err("the model is billed by an expression".into())
        } else if is_by_call {
            by_call(key, fields, group)
        } else {
            by_ratio(key, fields, group)
        };
        draft.take(key, prices);
    }
}

fn value(fields: &Fields<'_>, name: &str) -> Result<Decimal, Reason> {
    let raw =
        fields.get(name).filter(|raw| raw.get() != "null").ok_or_else(|| format!("there is no {name}"))?;
    not_negative(number::parse(raw)?)
}

/// A price for the call: tokens are free with it.
fn by_call(key: &str, fields: &Fields<'_>, group: Decimal) -> Result<Vec<Price>, Reason> {
    if key != "model_price" {
        return Err("the model is paid by the call, not by ratios".into());
    }
    let amount = value(fields, key)?.checked_mul(group).map_err(|error| error.to_string())?;
    let call = Price { unit: Unit::Requests, amount, per: 1, conditions: Conditions::default() };
    let free = FREE_WITH_A_CALL.iter().map(|unit| by_million(*unit, Decimal::ZERO, Conditions::default()));
    Ok(std::iter::once(call).chain(free).collect())
}

fn by_ratio(key: &str, fields: &Fields<'_>, group: Decimal) -> Result<Vec<Price>, Reason> {
    let product = |names: &[&str]| {
        let start = Decimal::from(DOLLARS_PER_RATIO).checked_mul(group).map_err(|error| error.to_string());
        names.iter().try_fold(start?, |product, name| {
            product.checked_mul(value(fields, name)?).map_err(|error| error.to_string())
        })
    };
    let priced = |units: &[Unit], names: &[&str]| {
        let amount = product(names)?;
        Ok(units.iter().map(|unit| by_million(*unit, amount, Conditions::default())).collect())
    };
    match key {
        "model_ratio" => priced(&[Unit::InputUncachedTokens], &[key]),
        "audio_completion_ratio" => priced(&[Unit::OutputAudioTokens], &["model_ratio", "audio_ratio", key]),
        "model_price" if value(fields, key)?.is_zero() => Ok(Vec::new()),
        "model_price" => Err("the model is paid by ratios, not by the call".into()),
        _ => match RATIOS.iter().find(|(known, _)| *known == key) {
            Some((_, units)) => priced(units, &["model_ratio", key]),
            None => Err("the price key is not known".into()),
        },
    }
}

#[cfg(test)]
mod tests;

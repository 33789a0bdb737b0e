//! A set of prices of genai-prices as prices of ours, each under its conditions, or refused with a reason.

use std::collections::BTreeMap;

use ledger::money::Decimal;
use ledger::prices::{Bound, Conditions, Price};
use ledger::unit::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Raw;
use crate::prices::import::{Reason, not_negative};
use crate::prices::number;

/// Prices by key; a value is a number, or a base and tiers.
pub(super) type Set<'t> = BTreeMap<String, Raw<'t>>;

/// The units of a key, and for how many of them its amount is. One price of writing holds whether or not five minutes
/// are stated.
const UNITS: &[(&str, &[Unit], u64)] = &[
    ("input_mtok", &[Unit::InputUncachedTokens], 1_000_000),
    ("output_mtok", &[Unit::OutputTextTokens], 1_000_000),
    ("output_reasoning_mtok", &[Unit::OutputReasoningTokens], 1_000_000),
    ("output_citation_mtok", &[Unit::OutputCitationTokens], 1_000_000),
    ("cache_read_mtok", &[Unit::InputCacheReadTokens], 1_000_000),
    ("cache_write_mtok", &[Unit::InputCacheWriteTokens, Unit::InputCacheWrite5mTokens], 1_000_000),
    ("cache_write_5m_mtok", &[Unit::InputCacheWrite5mTokens], 1_000_000),
    ("cache_write_1h_mtok", &[Unit::InputCacheWrite1hTokens], 1_000_000),
    ("input_audio_mtok", &[Unit::InputUncachedAudioTokens], 1_000_000),
    ("input_image_mtok", &[Unit::InputUncachedImageTokens], 1_000_000),
    ("input_video_mtok", &[Unit::InputUncachedVideoTokens], 1_000_000),
    ("cache_audio_read_mtok", &[Unit::InputCacheReadAudioTokens], 1_000_000),
    ("cache_image_read_mtok", &[Unit::InputCacheReadImageTokens], 1_000_000),
    ("cache_video_read_mtok", &[Unit::InputCacheReadVideoTokens], 1_000_000),
    ("output_audio_mtok", &[Unit::OutputAudioTokens], 1_000_000),
    ("output_image_mtok", &[Unit::OutputImageTokens], 1_000_000),
    ("output_video_mtok", &[Unit::OutputVideoTokens], 1_000_000),
    ("input_mchars", &[Unit::InputCharacters], 1_000_000),
    ("input_audio_hours", &[Unit::InputAudioSeconds], 3600),
    ("output_audio_hours", &[Unit::OutputAudioSeconds], 3600),
    ("input_document_kpages", &[Unit::InputPages], 1000),
    ("input_annotated_document_kpages", &[Unit::InputAnnotatedPages], 1000),
    ("rerank_searches_kcount", &[Unit::SearchUnits], 1000),
    ("social_searches_kcount", &[Unit::XSearchCalls], 1000),
    ("storage_searches_kcount", &[Unit::FileSearchCalls], 1000),
    ("code_executions_kcount", &[Unit::CodeExecutionSessions], 1000),
    ("requests_kcount", &[Unit::Requests], 1000),
];

/// One number of a set: its place in it, and the prices it makes.
pub(super) struct Piece {
    pub(super) key: String,
    pub(super) prices: Result<Vec<Price>, Reason>,
}

#[derive(Deserialize)]
struct Tiered<'t> {
    #[serde(borrow)]
    base: &'t RawValue,
    #[serde(borrow)]
    tiers: Vec<Tier<'t>>,
}

#[derive(Deserialize)]
struct Tier<'t> {
    start: u64,
    #[serde(borrow)]
    price: &'t RawValue,
}

/// The pieces of a set, all under the same conditions.
pub(super) fn pieces(provider: &str, model: &str, set: &Set<'_>, conditions: &Conditions) -> Vec<Piece> {
    set.iter()
        .filter(|(_, raw)| raw.get() != "null")
        .flat_map(|(key, raw)| {
            let units = units(provider, model, key, set);
            let price = |raw: &RawValue, conditions: &Conditions| {
                let (units, per) = units.clone()?;
                let amount = not_negative(number::parse(raw)?)?;
                let mut prices: Vec<Price> = units
                    .iter()
                    .map(|unit| Price { unit: *unit, amount, per, conditions: conditions.clone() })
                    .collect();
                prices.extend(the_other_search(&prices));
                Ok(prices)
            };
            let Ok(tiered) = serde_json::from_str::<Tiered<'_>>(raw.get()) else {
                return vec![Piece { key: key.clone(), prices: price(raw, conditions) }];
            };
            let base = Piece { key: format!("{key}.base"), prices: price(tiered.base, conditions) };
            let short = number::parse(tiered.base);
            let tiers = tiered.tiers.iter().enumerate().map(|(index, tier)| {
                let conditions =
                    Conditions { prompt_tokens_total: Some(Bound::Gt(tier.start)), ..conditions.clone() };
                let is_inverted = number::parse(tier.price)
                    .ok()
                    .zip(short.clone().ok())
                    .is_some_and(|(long, short)| long < short);
                let prices = if is_inverted {
                    Err("costs less in a long prompt than in a short one".into())
                } else {
                    price(tier.price, &conditions)
                };
                Piece { key: format!("{key}.tiers[{index}]"), prices }
            });
            std::iter::once(base).chain(tiers).collect()
        })
        .collect()
}

/// What a key prices.
fn units(provider: &str, model: &str, key: &str, set: &Set<'_>) -> Result<(Vec<Unit>, u64), Reason> {
    match key {
        // Gemini 2 is paid for each grounded prompt, whatever else by the search.
        "web_searches_kcount" if provider == "gemini" && model.starts_with("gemini-2") => {
            Ok((vec![Unit::GroundedPrompts], 1000))
        }
        "web_searches_kcount" => Ok((vec![Unit::WebSearchCalls], 1000)),
        // Seconds without a direction: a recording's where that has the same price, else those of a session.
        "audio_hours" => match set.get("input_audio_hours") {
            Some(input)
                if number::parse(input).ok() == set.get(key).and_then(|raw| number::parse(raw).ok()) =>
            {
                Ok((Vec::new(), 3600))
            }
            Some(_) => Err("contradicts input_audio_hours".into()),
            None if model.contains("transcribe") || model.contains("whisper") => {
                Ok((vec![Unit::InputAudioSeconds], 3600))
            }
            None => Ok((vec![Unit::SessionAudioSeconds], 3600)),
        },
        "input_text_messages_kcount" => Err("messages have no unit".into()),
        _ => match UNITS.iter().find(|(known, _, _)| *known == key) {
            Some((_, units, per)) => Ok((units.to_vec(), *per)),
            None => Err("the price key is not known".into()),
        },
    }
}

/// Of calls and grounded prompts the row prices one, and the other is free.
fn the_other_search(prices: &[Price]) -> Option<Price> {
    let paid = prices.first()?;
    let unit = match paid.unit {
        Unit::WebSearchCalls => Unit::GroundedPrompts,
        Unit::GroundedPrompts => Unit::WebSearchCalls,
        _ => return None,
    };
    Some(Price { unit, amount: Decimal::ZERO, per: 1, conditions: paid.conditions.clone() })
}

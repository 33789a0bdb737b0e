//! The prices of LiteLLM's map that are more than a rate: steps, hours, searches, pixels, factors.

use ledger::money::Decimal;
use ledger::prices::{Bound, Conditions, FreeQuota, QuotaPeriod, Window};
use ledger::unit::Unit;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::entry::{Draft, Fields, amount};
use super::key::price_name;
use crate::prices::import::Reason;
use crate::prices::number;
use crate::prices::row::parse_window;

const SEARCH_SIZES: [(&str, &str); 3] = [
    ("search_context_size_low", "low"),
    ("search_context_size_medium", "medium"),
    ("search_context_size_high", "high"),
];

/// Ranges of the prompt's size, each with all its rates: `start < prompt <= end`, and the last one has no end.
pub(super) fn context_steps(draft: &mut Draft<'_>, raw: &RawValue) -> Result<(), Reason> {
    let ranges: Vec<Fields<'_>> = parse(raw)?;
    for range in ranges {
        let Some(bounds) = range.get("range") else {
            return Err("steps by the number of results have no condition".into());
        };
        let bounds: Vec<&RawValue> = parse(bounds)?;
        let start = bounds.first().ok_or("a range without a start")?;
        let start = number::parse(start)?.to_i64().and_then(|start| u64::try_from(start).ok());
        let start = start.ok_or("a range that starts at no whole number")?;
        let bound = (start > 0).then_some(Bound::Gt(start));
        for (name, raw) in range.iter().filter(|(name, _)| *name != "range") {
            let rate = price_name(name, draft.name.provider).ok_or_else(|| format!("{name} is not known"))?;
            for unit in rate.units {
                let conditions = Conditions { prompt_tokens_total: bound, ..rate.conditions.clone() };
                draft.add(*unit, amount(raw)?, conditions)?;
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct OffPeakWindow {
    hours_utc: Hours,
    #[serde(default = "every_day")]
    weekdays: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Hours {
    One(String),
    Many(Vec<String>),
}

fn every_day() -> Vec<u8> {
    (1..=7).collect()
}

/// Rates that replace others in some hours of the week.
pub(super) fn off_peak(draft: &mut Draft<'_>, raw: &RawValue) -> Result<(), Reason> {
    let fields: Fields<'_> = parse(raw)?;
    if fields.contains_key("weekday_timezone") {
        return Err("the weekdays are those of another time zone than the hours".into());
    }
    let windows: Vec<OffPeakWindow> = parse(fields.get("windows").ok_or("no windows")?)?;
    let windows: Vec<Window> = windows
        .iter()
        .flat_map(|window| {
            let hours = match &window.hours_utc {
                Hours::One(hours) => std::slice::from_ref(hours),
                Hours::Many(hours) => hours.as_slice(),
            };
            hours.iter().map(|hours| parse_window(hours, &window.weekdays))
        })
        .collect::<Result<_, _>>()?;
    for (name, raw) in fields.iter().filter(|(name, _)| *name != "windows") {
        let rate = price_name(name, draft.name.provider).ok_or_else(|| format!("{name} is not known"))?;
        for unit in rate.units {
            let conditions = Conditions { windows: windows.clone(), ..rate.conditions.clone() };
            draft.add(*unit, amount(raw)?, conditions)?;
        }
    }
    Ok(())
}

/// A fee for each search, or for each grounded prompt where Google's models do not say `per_query`: one of the two
/// is priced, and the other is explicitly free, so that no search is paid twice.
pub(super) fn search_fee(draft: &mut Draft<'_>, raw: &RawValue, fields: &Fields<'_>) -> Result<(), Reason> {
    let fees: Fields<'_> = parse(raw)?;
    let paid = paid_search(draft, fields);
    let free = if paid == Unit::WebSearchCalls { Unit::GroundedPrompts } else { Unit::WebSearchCalls };
    let mut by_size = Vec::new();
    for (name, raw) in &fees {
        let size = SEARCH_SIZES.iter().find(|(known, _)| known == name);
        let (_, size) = size.ok_or_else(|| format!("{name} is not known"))?;
        by_size.push((*size, amount(raw)?));
    }
    let first = by_size.first().ok_or("no fee")?.1;
    draft.add(free, Decimal::ZERO, Conditions::default())?;
    let sized = |size: &str| Conditions { search_context_size: Some(size.into()), ..Conditions::default() };
    if by_size.iter().all(|(_, fee)| *fee == first) {
        draft.add(paid, first, Conditions::default())?;
    } else {
        for (size, fee) in &by_size {
            draft.add(paid, *fee, sized(size))?;
        }
    }
    // Where sonar's usage counts no searches, the fee is for the request.
    if draft.name.provider == "perplexity" {
        for (size, fee) in &by_size {
            draft.add(Unit::Requests, *fee, sized(size))?;
        }
    }
    Ok(())
}

/// What a search is paid by: grounded prompts where Google's models do not say `per_query`, else calls.
fn paid_search(draft: &Draft<'_>, fields: &Fields<'_>) -> Unit {
    let is_google = matches!(draft.litellm_provider, "gemini" | "vertex_ai" | "vertex_ai-language-models");
    let is_per_query =
        fields.get("web_search_billing_unit").is_some_and(|unit| unit.get() == "\"per_query\"");
    if is_google && !is_per_query { Unit::GroundedPrompts } else { Unit::WebSearchCalls }
}

#[derive(Deserialize)]
struct FreeSearches<'t> {
    #[serde(borrow)]
    count: &'t RawValue,
    period: String,
    shared_group: Option<String>,
}

/// Free searches belong to an account and a period: a request has its list price, and the period is credited.
pub(super) fn free_searches(
    draft: &mut Draft<'_>,
    raw: &RawValue,
    fields: &Fields<'_>,
) -> Result<(), Reason> {
    let quota: FreeSearches<'_> = parse(raw)?;
    let period = QuotaPeriod::parse(&quota.period)
        .ok_or_else(|| format!("a free quota for each {:?} has no period of ours", quota.period))?;
    draft.free_quotas.push(FreeQuota {
        unit: paid_search(draft, fields),
        quantity: amount(quota.count)?,
        period,
        shared_group: quota.shared_group,
    });
    Ok(())
}

/// Factors for a geography or a speed, among settings that are no prices.
pub(super) fn provider_multipliers(draft: &mut Draft<'_>, raw: &RawValue) -> Result<(), Reason> {
    let fields: Fields<'_> = parse(raw)?;
    for (name, raw) in &fields {
        match name.as_str() {
            "fast" => {
                draft.multiply(raw, Conditions { speed: Some("fast".into()), ..Conditions::default() })?;
            }
            "us" => draft
                .multiply(raw, Conditions { inference_geo: Some("us".into()), ..Conditions::default() })?,
            "minimax_free_input_images" => return Err("free pieces have no condition".into()),
            _ => {}
        }
    }
    Ok(())
}

/// A price by the pixel becomes one by the image, where the size is known. It is a rounded number, so that a price
/// by the image goes before it.
pub(super) fn pixels(
    draft: &mut Draft<'_>,
    name: &str,
    raw: &RawValue,
    fields: &Fields<'_>,
) -> Result<(), Reason> {
    let price = amount(raw)?;
    let has_image_price =
        fields.contains_key("input_cost_per_image") || fields.contains_key("output_cost_per_image");
    let has_other_side = name == "output_cost_per_pixel" && fields.contains_key("input_cost_per_pixel");
    if price.is_zero() && (has_image_price || has_other_side) {
        return Ok(());
    }
    if has_image_price {
        return Err("a rounded twin of the price by the image".into());
    }
    let pixels =
        draft.name.pixels().ok_or("a price by the pixel of an image whose size is not in the name")?;
    let image = price.checked_mul(Decimal::from(pixels)).map_err(|error| error.to_string())?;
    draft.notes.push("the price by the image is computed from a rounded price by the pixel".into());
    draft.add(Unit::OutputImages, image, Conditions::default())
}

/// Transcription pays for the seconds of the recording, once. The map has their price on the input side, on both
/// sides, or on the output side with a zero on the other.
pub(super) fn seconds_of_recording(
    draft: &mut Draft<'_>,
    name: &str,
    raw: &RawValue,
    fields: &Fields<'_>,
) -> Result<(), Reason> {
    let price = amount(raw)?;
    let is_input = name == "input_cost_per_second";
    let other = if is_input { "output_cost_per_second" } else { "input_cost_per_second" };
    let other = fields.get(other).map(|raw| amount(raw)).transpose()?;
    match other.filter(|other| !other.is_zero()) {
        Some(other) if !price.is_zero() && price != other => {
            Err("input and output seconds are the same recording, and have two prices".into())
        }
        Some(_) if price.is_zero() || !is_input => Ok(()),
        None if price.is_zero() && !is_input => Ok(()),
        _ => draft.add(Unit::InputAudioSeconds, price, Conditions::default()),
    }
}

/// Why a price key is not used.
pub(super) fn why_not(name: &str) -> &'static str {
    match name {
        "input_dbu_cost_per_token" | "output_dbu_cost_per_token" => "Databricks units are no money",
        "explicit_cache_read_input_token_cost" => "usage does not tell explicit cache reads from others",
        "guardrail_cost_per_unit" => {
            "guardrail policies have different prices, and usage units do not tell them apart"
        }
        "ocr_cost_per_credit" => "credits have no unit",
        "input_cost_per_text_message" => "messages have no unit",
        "input_cost_per_video_per_second_above_8s_interval"
        | "input_cost_per_video_per_second_above_15s_interval" => "the length of intervals is no condition",
        _ if name.starts_with("output_cost_per_character") => "generated characters have no unit",
        _ if name.starts_with("cache_creation_input_audio_token_cost") => "written audio tokens have no unit",
        _ => "the price key is not known",
    }
}

fn parse<'t, T: Deserialize<'t>>(raw: &'t RawValue) -> Result<T, Reason> {
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

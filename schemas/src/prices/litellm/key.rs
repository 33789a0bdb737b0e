//! The grammar of LiteLLM's names: `[quality/][size/]model` of entries, and
//! `<base>[_above_1hr][_above_<N>k_tokens][_<tier or resolution>]` of prices.

use ledger::prices::{Bound, Conditions};
use ledger::unit::Unit;

/// The units that a base rate prices.
const BASES: &[(&str, &[Unit])] = &[
    ("input_cost_per_token", &[Unit::InputUncachedTokens]),
    ("output_cost_per_token", &[Unit::OutputTextTokens]),
    ("output_cost_per_reasoning_token", &[Unit::OutputReasoningTokens]),
    ("cache_read_input_token_cost", &[Unit::InputCacheReadTokens]),
    // The map has one price of writing, which holds whether or not the five minutes are stated.
    ("cache_creation_input_token_cost", &[Unit::InputCacheWriteTokens, Unit::InputCacheWrite5mTokens]),
    ("cache_read_input_audio_token_cost", &[Unit::InputCacheReadAudioTokens]),
    ("cache_read_input_image_token_cost", &[Unit::InputCacheReadImageTokens]),
    ("input_cost_per_audio_token", &[Unit::InputUncachedAudioTokens]),
    ("input_cost_per_image_token", &[Unit::InputUncachedImageTokens]),
    ("input_cost_per_video_token", &[Unit::InputUncachedVideoTokens]),
    ("output_cost_per_audio_token", &[Unit::OutputAudioTokens]),
    ("output_cost_per_image_token", &[Unit::OutputImageTokens]),
    ("output_cost_per_video_token", &[Unit::OutputVideoTokens]),
    ("citation_cost_per_token", &[Unit::OutputCitationTokens]),
    ("input_cost_per_character", &[Unit::InputCharacters]),
    ("input_cost_per_image", &[Unit::InputImages]),
    ("output_cost_per_image", &[Unit::OutputImages]),
    ("input_cost_per_audio_per_second", &[Unit::InputAudioSeconds]),
    ("input_cost_per_video_per_second", &[Unit::InputVideoSeconds]),
    ("output_cost_per_video_per_second", &[Unit::OutputVideoSeconds]),
    ("input_cost_per_query", &[Unit::SearchUnits]),
    ("input_cost_per_request", &[Unit::Requests]),
    ("google_maps_grounding_cost_per_query", &[Unit::MapsGroundingCalls]),
    ("code_interpreter_cost_per_session", &[Unit::CodeExecutionSessions]),
    ("ocr_cost_per_page", &[Unit::InputPages]),
    ("annotation_cost_per_page", &[Unit::InputAnnotatedPages]),
    // Audio or video seconds, by the mode of the entry.
    ("input_cost_per_second", &[Unit::InputAudioSeconds]),
    ("output_cost_per_second", &[Unit::OutputAudioSeconds]),
];

const TIERS: &[&str] = &["flex", "priority", "balanced", "ultrafast", "decisions"];
const RESOLUTIONS: &[&str] =
    &["480p", "720p", "768p", "1080p", "2k", "4k", "512", "1024", "1536", "0.5K", "1K", "2K", "4K"];
const QUALITIES: &[&str] = &["low", "medium", "high", "xhigh", "max", "hd", "standard", "auto"];

/// A price's name, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PriceName {
    pub(super) base: &'static str,
    pub(super) units: &'static [Unit],
    pub(super) conditions: Conditions,
}

/// Understands a price's name; `None` where it is none of these. xAI counts a context step from its threshold on,
/// everybody else above it.
pub(super) fn price_name(name: &str, provider: &str) -> Option<PriceName> {
    let fits = |(base, _): &&(&'static str, _)| {
        name.strip_prefix(*base).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let (base, mut units) = *BASES.iter().filter(fits).max_by_key(|(base, _)| base.len())?;
    let mut rest = &name[base.len()..];
    let mut conditions = Conditions::default();
    // One hour is how long a write lasts, not a threshold.
    if let Some(after) = rest.strip_prefix("_above_1hr") {
        if base != "cache_creation_input_token_cost" {
            return None;
        }
        units = &[Unit::InputCacheWrite1hTokens];
        rest = after;
    }
    if let Some(after) = rest.strip_prefix("_above_") {
        let (thousands, after) = after.split_once("k_tokens")?;
        let tokens = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
        conditions.prompt_tokens_total =
            Some(if provider == "xai" { Bound::Gte(tokens) } else { Bound::Gt(tokens) });
        rest = after;
    }
    match rest.strip_prefix('_') {
        None if rest.is_empty() => {}
        Some("batches") => conditions.processing = Some(ledger::usage::BATCH.into()),
        Some(tier) if TIERS.contains(&tier) => conditions.service_tier = Some(tier.into()),
        Some(resolution) if RESOLUTIONS.contains(&resolution) => {
            conditions.resolution = Some(resolution.into());
        }
        _ => return None,
    }
    Some(PriceName { base, units, conditions })
}

/// An entry's name, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EntryName<'k> {
    pub(super) provider: &'k str,
    pub(super) model: &'k str,
    /// The name began with the provider's.
    pub(super) is_prefixed: bool,
    pub(super) size: Option<String>,
    pub(super) quality: Option<&'k str>,
}

/// Takes provider, quality and size off an entry's name.
pub(super) fn entry_name<'k>(key: &'k str, litellm_provider: &'k str) -> EntryName<'k> {
    let provider = match litellm_provider {
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        other if other.starts_with("vertex_ai-") => "vertex_ai",
        other => other,
    };
    let without = |key: &'k str| {
        [litellm_provider, provider].iter().find_map(|prefix| key.strip_prefix(*prefix)?.strip_prefix('/'))
    };
    let stripped = without(key);
    let mut name = EntryName {
        provider,
        model: stripped.unwrap_or(key),
        is_prefixed: stripped.is_some(),
        size: None,
        quality: None,
    };
    name.take_size();
    if !name.is_prefixed && name.size.is_some() {
        name.model = without(name.model).unwrap_or(name.model);
    }
    name
}

impl<'k> EntryName<'k> {
    fn take_size(&mut self) {
        let quality = self.model.split_once('/').filter(|(segment, _)| QUALITIES.contains(segment));
        let rest = quality.map_or(self.model, |(_, rest)| rest);
        let Some((size, model)) =
            rest.split_once('/').and_then(|(size, model)| Some((as_size(size)?, model)))
        else {
            return;
        };
        let steps = model.split_once('/').filter(|(segment, _)| segment.ends_with("-steps"));
        self.size = Some(size);
        self.quality = steps.or(quality).map(|(segment, _)| segment);
        self.model = steps.map_or(model, |(_, model)| model);
    }

    /// Pixels of the size.
    pub(super) fn pixels(&self) -> Option<u64> {
        let (width, height) = self.size.as_ref()?.split_once('x')?;
        width.parse::<u64>().ok()?.checked_mul(height.parse().ok()?)
    }
}

/// `1024-x-1792` is the size `1024x1792`.
fn as_size(segment: &str) -> Option<String> {
    let (width, height) = segment.split_once("-x-")?;
    let is_side =
        |side: &str| side == "max" || (!side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit()));
    (is_side(width) && is_side(height)).then(|| format!("{width}x{height}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_one_hour_is_a_lifetime_and_not_a_threshold() {
        let name = price_name("cache_creation_input_token_cost_above_1hr", "anthropic").unwrap();
        assert_eq!(name.units, [Unit::InputCacheWrite1hTokens]);
        assert_eq!(name.conditions, Conditions::default());
        let name =
            price_name("cache_creation_input_token_cost_above_1hr_above_200k_tokens", "vertex_ai").unwrap();
        assert_eq!(name.units, [Unit::InputCacheWrite1hTokens]);
        assert_eq!(name.conditions.to_string(), "prompt_tokens_total>200000");
    }

    #[test]
    fn step_and_tier_are_both_read() {
        let name = price_name("input_cost_per_token_above_272k_tokens_priority", "openai").unwrap();
        assert_eq!(name.conditions.to_string(), "service_tier=priority prompt_tokens_total>272000");
        let name = price_name("output_cost_per_token_above_200k_tokens", "xai").unwrap();
        assert_eq!(name.conditions.to_string(), "prompt_tokens_total>=200000");
        let name = price_name("output_cost_per_image_0.5K", "fal_ai").unwrap();
        assert_eq!(name.conditions.to_string(), "resolution=0.5K");
    }

    #[test]
    fn a_longer_base_is_not_taken_for_a_shorter_one() {
        assert_eq!(price_name("output_cost_per_image_token", "x").unwrap().units, [Unit::OutputImageTokens]);
        assert_eq!(price_name("input_cost_per_token_cache_hit", "x"), None);
        assert_eq!(price_name("input_cost_per_video_per_second_above_8s_interval", "x"), None);
        assert_eq!(price_name("input_cost_per_pixel", "x"), None);
    }

    #[test]
    fn a_size_in_the_name_is_a_condition_of_the_model() {
        let name = entry_name("azure/hd/1024-x-1792/dall-e-3", "azure");
        assert_eq!((name.provider, name.model), ("azure", "dall-e-3"));
        assert_eq!((name.size.as_deref(), name.quality), (Some("1024x1792"), Some("hd")));
        assert_eq!(name.pixels(), Some(1024 * 1792));
        let name = entry_name("1024-x-1024/50-steps/bedrock/amazon.nova-canvas-v1:0", "bedrock");
        assert_eq!((name.model, name.quality), ("amazon.nova-canvas-v1:0", Some("50-steps")));
        let name = entry_name("vertex_ai/gemini-3.8-live", "vertex_ai-language-models");
        assert_eq!((name.provider, name.model, name.is_prefixed), ("vertex_ai", "gemini-3.8-live", true));
        assert_eq!(entry_name("perplexity/perplexity/sonar", "perplexity").model, "perplexity/sonar");
    }
}

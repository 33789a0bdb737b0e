//! Prompt counters that contain what was read from the cache, with tool tokens and thoughts beside prompt and
//! candidates: four addends (Gemini generateContent, Live and Interactions, Vertex).

use super::family::Usage;
use super::inclusive::{add_cache_read, add_output, add_uncached};
use super::modality::{ByModality, TEXT, divide, position, take};
use super::number::{count, list};
use super::{Dimensions, Error, Flag, Node, Normalized, Record};
use crate::unit::Unit;

/// Normalizes usage of this shape.
pub(super) fn normalize<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let mut counts = Counts::default();
    // Each chunk of a stream is cumulative, and a field may be missing from a later one.
    for node in usage.all() {
        counts.read(node, &mut out.main.dimensions)?;
    }
    out.is_reported = counts.is_reported();
    if !out.is_reported {
        return Ok(());
    }
    let grounding = usage.context.grounding;
    counts.searches = counts.searches.max(grounding.queries);
    counts.maps = counts.maps.max(u64::from(grounding.maps));
    counts.is_grounded = counts.is_grounded || grounding.is_used();
    counts.has_other_tools = grounding.other_tools;
    counts.settle(&mut out.main)
}

/// The counters, as reported.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    cached: u64,
    candidates: Option<u64>,
    thoughts: u64,
    tool: u64,
    total: Option<u64>,
    prompt_details: ByModality,
    cache_details: ByModality,
    output_details: ByModality,
    searches: u64,
    maps: u64,
    is_grounded: bool,
    has_other_tools: bool,
    has_unknown_field: bool,
}

impl Counts {
    fn is_reported(&self) -> bool {
        self.prompt.is_some() || self.candidates.is_some() || self.total.is_some()
    }

    fn read<'a>(&mut self, usage: Node<'a>, dimensions: &mut Dimensions<'a>) -> Result<(), Error> {
        for (name, value) in usage.fields() {
            let value = *value;
            if value.is_null() {
                continue;
            }
            let number = || Ok::<_, Error>(count(name, value)?.unwrap_or(0));
            match *name {
                "promptTokenCount" | "total_input_tokens" => self.prompt = count(name, value)?,
                "cachedContentTokenCount" | "total_cached_tokens" => self.cached = number()?,
                "candidatesTokenCount" | "responseTokenCount" | "total_output_tokens" => {
                    self.candidates = count(name, value)?;
                }
                "thoughtsTokenCount" | "total_thought_tokens" => self.thoughts = number()?,
                "toolUsePromptTokenCount" | "total_tool_use_tokens" => self.tool = number()?,
                "totalTokenCount" | "total_tokens" => self.total = count(name, value)?,
                "promptTokensDetails" | "input_tokens_by_modality" => {
                    self.prompt_details = by_modality(name, value)?;
                }
                "cacheTokensDetails" | "cached_tokens_by_modality" => {
                    self.cache_details = by_modality(name, value)?;
                }
                "candidatesTokensDetails" | "responseTokensDetails" | "output_tokens_by_modality" => {
                    self.output_details = by_modality(name, value)?;
                }
                // All of it is billed as tool tokens, whatever its modality.
                "toolUsePromptTokensDetails" | "tool_use_tokens_by_modality" => {
                    by_modality(name, value)?;
                }
                "grounding_tool_count" => self.read_grounding(name, value)?,
                "trafficType" | "serviceTier" | "service_tier" => dimensions.set_tier(value.text()),
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn read_grounding(&mut self, parent: &str, tools: Node<'_>) -> Result<(), Error> {
        (self.searches, self.maps) = (0, 0);
        for tool in list(parent, tools)? {
            let calls = tool.get("count").map_or(Ok(None), |calls| count("count", calls))?.unwrap_or(0);
            match tool.get("type").and_then(|kind| kind.text()) {
                Some("google_search") => self.searches += calls,
                Some("google_maps") => self.maps += calls,
                _ => self.has_unknown_field = true,
            }
        }
        self.is_grounded = self.searches + self.maps > 0;
        Ok(())
    }

    fn settle(&self, record: &mut Record<'_>) -> Result<(), Error> {
        let prompt = self.prompt.unwrap_or(0);
        record.dimensions.prompt_tokens_total = prompt;
        record.flags.insert_if(Flag::UnknownUsageField, self.has_unknown_field);
        self.settle_input(prompt, record)?;
        self.settle_output(prompt, record)?;
        let tool_unit = if self.is_grounded { Unit::InputGroundingTokens } else { Unit::InputToolTokens };
        let is_mixed = self.tool > 0 && self.is_grounded && self.has_other_tools;
        record.flags.insert_if(Flag::ModalitySplitEstimated, is_mixed);
        let quantities = &mut record.quantities;
        quantities.add(tool_unit, self.tool)?;
        quantities.add(Unit::WebSearchCalls, self.searches)?;
        quantities.add(Unit::GroundedPrompts, u64::from(self.searches > 0))?;
        quantities.add(Unit::MapsGroundingCalls, self.maps)
    }

    fn settle_input(&self, prompt: u64, record: &mut Record<'_>) -> Result<(), Error> {
        let (mut left, cut) = divide(prompt, self.prompt_details, TEXT);
        let cached = self.cached.min(prompt);
        let read = take(&mut left, cached, self.cache_details);
        let clamped = cut || read.is_inconsistent || cached < self.cached;
        record.flags.insert_if(Flag::InconsistentUsage, clamped);
        record.flags.insert_if(Flag::ModalitySplitEstimated, read.is_estimated);
        add_uncached(&mut record.quantities, left)?;
        add_cache_read(&mut record.quantities, read.parts)
    }

    fn settle_output(&self, prompt: u64, record: &mut Record<'_>) -> Result<(), Error> {
        let candidates = self.candidates.unwrap_or(0);
        let without_thoughts = prompt + candidates + self.tool;
        let is_inside = self.thoughts > 0 && self.total == Some(without_thoughts);
        let total_fits =
            is_inside || self.total.is_none_or(|total| total == without_thoughts + self.thoughts);
        let thoughts = if is_inside { self.thoughts.min(candidates) } else { self.thoughts };
        let others = if is_inside { candidates - thoughts } else { candidates };
        let (parts, cut) = divide(others, self.output_details, TEXT);
        record.flags.insert_if(Flag::ThoughtsInsideCandidates, is_inside);
        record.flags.insert_if(Flag::InconsistentUsage, cut || !total_fits || thoughts < self.thoughts);
        record.quantities.add(Unit::OutputReasoningTokens, thoughts)?;
        add_output(&mut record.quantities, parts)
    }
}

/// A list of `{modality, tokenCount}`.
fn by_modality(name: &str, details: Node<'_>) -> Result<ByModality, Error> {
    let mut counts = [0; 5];
    for detail in list(name, details)? {
        let tokens = detail.get("tokenCount").or_else(|| detail.get("tokens"));
        let tokens = tokens.map_or(Ok(None), |tokens| count(name, tokens))?.unwrap_or(0);
        let modality = detail.get("modality").and_then(|modality| modality.text());
        counts[modality.map_or(TEXT, position)] += tokens;
    }
    Ok(counts)
}

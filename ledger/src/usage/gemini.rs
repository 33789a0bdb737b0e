//! Prompt counters that contain what was read from the cache, with tool tokens and thoughts beside prompt and
//! candidates: four addends (Gemini generateContent, Live and Interactions, Vertex).

use super::family::Usage;
use super::inclusive::{add_cache_read, add_output, add_uncached};
use super::modality::{ByModality, TEXT, divide, position, sum, take};
use super::number::{count, list, stated};
use super::{Dimensions, Error, Flag, Node, Normalized, Record};
use crate::unit::Unit;

/// Normalizes usage of this shape.
pub(super) fn normalize<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let mut counts = Counts::default();
    // Each chunk of a stream is cumulative, and a field may be missing from a later one.
    for node in usage.all() {
        counts.read(node, &mut out.main.dimensions)?;
    }
    let grounding = &usage.context.grounding;
    out.is_reported = counts.is_reported();
    if !out.is_reported {
        return Ok(());
    }
    counts.searches = counts.searches.max(grounding.searches());
    counts.maps = counts.maps.max(u64::from(grounding.maps));
    counts.is_grounded = counts.is_grounded || grounding.is_used();
    counts.has_other_tools = grounding.other_tools;
    counts.settle(&mut out.main)
}

/// The counters, as reported.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    cached: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    tool: Option<u64>,
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
        let counters = [self.prompt, self.cached, self.candidates, self.thoughts, self.tool, self.total];
        counters.iter().any(Option::is_some)
    }

    fn read<'a>(&mut self, usage: Node<'a>, dimensions: &mut Dimensions<'a>) -> Result<(), Error> {
        for (name, value) in stated(usage) {
            // The names on the wire, those of Google's Python types, and those of Interactions.
            match name {
                "promptTokenCount" | "prompt_token_count" | "total_input_tokens" => {
                    self.prompt = count(name, value)?;
                }
                "cachedContentTokenCount" | "cached_content_token_count" | "total_cached_tokens" => {
                    self.cached = count(name, value)?;
                }
                "candidatesTokenCount"
                | "candidates_token_count"
                | "responseTokenCount"
                | "response_token_count"
                | "total_output_tokens" => self.candidates = count(name, value)?,
                "thoughtsTokenCount" | "thoughts_token_count" | "total_thought_tokens" => {
                    self.thoughts = count(name, value)?;
                }
                "toolUsePromptTokenCount" | "tool_use_prompt_token_count" | "total_tool_use_tokens" => {
                    self.tool = count(name, value)?;
                }
                "totalTokenCount" | "total_token_count" | "total_tokens" => self.total = count(name, value)?,
                "promptTokensDetails" | "prompt_tokens_details" | "input_tokens_by_modality" => {
                    self.prompt_details = by_modality(name, value)?;
                }
                "cacheTokensDetails" | "cache_tokens_details" | "cached_tokens_by_modality" => {
                    self.cache_details = by_modality(name, value)?;
                }
                "candidatesTokensDetails"
                | "candidates_tokens_details"
                | "responseTokensDetails"
                | "response_tokens_details"
                | "output_tokens_by_modality" => self.output_details = by_modality(name, value)?,
                // All of it is billed as tool tokens, whatever its modality.
                "toolUsePromptTokensDetails"
                | "tool_use_prompt_tokens_details"
                | "tool_use_tokens_by_modality" => {
                    by_modality(name, value)?;
                }
                "grounding_tool_count" => self.read_grounding(name, value)?,
                "trafficType" | "traffic_type" | "serviceTier" | "service_tier" => {
                    dimensions.set_tier(value.text());
                }
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
                Some("google_search") => self.searches = self.searches.saturating_add(calls),
                Some("google_maps") => self.maps = self.maps.saturating_add(calls),
                _ => self.has_unknown_field = true,
            }
        }
        self.is_grounded = self.searches > 0 || self.maps > 0;
        Ok(())
    }

    fn settle(&self, record: &mut Record<'_>) -> Result<(), Error> {
        let (candidates, thoughts) = (self.candidates.unwrap_or(0), self.thoughts.unwrap_or(0));
        let tool = self.tool.unwrap_or(0);
        // Where only the total is known of the prompt, it is what the others leave.
        let rest = || self.total.map(|total| total.saturating_sub(candidates + thoughts + tool));
        let prompt = self.prompt.or_else(rest).unwrap_or(0);
        record.dimensions.prompt_tokens_total = prompt;
        record.flags.insert_if(Flag::UnknownUsageField, self.has_unknown_field);
        self.settle_input(prompt, record)?;
        self.settle_output(prompt + tool, candidates, thoughts, record)?;
        let tool_unit = if self.is_grounded { Unit::InputGroundingTokens } else { Unit::InputToolTokens };
        let is_mixed = tool > 0 && self.is_grounded && self.has_other_tools;
        record.flags.insert_if(Flag::ModalitySplitEstimated, is_mixed);
        let quantities = &mut record.quantities;
        quantities.add(tool_unit, tool)?;
        quantities.add(Unit::WebSearchCalls, self.searches)?;
        quantities.add(Unit::GroundedPrompts, u64::from(self.searches > 0))?;
        quantities.add(Unit::MapsGroundingCalls, self.maps)
    }

    fn settle_input(&self, prompt: u64, record: &mut Record<'_>) -> Result<(), Error> {
        let mut left = divide(prompt, self.prompt_details, TEXT);
        let all_cached = self.cached.unwrap_or_else(|| sum(self.cache_details));
        let cached = all_cached.min(prompt);
        let read = take(&mut left, cached, self.cache_details);
        let clamped = sum(self.prompt_details) > prompt || read.is_inconsistent || cached < all_cached;
        record.flags.insert_if(Flag::InconsistentUsage, clamped);
        record.flags.insert_if(Flag::ModalitySplitEstimated, read.is_estimated);
        add_uncached(&mut record.quantities, left)?;
        add_cache_read(&mut record.quantities, read.parts)
    }

    fn settle_output(
        &self,
        input: u64,
        candidates: u64,
        all_thoughts: u64,
        record: &mut Record<'_>,
    ) -> Result<(), Error> {
        let is_inside = all_thoughts > 0 && self.total == Some(input + candidates);
        let total_fits =
            is_inside || self.total.is_none_or(|total| total == input + candidates + all_thoughts);
        let thoughts = if is_inside { all_thoughts.min(candidates) } else { all_thoughts };
        let others = if is_inside { candidates - thoughts } else { candidates };
        let parts = divide(others, self.output_details, TEXT);
        let shown = sum(self.output_details) - self.output_details[TEXT];
        // Text in the details contains the thoughts where the candidates do.
        let cut = sum(self.output_details) > candidates || shown > others;
        record.flags.insert_if(Flag::ThoughtsInsideCandidates, is_inside);
        record.flags.insert_if(Flag::InconsistentUsage, cut || !total_fits || thoughts < all_thoughts);
        record.quantities.add(Unit::OutputReasoningTokens, thoughts)?;
        add_output(&mut record.quantities, parts)
    }
}

/// A list of `{modality, tokenCount}`.
fn by_modality(name: &str, details: Node<'_>) -> Result<ByModality, Error> {
    let mut counts: ByModality = [0; 5];
    for detail in list(name, details)? {
        let tokens = ["tokenCount", "token_count", "tokens"].iter().find_map(|name| detail.get(name));
        let tokens = tokens.map_or(Ok(None), |tokens| count(name, tokens))?.unwrap_or(0);
        let modality = detail.get("modality").and_then(|modality| modality.text());
        let count = &mut counts[modality.map_or(TEXT, position)];
        *count = count.saturating_add(tokens);
    }
    Ok(counts)
}

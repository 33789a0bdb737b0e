//! Prompt counters that contain what was read from and written to the cache, completion counters that contain
//! reasoning (OpenAI and whoever speaks its format), and the vendors that report reasoning beside it.

use super::family::{CHAT, Family, Usage};
use super::modality::{AUDIO, ByModality, DOCUMENT, IMAGE, TEXT, VIDEO, divide, sum, take};
use super::number::{count, decimal, object, stated};
use super::{Dimensions, Error, Flag, Node, Normalized, ProviderCost, Quantities, Record};
use crate::money::Decimal;
use crate::unit::{Unit, UnitSet};

/// Normalizes usage of this shape, and returns the units of tools that it counts itself, be it none.
pub(super) fn normalize<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<UnitSet, Error> {
    let provider = usage.event.provider;
    let mut counted = UnitSet::EMPTY;
    for node in usage.responses() {
        let mut counts = Counts::default();
        counts.read(node, provider, &mut out.main.dimensions)?;
        if let Some(cost) = counts.cost {
            out.reported_cost.get_or_insert(cost);
        }
        if counts.is_reported() {
            out.is_reported = true;
            counts.settle(usage.family, provider, &mut out.main)?;
        }
        TOOLS
            .iter()
            .zip(counts.tools)
            .filter(|(_, calls)| calls.is_some())
            .for_each(|(unit, _)| counted.insert(*unit));
    }
    Ok(counted)
}

/// Adds the usage of another model that worked beside the one that answered.
pub(super) fn normalize_beside<'a>(
    node: Node<'a>,
    family: &Family,
    provider: &'a str,
    record: &mut Record<'a>,
) -> Result<(), Error> {
    let mut counts = Counts::default();
    counts.read(node, provider, &mut record.dimensions)?;
    counts.settle(family, provider, record)
}

/// The tools whose calls some usage objects count.
const TOOLS: [Unit; 5] = [
    Unit::WebSearchCalls,
    Unit::WebFetchCalls,
    Unit::XSearchCalls,
    Unit::FileSearchCalls,
    Unit::CodeExecutionSessions,
];
const WEB_SEARCH: usize = 0;
const WEB_FETCH: usize = 1;
const X_SEARCH: usize = 2;
const FILE_SEARCH: usize = 3;
const CODE: usize = 4;

/// The counters, as reported.
#[derive(Default)]
struct Counts<'a> {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cached_by_modality: ByModality,
    cache_missed: Option<u64>,
    written: Option<u64>,
    written_5m: u64,
    written_1h: u64,
    input: ByModality,
    output: ByModality,
    reasoning: u64,
    /// Reasoning stood beside the completion counter, not in its details.
    reasoning_is_top_level: bool,
    citation: u64,
    /// By position in [`TOOLS`]; an explicit zero is a report.
    tools: [Option<u64>; TOOLS.len()],
    audio_seconds: Option<Decimal>,
    cost: Option<ProviderCost<'a>>,
    has_unknown_field: bool,
    is_contradictory: bool,
}

impl<'a> Counts<'a> {
    fn is_reported(&self) -> bool {
        let counters = [
            self.prompt,
            self.completion,
            self.total,
            self.cached,
            self.cache_missed,
            self.tools[WEB_SEARCH],
        ];
        self.audio_seconds.is_some() || counters.iter().any(Option::is_some)
    }

    fn read(
        &mut self,
        usage: Node<'a>,
        provider: &'a str,
        dimensions: &mut Dimensions<'a>,
    ) -> Result<(), Error> {
        for (name, value) in stated(usage) {
            match name {
                "prompt_tokens" | "input_tokens" => self.see_prompt(count(name, value)?),
                "completion_tokens" | "output_tokens" => self.see_completion(count(name, value)?),
                "total_tokens" => self.total = count(name, value)?,
                "prompt_tokens_details" | "input_tokens_details" | "input_token_details" => {
                    self.read_input_details(name, value)?;
                }
                "completion_tokens_details" | "output_tokens_details" | "output_token_details" => {
                    self.read_output_details(name, value)?;
                }
                "cached_tokens" | "prompt_cache_hit_tokens" | "cache_read_input_tokens" => {
                    self.see_cached(count(name, value)?);
                }
                "prompt_cache_miss_tokens" => self.cache_missed = count(name, value)?,
                "cache_creation_input_tokens" => self.see_written(count(name, value)?),
                "reasoning_tokens" => {
                    self.reasoning_is_top_level = true;
                    self.see_reasoning(count(name, value)?);
                }
                "citation_tokens" => self.citation = count(name, value)?.unwrap_or(0),
                "num_search_queries" => self.see_tool(WEB_SEARCH, count(name, value)?),
                "server_tool_use" | "server_tool_use_details" | "server_side_tool_usage_details" => {
                    self.read_tools(name, value)?;
                }
                "tool_calls_details" => self.read_tool_calls(name, value)?,
                "seconds" | "prompt_audio_seconds" => {
                    self.audio_seconds = self.audio_seconds.max(decimal(name, value)?);
                }
                "service_tier" => dimensions.set_tier(value.text()),
                "search_context_size" => {
                    dimensions.search_context_size = value.text().or(dimensions.search_context_size);
                }
                "cost_in_usd_ticks" => self.cost = ProviderCost::ticks(value, provider).or(self.cost),
                "cost" => {
                    let cost = ProviderCost::dollars(value, provider);
                    self.cost = self.cost.or(cost).or_else(|| ProviderCost::total(value, provider));
                }
                "type"
                | "cost_details"
                | "is_byok"
                | "num_sources_used"
                | "queue_time"
                | "prompt_time"
                | "completion_time"
                | "total_time"
                | "num_server_side_tools_used" => {}
                other => self.has_unknown_field |= !self.read_otel(other, value)?,
            }
        }
        Ok(())
    }

    /// Attributes of OpenTelemetry's conventions, which count inclusively for every provider; tells whether the name
    /// is one of them.
    fn read_otel(&mut self, name: &str, value: Node<'_>) -> Result<bool, Error> {
        match name.strip_prefix("gen_ai.usage.").unwrap_or(name) {
            "input_tokens" | "prompt_tokens" => self.see_prompt(count(name, value)?),
            "output_tokens" | "completion_tokens" => self.see_completion(count(name, value)?),
            "cache_read.input_tokens" | "cache_read_input_tokens" => self.see_cached(count(name, value)?),
            "cache_creation.input_tokens" | "cache_creation_input_tokens" => {
                self.see_written(count(name, value)?);
            }
            "reasoning.output_tokens" => self.see_reasoning(count(name, value)?),
            other => {
                let Some((modality, direction)) = other.split_once('.') else { return Ok(false) };
                let parts = match direction {
                    "input_tokens" => &mut self.input,
                    "output_tokens" => &mut self.output,
                    "cache_read.input_tokens" => &mut self.cached_by_modality,
                    _ => return Ok(false),
                };
                return see_modality(parts, modality, "", name, value);
            }
        }
        Ok(true)
    }

    fn read_input_details(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            match name {
                "cached_tokens" | "cache_read_input_tokens" => self.see_cached(count(name, value)?),
                "cache_write_tokens" | "cache_creation_input_tokens" | "cache_creation_tokens" => {
                    self.see_written(count(name, value)?);
                }
                "cached_tokens_details" => {
                    for (name, value) in object(name, value)? {
                        let is_known =
                            see_modality(&mut self.cached_by_modality, name, "_tokens", name, value)?;
                        self.has_unknown_field |= !is_known;
                    }
                }
                "cache_creation" | "cache_creation_token_details" => self.read_lifetimes(name, value)?,
                _ => {
                    let is_known = see_modality(&mut self.input, name, "_tokens", name, value)?;
                    self.has_unknown_field |= !is_known;
                }
            }
        }
        Ok(())
    }

    fn read_lifetimes(&mut self, parent: &str, lifetimes: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, lifetimes)? {
            let written = || Ok::<_, Error>(count(name, value)?.unwrap_or(0));
            match name {
                "ephemeral_5m_input_tokens" => self.written_5m = self.written_5m.max(written()?),
                "ephemeral_1h_input_tokens" => self.written_1h = self.written_1h.max(written()?),
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn read_output_details(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            match name {
                "reasoning_tokens" => self.see_reasoning(count(name, value)?),
                "accepted_prediction_tokens" | "rejected_prediction_tokens" => {
                    count(name, value)?;
                }
                _ => {
                    let is_known = see_modality(&mut self.output, name, "_tokens", name, value)?;
                    self.has_unknown_field |= !is_known;
                }
            }
        }
        Ok(())
    }

    fn read_tools(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            let tool = match name {
                "web_search_requests" | "web_search_calls" => WEB_SEARCH,
                "web_fetch_requests" => WEB_FETCH,
                "x_search_calls" => X_SEARCH,
                "file_search_calls" => FILE_SEARCH,
                "code_interpreter_calls" => CODE,
                _ => {
                    self.has_unknown_field = true;
                    continue;
                }
            };
            self.see_tool(tool, count(name, value)?);
        }
        Ok(())
    }

    fn read_tool_calls(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            let calls = value.get("invocation").map_or(Ok(None), |calls| count("invocation", calls))?;
            match name {
                "search_web" => self.see_tool(WEB_SEARCH, calls),
                "fetch_url" => self.see_tool(WEB_FETCH, calls),
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn see_prompt(&mut self, prompt: Option<u64>) {
        self.is_contradictory |= see(&mut self.prompt, prompt);
    }

    fn see_completion(&mut self, completion: Option<u64>) {
        self.is_contradictory |= see(&mut self.completion, completion);
    }

    fn see_cached(&mut self, cached: Option<u64>) {
        self.is_contradictory |= see(&mut self.cached, cached);
    }

    fn see_written(&mut self, written: Option<u64>) {
        self.is_contradictory |= see(&mut self.written, written);
    }

    fn see_reasoning(&mut self, reasoning: Option<u64>) {
        self.reasoning = self.reasoning.max(reasoning.unwrap_or(0));
    }

    fn see_tool(&mut self, tool: usize, calls: Option<u64>) {
        self.tools[tool] = self.tools[tool].max(calls);
    }

    fn settle(&self, family: &Family, provider: &str, record: &mut Record<'a>) -> Result<(), Error> {
        let cached = self.cached.unwrap_or_else(|| sum(self.cached_by_modality));
        let hit_and_miss = self.cache_missed.map(|missed| missed.saturating_add(cached));
        let completion = self.completion.unwrap_or(0);
        let prompt = self
            .prompt
            .or(hit_and_miss)
            .or_else(|| self.total.map(|total| total.saturating_sub(completion)))
            .unwrap_or(0);
        let disagrees = hit_and_miss.is_some_and(|sum| sum != prompt);
        record.flags.insert_if(Flag::InconsistentUsage, self.is_contradictory || disagrees);
        record.flags.insert_if(Flag::UnknownUsageField, self.has_unknown_field);
        let prompt_total = &mut record.dimensions.prompt_tokens_total;
        *prompt_total = prompt_total.saturating_add(prompt);
        self.settle_input(prompt, cached, family, record)?;
        let is_outside =
            self.reasoning > 0 && self.reasoning_is_outside(prompt, completion, family, provider);
        self.settle_output(prompt, completion, is_outside, family, record)?;
        for (unit, calls) in TOOLS.iter().zip(self.tools) {
            record.quantities.add(*unit, calls.unwrap_or(0))?;
        }
        record.quantities.add_decimal(Unit::InputAudioSeconds, self.audio_seconds.unwrap_or(Decimal::ZERO))
    }

    fn settle_input(
        &self,
        prompt: u64,
        all_cached: u64,
        family: &Family,
        record: &mut Record<'a>,
    ) -> Result<(), Error> {
        let mut left = divide(prompt, self.input, family.input);
        let cached = all_cached.min(prompt);
        let written = self.written.unwrap_or(0).max(self.written_5m + self.written_1h);
        let written_fits = written.min(prompt - cached);
        let read = take(&mut left, cached, self.cached_by_modality);
        let write = take(&mut left, written_fits, [0; 5]);
        let clamped = sum(self.input) > prompt || read.is_inconsistent || cached < all_cached;
        let flags = &mut record.flags;
        flags.insert_if(Flag::InconsistentUsage, clamped);
        flags.insert_if(Flag::CacheOverlapClamped, written_fits < written);
        flags.insert_if(Flag::ModalitySplitEstimated, read.is_estimated || write.is_estimated);
        let written_1h = self.written_1h.min(written_fits);
        let written_5m = self.written_5m.min(written_fits - written_1h);
        let quantities = &mut record.quantities;
        quantities.add(Unit::InputCacheWriteTokens, written_fits - written_1h - written_5m)?;
        quantities.add(Unit::InputCacheWrite5mTokens, written_5m)?;
        quantities.add(Unit::InputCacheWrite1hTokens, written_1h)?;
        add_uncached(quantities, left)?;
        add_cache_read(quantities, read.parts)
    }

    fn settle_output(
        &self,
        prompt: u64,
        completion: u64,
        is_outside: bool,
        family: &Family,
        record: &mut Record<'a>,
    ) -> Result<(), Error> {
        let reasoning = if is_outside { self.reasoning } else { self.reasoning.min(completion) };
        let others = if is_outside { completion } else { completion - reasoning };
        let parts = divide(others, self.output, family.output);
        // Text in the details contains the reasoning where the completion does.
        let spoken = sum(self.output) - self.output[TEXT];
        let cut = sum(self.output) > completion || spoken > others;
        let sums = [prompt.saturating_add(completion), prompt.saturating_add(completion + self.reasoning)];
        let total_fits = self.total.is_none_or(|total| sums.contains(&total));
        let clamped = cut || reasoning < self.reasoning || !total_fits;
        record.flags.insert_if(Flag::InconsistentUsage, clamped);
        record.quantities.add(Unit::OutputReasoningTokens, reasoning)?;
        record.quantities.add(Unit::OutputCitationTokens, self.citation)?;
        add_output(&mut record.quantities, parts)
    }

    /// The total decides; where it decides nothing, what is known of the vendor does.
    fn reasoning_is_outside(&self, prompt: u64, completion: u64, family: &Family, provider: &str) -> bool {
        let sonar = provider == "perplexity" && self.reasoning_is_top_level;
        let xai_chat = matches!(provider, "xai" | "x-ai" | "x_ai") && family.name == CHAT;
        let inside = prompt.saturating_add(completion);
        match self.total {
            Some(total) if total == inside.saturating_add(self.reasoning) => true,
            Some(total) if total == inside => sonar,
            // A part is not larger than its whole.
            None if self.reasoning > completion && family.name == CHAT => true,
            _ => sonar || xai_chat,
        }
    }
}

/// Several fields may report the same counter: it counts once, by the larger. Tells whether they contradict each
/// other.
fn see(counter: &mut Option<u64>, seen: Option<u64>) -> bool {
    let contradicts = counter.zip(seen).is_some_and(|(one, two)| one != two && one > 0 && two > 0);
    *counter = (*counter).max(seen);
    contradicts
}

/// Takes a counter over if its name is that of a modality and `ending`, and tells whether it is.
fn see_modality(
    counts: &mut ByModality,
    modality: &str,
    ending: &str,
    name: &str,
    value: Node<'_>,
) -> Result<bool, Error> {
    let position = match modality.strip_suffix(ending) {
        Some("text") => TEXT,
        Some("audio") => AUDIO,
        Some("image") => IMAGE,
        Some("video") => VIDEO,
        Some("document") => DOCUMENT,
        _ => return Ok(false),
    };
    counts[position] = counts[position].max(count(name, value)?.unwrap_or(0));
    Ok(true)
}

/// Adds what neither came from nor went to a cache.
pub(super) fn add_uncached(quantities: &mut Quantities, parts: ByModality) -> Result<(), Error> {
    quantities.add(Unit::InputUncachedTokens, parts[TEXT])?;
    quantities.add(Unit::InputUncachedDocumentTokens, parts[DOCUMENT])?;
    quantities.add(Unit::InputUncachedImageTokens, parts[IMAGE])?;
    quantities.add(Unit::InputUncachedVideoTokens, parts[VIDEO])?;
    quantities.add(Unit::InputUncachedAudioTokens, parts[AUDIO])
}

/// Adds what was read from a cache; documents are cached as text.
pub(super) fn add_cache_read(quantities: &mut Quantities, parts: ByModality) -> Result<(), Error> {
    quantities.add(Unit::InputCacheReadTokens, parts[TEXT] + parts[DOCUMENT])?;
    quantities.add(Unit::InputCacheReadImageTokens, parts[IMAGE])?;
    quantities.add(Unit::InputCacheReadVideoTokens, parts[VIDEO])?;
    quantities.add(Unit::InputCacheReadAudioTokens, parts[AUDIO])
}

/// Adds what was generated, reasoning aside; documents are text.
pub(super) fn add_output(quantities: &mut Quantities, parts: ByModality) -> Result<(), Error> {
    quantities.add(Unit::OutputTextTokens, parts[TEXT] + parts[DOCUMENT])?;
    quantities.add(Unit::OutputImageTokens, parts[IMAGE])?;
    quantities.add(Unit::OutputVideoTokens, parts[VIDEO])?;
    quantities.add(Unit::OutputAudioTokens, parts[AUDIO])
}

//! Prompt counters that contain what was read from and written to the cache, completion counters that contain
//! reasoning (OpenAI and whoever speaks its format), and the vendors that report reasoning beside it.

use super::family::{Family, Usage};
use super::modality::{AUDIO, ByModality, DOCUMENT, IMAGE, TEXT, VIDEO, divide, take};
use super::number::{count, decimal, object};
use super::{Dimensions, Error, Flag, Node, Normalized, ProviderCost, Quantities, Record};
use crate::money::Decimal;
use crate::unit::Unit;

/// Normalizes usage of this shape.
pub(super) fn normalize<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let mut counts = Counts::default();
    counts.read(usage.last(), usage.event.provider, &mut out.main.dimensions)?;
    if let Some(cost) = counts.cost {
        out.reported_cost.get_or_insert(cost);
    }
    out.is_reported = counts.is_reported();
    if out.is_reported {
        counts.settle(usage.family, usage.event.provider, &mut out.main)?;
    }
    Ok(())
}

/// The counters, as reported.
#[derive(Default)]
struct Counts<'a> {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: u64,
    cached_by_modality: ByModality,
    cache_missed: Option<u64>,
    written: u64,
    written_5m: u64,
    written_1h: u64,
    input: ByModality,
    output: ByModality,
    reasoning: u64,
    /// Reasoning stood beside the completion counter, not in its details.
    reasoning_is_top_level: bool,
    citation: u64,
    web_searches: u64,
    /// The searches that the usage reports, even none.
    searches_are_counted: bool,
    web_fetches: u64,
    x_searches: u64,
    file_searches: u64,
    code_sessions: u64,
    audio_seconds: Option<Decimal>,
    cost: Option<ProviderCost<'a>>,
    has_unknown_field: bool,
    is_contradictory: bool,
}

impl<'a> Counts<'a> {
    fn is_reported(&self) -> bool {
        self.prompt.is_some()
            || self.completion.is_some()
            || self.total.is_some()
            || self.audio_seconds.is_some()
            || self.searches_are_counted
    }

    fn read(
        &mut self,
        usage: Node<'a>,
        provider: &'a str,
        dimensions: &mut Dimensions<'a>,
    ) -> Result<(), Error> {
        for (name, value) in usage.fields() {
            let value = *value;
            match *name {
                "prompt_tokens" | "input_tokens" | "gen_ai.usage.input_tokens" => {
                    self.prompt = count(name, value)?;
                }
                "completion_tokens" | "output_tokens" | "gen_ai.usage.output_tokens" => {
                    self.completion = count(name, value)?;
                }
                "total_tokens" => self.total = count(name, value)?,
                "prompt_tokens_details" | "input_tokens_details" | "input_token_details" => {
                    self.read_input_details(name, value)?;
                }
                "completion_tokens_details" | "output_tokens_details" | "output_token_details" => {
                    self.read_output_details(name, value)?;
                }
                "cached_tokens"
                | "prompt_cache_hit_tokens"
                | "cache_read_input_tokens"
                | "gen_ai.usage.cache_read.input_tokens" => self.see_cached(count(name, value)?),
                "prompt_cache_miss_tokens" => self.cache_missed = count(name, value)?,
                "cache_creation_input_tokens" | "gen_ai.usage.cache_creation.input_tokens" => {
                    self.see_written(count(name, value)?);
                }
                "reasoning_tokens" => {
                    self.reasoning_is_top_level = true;
                    self.reasoning = self.reasoning.max(count(name, value)?.unwrap_or(0));
                }
                "gen_ai.usage.reasoning.output_tokens" => {
                    self.reasoning = self.reasoning.max(count(name, value)?.unwrap_or(0));
                }
                "citation_tokens" => self.citation = count(name, value)?.unwrap_or(0),
                "num_search_queries" => self.see_searches(count(name, value)?),
                "server_tool_use" | "server_tool_use_details" | "server_side_tool_usage_details" => {
                    self.read_tools(name, value)?;
                }
                "tool_calls_details" => self.read_tool_calls(name, value)?,
                "seconds" | "prompt_audio_seconds" => self.audio_seconds = decimal(name, value)?,
                "service_tier" => dimensions.set_tier(value.text()),
                "search_context_size" => {
                    dimensions.search_context_size = value.text().or(dimensions.search_context_size);
                }
                "cost_in_usd_ticks" => self.cost = ProviderCost::ticks(value, provider).or(self.cost),
                "cost" => {
                    let cost = ProviderCost::dollars(value, provider);
                    self.cost = cost.or_else(|| ProviderCost::total(value, provider)).or(self.cost);
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
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn read_input_details(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            let value = *value;
            match *name {
                "cached_tokens" | "cache_read_input_tokens" => self.see_cached(count(name, value)?),
                "cache_write_tokens" | "cache_creation_input_tokens" | "cache_creation_tokens" => {
                    self.see_written(count(name, value)?);
                }
                "cached_tokens_details" => {
                    for (name, value) in object(name, value)? {
                        self.has_unknown_field |= !see_modality(&mut self.cached_by_modality, name, *value)?;
                    }
                }
                "cache_creation_token_details" => {
                    for (name, value) in object(name, value)? {
                        match *name {
                            "ephemeral_5m_input_tokens" => {
                                self.written_5m = count(name, *value)?.unwrap_or(0);
                            }
                            "ephemeral_1h_input_tokens" => {
                                self.written_1h = count(name, *value)?.unwrap_or(0);
                            }
                            _ => self.has_unknown_field = true,
                        }
                    }
                }
                _ => self.has_unknown_field |= !see_modality(&mut self.input, name, value)?,
            }
        }
        Ok(())
    }

    fn read_output_details(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            match *name {
                "reasoning_tokens" => {
                    self.reasoning = self.reasoning.max(count(name, *value)?.unwrap_or(0));
                }
                "accepted_prediction_tokens" | "rejected_prediction_tokens" => {
                    count(name, *value)?;
                }
                _ => self.has_unknown_field |= !see_modality(&mut self.output, name, *value)?,
            }
        }
        Ok(())
    }

    fn read_tools(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            let number = || Ok::<_, Error>(count(name, *value)?.unwrap_or(0));
            match *name {
                "web_search_requests" | "web_search_calls" => self.see_searches(count(name, *value)?),
                "web_fetch_requests" => self.web_fetches = number()?,
                "x_search_calls" => self.x_searches = number()?,
                "file_search_calls" => self.file_searches = number()?,
                "code_interpreter_calls" => self.code_sessions = number()?,
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn read_tool_calls(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, details)? {
            let calls = value.get("invocation").map_or(Ok(None), |calls| count("invocation", calls))?;
            match *name {
                "search_web" => self.see_searches(calls),
                "fetch_url" => self.web_fetches = calls.unwrap_or(0),
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    /// Several fields may report the same cache reads: they count once.
    fn see_cached(&mut self, cached: Option<u64>) {
        let cached = cached.unwrap_or(0);
        self.is_contradictory |= cached > 0 && self.cached > 0 && cached != self.cached;
        self.cached = self.cached.max(cached);
    }

    fn see_written(&mut self, written: Option<u64>) {
        self.written = self.written.max(written.unwrap_or(0));
    }

    fn see_searches(&mut self, searches: Option<u64>) {
        self.searches_are_counted |= searches.is_some();
        self.web_searches = self.web_searches.max(searches.unwrap_or(0));
    }

    fn settle(&self, family: &Family, provider: &str, record: &mut Record<'a>) -> Result<(), Error> {
        let hit_and_miss = self.cache_missed.map(|missed| missed + self.cached);
        let completion = self.completion.unwrap_or(0);
        let prompt = self
            .prompt
            .or(hit_and_miss)
            .or_else(|| self.total.map(|total| total.saturating_sub(completion)))
            .unwrap_or(0);
        let disagrees = hit_and_miss.is_some_and(|sum| sum != prompt);
        record.flags.insert_if(Flag::InconsistentUsage, self.is_contradictory || disagrees);
        record.flags.insert_if(Flag::UnknownUsageField, self.has_unknown_field);
        record.dimensions.prompt_tokens_total = prompt;
        self.settle_input(prompt, family, record)?;
        let is_outside =
            self.reasoning > 0 && self.reasoning_is_outside(prompt, completion, family, provider);
        self.settle_output(prompt, completion, is_outside, family, record)?;
        self.settle_tools(&mut record.quantities)
    }

    fn settle_input(&self, prompt: u64, family: &Family, record: &mut Record<'a>) -> Result<(), Error> {
        let (mut left, cut) = divide(prompt, self.input, family.input);
        let cached = self.cached.min(prompt);
        let written = self.written.max(self.written_5m + self.written_1h);
        let written_fits = written.min(prompt - cached);
        let read = take(&mut left, cached, self.cached_by_modality);
        let write = take(&mut left, written_fits, [0; 5]);
        let flags = &mut record.flags;
        flags.insert_if(Flag::InconsistentUsage, cut || read.is_inconsistent || cached < self.cached);
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
        let (parts, cut) = divide(others, self.output, family.output);
        let sums = [prompt + completion, prompt + completion + self.reasoning];
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
        match self.total {
            Some(total) if total == prompt + completion + self.reasoning => true,
            Some(total) if total == prompt + completion => sonar,
            _ => sonar || (provider == "xai" && family.name == "openai"),
        }
    }

    fn settle_tools(&self, quantities: &mut Quantities) -> Result<(), Error> {
        quantities.add(Unit::WebSearchCalls, self.web_searches)?;
        quantities.add(Unit::WebFetchCalls, self.web_fetches)?;
        quantities.add(Unit::XSearchCalls, self.x_searches)?;
        quantities.add(Unit::FileSearchCalls, self.file_searches)?;
        quantities.add(Unit::CodeExecutionSessions, self.code_sessions)?;
        quantities.add_decimal(Unit::InputAudioSeconds, self.audio_seconds.unwrap_or(Decimal::ZERO))
    }
}

/// Takes a counter over if its name is that of a modality (`text_tokens`, `audio_tokens` …), and tells whether it is.
fn see_modality(counts: &mut ByModality, name: &str, value: Node<'_>) -> Result<bool, Error> {
    let position = match name {
        "text_tokens" => TEXT,
        "audio_tokens" => AUDIO,
        "image_tokens" => IMAGE,
        "video_tokens" => VIDEO,
        "document_tokens" => DOCUMENT,
        _ => return Ok(false),
    };
    counts[position] = count(name, value)?.unwrap_or(0);
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

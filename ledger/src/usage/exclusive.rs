//! Input counters that leave out what was read from and written to the cache: three addends (Anthropic Messages,
//! Bedrock Converse). Written tokens come with a lifetime; one that is not stated is five minutes.

use super::family::Usage;
use super::number::{count, list, object};
use super::{Dimensions, Error, Flag, Node, Normalized, Record};
use crate::unit::Unit;

/// Normalizes usage of this shape.
pub(super) fn normalize<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let mut counts = Counts::default();
    // Later messages of a stream repeat the counters cumulatively and leave out the lifetimes: what they say
    // overrides, what they do not say stays.
    for node in usage.all() {
        counts.read(node, &mut out.main.dimensions)?;
    }
    out.is_reported = counts.is_reported();
    if !out.is_reported {
        return Ok(());
    }
    counts.settle(&mut out.main)?;
    for iteration in list("iterations", counts.iterations)? {
        settle_iteration(*iteration, out)?;
    }
    Ok(())
}

/// One pass of a response of several. The counters at the top hold the passes of type `message` alone.
fn settle_iteration<'a>(iteration: Node<'a>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let mut counts = Counts::default();
    match iteration.get("type").and_then(|kind| kind.text()) {
        Some("message") => {}
        Some("compaction") => {
            counts.read(iteration, &mut Dimensions::default())?;
            counts.settle(&mut out.main)?;
        }
        Some("advisor_message") => {
            let Some(model) = iteration.get("model").and_then(|model| model.text()) else {
                out.main.flags.insert(Flag::IterationsUnresolved);
                return Ok(());
            };
            let dimensions = Dimensions { prompt_tokens_total: 0, ..out.main.dimensions };
            let mut record = Record { model, dimensions, ..Record::default() };
            counts.read(iteration, &mut record.dimensions)?;
            counts.settle(&mut record)?;
            out.further.push(record);
        }
        _ => out.main.flags.insert(Flag::IterationsUnresolved),
    }
    Ok(())
}

/// The counters, as reported.
struct Counts<'a> {
    input: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_5m: u64,
    written_1h: u64,
    output: Option<u64>,
    thinking: u64,
    total: Option<u64>,
    web_searches: u64,
    web_fetches: u64,
    iterations: Node<'a>,
    has_unknown_field: bool,
}

impl Default for Counts<'_> {
    fn default() -> Self {
        Self {
            input: None,
            read: None,
            written: None,
            written_5m: 0,
            written_1h: 0,
            output: None,
            thinking: 0,
            total: None,
            web_searches: 0,
            web_fetches: 0,
            iterations: Node::Null,
            has_unknown_field: false,
        }
    }
}

impl<'a> Counts<'a> {
    fn is_reported(&self) -> bool {
        self.input.is_some() || self.read.is_some() || self.written.is_some() || self.output.is_some()
    }

    fn read(&mut self, usage: Node<'a>, dimensions: &mut Dimensions<'a>) -> Result<(), Error> {
        for (name, value) in usage.fields() {
            let value = *value;
            if value.is_null() {
                continue;
            }
            match *name {
                "input_tokens" | "inputTokens" => self.input = count(name, value)?,
                "cache_read_input_tokens" | "cacheReadInputTokens" => self.read = count(name, value)?,
                "cache_creation_input_tokens" | "cacheWriteInputTokens" => self.written = count(name, value)?,
                "cache_creation" => self.read_lifetimes(name, value)?,
                "cacheDetails" => self.read_cache_details(name, value)?,
                "output_tokens" | "outputTokens" => self.output = count(name, value)?,
                "output_tokens_details" => {
                    for (name, value) in object(name, value)? {
                        match *name {
                            "thinking_tokens" => self.thinking = count(name, *value)?.unwrap_or(0),
                            _ => self.has_unknown_field = true,
                        }
                    }
                }
                "totalTokens" => self.total = count(name, value)?,
                "server_tool_use" => {
                    for (name, value) in object(name, value)? {
                        match *name {
                            "web_search_requests" => self.web_searches = count(name, *value)?.unwrap_or(0),
                            "web_fetch_requests" => self.web_fetches = count(name, *value)?.unwrap_or(0),
                            _ => self.has_unknown_field = true,
                        }
                    }
                }
                "service_tier" => dimensions.set_tier(value.text()),
                "serviceTier" => dimensions.set_tier(value.get("type").unwrap_or(value).text()),
                "speed" => dimensions.speed = value.text().unwrap_or(dimensions.speed),
                "inference_geo" => dimensions.inference_geo = value.text().or(dimensions.inference_geo),
                "iterations" => self.iterations = value,
                "type" | "model" => {}
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn read_lifetimes(&mut self, parent: &str, lifetimes: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, lifetimes)? {
            match *name {
                "ephemeral_5m_input_tokens" => self.written_5m = count(name, *value)?.unwrap_or(0),
                "ephemeral_1h_input_tokens" => self.written_1h = count(name, *value)?.unwrap_or(0),
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    fn read_cache_details(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        (self.written_5m, self.written_1h) = (0, 0);
        for detail in list(parent, details)? {
            let tokens = detail.get("inputTokens").map_or(Ok(None), |tokens| count("inputTokens", tokens))?;
            match detail.get("ttl").and_then(|ttl| ttl.text()) {
                Some("1h") => self.written_1h += tokens.unwrap_or(0),
                Some("5m") => self.written_5m += tokens.unwrap_or(0),
                _ => self.has_unknown_field = true,
            }
        }
        Ok(())
    }

    /// Adds the counters to what the record already holds.
    fn settle(&self, record: &mut Record<'a>) -> Result<(), Error> {
        let (input, read) = (self.input.unwrap_or(0), self.read.unwrap_or(0));
        let stated = self.written_5m.saturating_add(self.written_1h);
        let written = self.written.unwrap_or(stated);
        let written_1h = self.written_1h.min(written);
        let output = self.output.unwrap_or(0);
        let thinking = self.thinking.min(output);
        let prompt = input.saturating_add(read).saturating_add(written);
        let total_fits = self.total.is_none_or(|total| total == prompt.saturating_add(output));
        let clamped = stated > written || thinking < self.thinking || !total_fits;
        record.flags.insert_if(Flag::InconsistentUsage, clamped);
        record.flags.insert_if(Flag::CacheTtlAssumed5m, stated < written);
        record.flags.insert_if(Flag::UnknownUsageField, self.has_unknown_field);
        let total = &mut record.dimensions.prompt_tokens_total;
        *total = total.saturating_add(prompt);
        let quantities = &mut record.quantities;
        quantities.add(Unit::InputUncachedTokens, input)?;
        quantities.add(Unit::InputCacheReadTokens, read)?;
        quantities.add(Unit::InputCacheWrite5mTokens, written - written_1h)?;
        quantities.add(Unit::InputCacheWrite1hTokens, written_1h)?;
        quantities.add(Unit::OutputTextTokens, output - thinking)?;
        quantities.add(Unit::OutputReasoningTokens, thinking)?;
        quantities.add(Unit::WebSearchCalls, self.web_searches)?;
        quantities.add(Unit::WebFetchCalls, self.web_fetches)
    }
}

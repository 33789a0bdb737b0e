//! Input counters that leave out what was read from and written to the cache: three addends (Anthropic Messages,
//! Bedrock Converse). Written tokens come with a lifetime; one that is not stated is five minutes.

use super::context::is_latency_optimized;
use super::family::Usage;
use super::number::{count, count_or_text, decimal, list, object, stated};
use super::{Dimensions, Error, FAST, Flag, Node, Normalized, ProviderCost, Record};
use crate::money::Decimal;
use crate::unit::{Unit, UnitSet};

/// Normalizes usage of this shape, and returns the units of tools that it counts itself, be it none.
pub(super) fn normalize<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<UnitSet, Error> {
    let mut counts = Counts::default();
    // Later messages of a stream repeat the counters cumulatively and leave out the lifetimes: what they say
    // overrides, what they do not say stays.
    for node in usage.all() {
        counts.read(node, usage.event.provider, &mut out.main.dimensions)?;
    }
    out.is_reported = counts.is_reported();
    if !out.is_reported {
        return Ok(UnitSet::EMPTY);
    }
    if let Some(cost) = counts.cost {
        out.reported_cost.get_or_insert(cost);
    }
    counts.settle(&mut out.main)?;
    for iteration in list("iterations", counts.iterations)? {
        settle_iteration(*iteration, usage.event.provider, out)?;
    }
    Ok(counts.web_searches.map(|_| Unit::WebSearchCalls).into_iter().collect())
}

/// One pass of a response of several. The counters at the top hold the passes of type `message` alone.
fn settle_iteration<'a>(
    iteration: Node<'a>,
    provider: &'a str,
    out: &mut Normalized<'a>,
) -> Result<(), Error> {
    let mut counts = Counts::default();
    match iteration.get("type").and_then(|kind| kind.text()) {
        Some("message") => {}
        Some("compaction") => {
            counts.read(iteration, provider, &mut Dimensions::default())?;
            counts.settle(&mut out.main)?;
        }
        Some("advisor_message") => {
            let Some(model) = iteration.get("model").and_then(|model| model.text()) else {
                out.main.flags.insert(Flag::IterationsUnresolved);
                return Ok(());
            };
            let dimensions = Dimensions { prompt_tokens_total: 0, ..out.main.dimensions };
            let mut record = Record { model, dimensions, ..Record::default() };
            counts.read(iteration, provider, &mut record.dimensions)?;
            counts.settle(&mut record)?;
            out.further.push(record);
        }
        _ => out.main.flags.insert_if(Flag::IterationsUnresolved, !iteration.is_null()),
    }
    Ok(())
}

/// The counters, as reported.
struct Counts<'a> {
    input: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_5m: Option<u64>,
    written_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    total: Option<u64>,
    web_searches: Option<u64>,
    web_fetches: Option<u64>,
    guardrail_units: Option<u64>,
    active_seconds: Option<Decimal>,
    cost: Option<ProviderCost<'a>>,
    iterations: Node<'a>,
    /// A pass was answered by another model, in a way that the counters do not tell.
    has_fallback: bool,
    has_unknown_field: bool,
}

impl Default for Counts<'_> {
    fn default() -> Self {
        Self {
            input: None,
            read: None,
            written: None,
            written_5m: None,
            written_1h: None,
            output: None,
            thinking: None,
            total: None,
            web_searches: None,
            web_fetches: None,
            guardrail_units: None,
            active_seconds: None,
            cost: None,
            iterations: Node::Null,
            has_fallback: false,
            has_unknown_field: false,
        }
    }
}

impl<'a> Counts<'a> {
    fn is_reported(&self) -> bool {
        let counters = [
            self.input,
            self.read,
            self.written,
            self.written_5m,
            self.written_1h,
            self.output,
            self.guardrail_units,
        ];
        self.active_seconds.is_some() || counters.iter().any(Option::is_some)
    }

    fn read(
        &mut self,
        usage: Node<'a>,
        provider: &'a str,
        dimensions: &mut Dimensions<'a>,
    ) -> Result<(), Error> {
        let mut guardrail_units = None;
        for (name, value) in stated(usage) {
            match name {
                "input_tokens" | "inputTokens" => self.input = count(name, value)?,
                "cache_read_input_tokens" | "cacheReadInputTokens" => self.read = count(name, value)?,
                "cache_creation_input_tokens" | "cacheWriteInputTokens" => self.written = count(name, value)?,
                "output_tokens" | "outputTokens" => self.output = count(name, value)?,
                // What Bedrock says in headers where it passes on the body of the model's vendor.
                "x-amzn-bedrock-input-token-count" => self.input = count_or_text(name, value)?,
                "x-amzn-bedrock-output-token-count" => self.output = count_or_text(name, value)?,
                "x-amzn-bedrock-cache-read-input-token-count" => self.read = count_or_text(name, value)?,
                "x-amzn-bedrock-cache-write-input-token-count" => {
                    self.written = count_or_text(name, value)?;
                }
                "cache_creation" => self.read_lifetimes(name, value)?,
                "cacheDetails" => self.read_cache_details(name, value)?,
                "output_tokens_details" => {
                    for (name, value) in object(name, value)? {
                        match name {
                            "thinking_tokens" => self.thinking = count(name, value)?.or(self.thinking),
                            _ => self.has_unknown_field = true,
                        }
                    }
                }
                "totalTokens" => self.total = count(name, value)?,
                "server_tool_use" => {
                    for (name, value) in object(name, value)? {
                        let calls = match name {
                            "web_search_requests" => &mut self.web_searches,
                            "web_fetch_requests" => &mut self.web_fetches,
                            _ => {
                                self.has_unknown_field = true;
                                continue;
                            }
                        };
                        *calls = count(name, value)?.or(*calls);
                    }
                }
                "active_seconds" => self.active_seconds = decimal(name, value)?,
                "list_cost" => {
                    let cost = ProviderCost::dollars(value, provider);
                    self.cost = cost.or_else(|| ProviderCost::total(value, provider));
                }
                "service_tier" => dimensions.set_tier(value.text()),
                "serviceTier" => dimensions.set_tier(value.get("type").unwrap_or(value).text()),
                "speed" => dimensions.speed = value.text().unwrap_or(dimensions.speed),
                "performanceConfig" if is_latency_optimized(value) => dimensions.speed = FAST,
                "inference_geo" => dimensions.inference_geo = value.text().or(dimensions.inference_geo),
                "iterations" => self.iterations = value,
                "type" | "model" | "performanceConfig" => {}
                name if name.ends_with("PolicyUnits") => {
                    let units: &mut u64 = guardrail_units.get_or_insert(0);
                    *units = units.saturating_add(count(name, value)?.unwrap_or(0));
                }
                name if name.starts_with("fallback") => self.has_fallback = true,
                _ => self.has_unknown_field = true,
            }
        }
        self.guardrail_units = guardrail_units.or(self.guardrail_units);
        Ok(())
    }

    fn read_lifetimes(&mut self, parent: &str, lifetimes: Node<'a>) -> Result<(), Error> {
        for (name, value) in object(parent, lifetimes)? {
            let written = match name {
                "ephemeral_5m_input_tokens" => &mut self.written_5m,
                "ephemeral_1h_input_tokens" => &mut self.written_1h,
                _ => {
                    self.has_unknown_field = true;
                    continue;
                }
            };
            // Later messages of a stream may show zeros here.
            *written = count(name, value)?.max(*written);
        }
        Ok(())
    }

    fn read_cache_details(&mut self, parent: &str, details: Node<'a>) -> Result<(), Error> {
        let (mut written_5m, mut written_1h) = (0_u64, 0_u64);
        for detail in list(parent, details)? {
            let tokens = detail.get("inputTokens").map_or(Ok(None), |tokens| count("inputTokens", tokens))?;
            let written = match detail.get("ttl").and_then(|ttl| ttl.text()) {
                Some("1h") => &mut written_1h,
                Some("5m") => &mut written_5m,
                _ => {
                    self.has_unknown_field = true;
                    continue;
                }
            };
            *written = written.saturating_add(tokens.unwrap_or(0));
        }
        (self.written_5m, self.written_1h) = (Some(written_5m), Some(written_1h));
        Ok(())
    }

    /// Adds the counters to what the record already holds.
    fn settle(&self, record: &mut Record<'a>) -> Result<(), Error> {
        let (input, read) = (self.input.unwrap_or(0), self.read.unwrap_or(0));
        let stated = self.written_5m.unwrap_or(0).saturating_add(self.written_1h.unwrap_or(0));
        let written = self.written.unwrap_or(stated);
        let written_1h = self.written_1h.unwrap_or(0).min(written);
        let output = self.output.unwrap_or(0);
        let all_thinking = self.thinking.unwrap_or(0);
        let thinking = all_thinking.min(output);
        let prompt = input.saturating_add(read).saturating_add(written);
        let total_fits = self.total.is_none_or(|total| total == prompt.saturating_add(output));
        let clamped = stated > written || thinking < all_thinking || !total_fits;
        record.flags.insert_if(Flag::InconsistentUsage, clamped);
        record.flags.insert_if(Flag::CacheTtlAssumed5m, stated < written);
        record.flags.insert_if(Flag::IterationsUnresolved, self.has_fallback);
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
        quantities.add(Unit::WebSearchCalls, self.web_searches.unwrap_or(0))?;
        quantities.add(Unit::WebFetchCalls, self.web_fetches.unwrap_or(0))?;
        quantities.add(Unit::GuardrailUnits, self.guardrail_units.unwrap_or(0))?;
        quantities.add_decimal(Unit::AgentActiveSeconds, self.active_seconds.unwrap_or(Decimal::ZERO))
    }
}

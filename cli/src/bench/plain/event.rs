//! The event as a derived struct, and its token counts as one reads them off a provider's documentation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A usage event; owned text, as a derive gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) event_id: String,
    pub(super) request_id: String,
    occurred_at: Value,
    pub(super) attempt: Option<u32>,
    pub(super) attempt_kind: Option<String>,
    pub(super) fallback_from: Option<String>,
    pub(super) key: String,
    pub(super) team: Option<String>,
    pub(super) app: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) project: Option<String>,
    pub(super) end_user: Option<String>,
    pub(super) workflow: Option<String>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    pub(super) endpoint_family: String,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) alias: Option<String>,
    pub(super) provider_account: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) route: Option<String>,
    pub(super) region: Option<String>,
    pub(super) service_tier: Option<String>,
    pub(super) processing: Option<String>,
    pub(super) speed: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) error_class: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) latency_ms: Option<u64>,
    pub(super) ttft_ms: Option<u64>,
    pub(super) gateway_cache: Option<String>,
    usage: Option<Value>,
    context: Option<Value>,
    pub(super) gateway: Option<String>,
    pub(super) gateway_seq: Option<u64>,
}

/// Tokens by what they cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    pub(super) uncached: i64,
    pub(super) cached: i64,
    pub(super) written: i64,
    pub(super) output: i64,
}

impl Event {
    /// Avro carries usage and context as JSON text.
    pub(super) fn with_parsed_usage(mut self) -> serde_json::Result<Self> {
        for field in [&mut self.usage, &mut self.context] {
            if let Some(Value::String(text)) = field {
                *field = Some(serde_json::from_str(text)?);
            }
        }
        Ok(self)
    }

    /// Milliseconds since 1970.
    pub(super) fn millis(&self) -> Option<i64> {
        match &self.occurred_at {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
            _ => None,
        }
    }

    pub(super) fn usage_text(&self) -> String {
        self.usage.as_ref().map(Value::to_string).unwrap_or_default()
    }

    pub(super) fn context_text(&self) -> String {
        self.context.as_ref().map(Value::to_string).unwrap_or_default()
    }

    pub(super) fn tokens(&self) -> Tokens {
        let Some(usage) = &self.usage else { return Tokens::default() };
        let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        match self.endpoint_family.as_str() {
            "anthropic" => Tokens {
                uncached: count("/input_tokens"),
                cached: count("/cache_read_input_tokens"),
                written: count("/cache_creation_input_tokens"),
                output: count("/output_tokens"),
            },
            "gemini" => {
                let cached = count("/cachedContentTokenCount");
                let output = count("/candidatesTokenCount") + count("/thoughtsTokenCount");
                Tokens { uncached: count("/promptTokenCount") - cached, cached, written: 0, output }
            }
            "openai-response" => {
                let cached = count("/input_tokens_details/cached_tokens");
                Tokens {
                    uncached: count("/input_tokens") - cached,
                    cached,
                    written: 0,
                    output: count("/output_tokens"),
                }
            }
            _ => {
                let cached = count("/prompt_tokens_details/cached_tokens");
                let output = count("/completion_tokens");
                Tokens { uncached: count("/prompt_tokens") - cached, cached, written: 0, output }
            }
        }
    }
}

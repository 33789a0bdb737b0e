//! Builds records from random bytes: objects of fields that providers use, counters of one shape, changed examples.

use std::fmt::Write;

/// One case.
pub(crate) struct Case {
    /// The record.
    pub(crate) record: Vec<u8>,
    /// Where its counters are well formed, so that it must be posted: the sums of its input and output tokens.
    pub(crate) totals: Option<(u64, u64)>,
}

/// Random bytes as decisions. When they have run out every decision is the first, so a shorter input is a simpler case.
pub(crate) struct Choices<'b> {
    bytes: &'b [u8],
}

impl<'b> Choices<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        let high = if end > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (high | usize::from(self.byte())) % end
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A count; small ones and round ones are frequent.
    fn count(&mut self) -> u64 {
        let byte = u64::from(self.byte());
        match self.below(6) {
            0 => 0,
            1 | 2 => byte,
            3 => byte * 1000,
            4 => 271_900 + byte,
            _ => byte * 3_900_000_000_000_000,
        }
    }
}

const FAMILIES: &[&str] = &[
    "openai",
    "openai-response",
    "openai-batch",
    "embeddings",
    "image-generation",
    "audio-speech",
    "audio-transcription",
    "realtime",
    "otel-genai",
    "anthropic",
    "gemini",
    "gemini-interactions",
    "vertex",
    "bedrock",
    "cohere-chat",
    "rerank",
    "ocr",
    "video",
    "telepathy",
];
const PROVIDERS: &[&str] = &["openai", "anthropic", "perplexity", "xai", "vertex", "bedrock", "somebody"];
const MODELS: &[&str] = &["m", "reported", "m-2026-01-01", "us.m", "without-a-price"];

/// Fields of the inclusive shape, in whatever object they stand.
const OPENAI: &[&str] = &[
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "completion_tokens_details",
    "output_tokens_details",
    "output_token_details",
    "cached_tokens",
    "cache_write_tokens",
    "cached_tokens_details",
    "cache_creation_token_details",
    "text_tokens",
    "audio_tokens",
    "image_tokens",
    "video_tokens",
    "document_tokens",
    "reasoning_tokens",
    "accepted_prediction_tokens",
    "citation_tokens",
    "num_search_queries",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "prompt_audio_seconds",
    "seconds",
    "server_side_tool_usage_details",
    "web_search_calls",
    "x_search_calls",
    "file_search_calls",
    "code_interpreter_calls",
    "tool_calls_details",
    "search_web",
    "invocation",
    "service_tier",
    "search_context_size",
    "cost",
    "total_cost",
    "cost_in_usd_ticks",
    "x_groq",
    "usage",
    "billed_units",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.audio.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "surprise",
];
/// Fields of the exclusive shape.
const ANTHROPIC: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "output_tokens_details",
    "thinking_tokens",
    "server_tool_use",
    "web_search_requests",
    "web_fetch_requests",
    "service_tier",
    "speed",
    "inference_geo",
    "iterations",
    "active_seconds",
    "list_cost",
    "fallback_credit",
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheDetails",
    "serviceTier",
    "performanceConfig",
    "topicPolicyUnits",
    "x-amzn-bedrock-input-token-count",
    "surprise",
];
/// Fields of Gemini's shape.
const GEMINI: &[&str] = &[
    "promptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "responseTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "totalTokenCount",
    "promptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "responseTokensDetails",
    "toolUsePromptTokensDetails",
    "trafficType",
    "total_input_tokens",
    "total_cached_tokens",
    "total_output_tokens",
    "total_thought_tokens",
    "total_tool_use_tokens",
    "total_tokens",
    "input_tokens_by_modality",
    "cached_tokens_by_modality",
    "output_tokens_by_modality",
    "grounding_tool_count",
    "surprise",
];
/// Fields of what is counted in pieces.
const COUNTED: &[&str] = &[
    "billed_units",
    "tokens",
    "meta",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "search_units",
    "classifications",
    "images",
    "pages_processed",
    "pages_processed_annotation",
    "doc_size_bytes",
    "seconds",
    "duration_seconds",
    "surprise",
];
/// All of them; now and then one stands where it does not belong.
const GROUPS: &[&[&str]] = &[OPENAI, ANTHROPIC, GEMINI, COUNTED, CONTEXT_NAMES];
const CONTEXT_NAMES: &[&str] = &[
    "aggregate",
    "aborted",
    "processing",
    "status",
    "output",
    "stream_usages",
    "tool_usage",
    "trace",
    "transcription_model",
    "transcription_usages",
    "seconds",
    "durationSeconds",
    "characters",
    "input",
    "data",
    "images",
    "n",
    "generatedVideos",
    "pages",
    "annotated_pages",
    "search_units",
    "size",
    "quality",
    "generateAudio",
    "search_context_size",
    "groundingMetadata",
    "webSearchQueries",
    "urlContextMetadata",
    "candidates",
    "serviceTier",
    "performanceConfig",
];
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "7",
    "100",
    "272001",
    "5.0",
    "1e3",
    "2.50e1",
    "0.5",
    "-1",
    "-0",
    "-0.0",
    "999999999999999999",
    "1000000000000000000",
    "9223372036854775807",
    "18446744073709551615",
    "1e18",
    "1E400",
    "1e-400",
    "1.2345678901234567e-05",
    "123456789012345678901234567890.5",
    "9999999999999999999999999999999999999999",
];
const TEXTS: &[&str] = &[
    "\"TEXT\"",
    "\"AUDIO\"",
    "\"image\"",
    "\"12\"",
    "\"1.5\"",
    "\"\"",
    "\"batch\"",
    "\"priority\"",
    "\"PROVISIONED_THROUGHPUT\"",
    "\"fast\"",
    "\"us\"",
    "\"5m\"",
    "\"1h\"",
    "\"search\"",
    "\"web_search_call\"",
    "\"code_interpreter_call\"",
    "\"compaction\"",
    "\"advisor_message\"",
    "\"message\"",
    "\"google_search\"",
    "\"completed\"",
    "\"failed\"",
    "\"1792x1024\"",
    "\"medium\"",
];
/// Objects that stand in lists.
const ITEM_NAMES: &[&str] = &[
    "modality",
    "tokenCount",
    "tokens",
    "ttl",
    "inputTokens",
    "type",
    "count",
    "model",
    "action",
    "container_id",
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "prompt_tokens",
    "completion_tokens",
    "promptTokenCount",
    "maps",
    "groundingMetadata",
    "webSearchQueries",
];

/// A record whose usage and context have any fields, mostly with values of the right kind.
pub(crate) fn wild(choices: &mut Choices<'_>) -> Case {
    let family = choices.one_of(FAMILIES);
    let names = match family {
        "anthropic" | "bedrock" => ANTHROPIC,
        "gemini" | "gemini-interactions" => GEMINI,
        "cohere-chat" | "rerank" | "ocr" | "video" => COUNTED,
        "vertex" => choices.one_of(&[GEMINI, ANTHROPIC, OPENAI]),
        _ => OPENAI,
    };
    let mut usage = String::new();
    object(&mut usage, names, names, 4, choices);
    let context = (choices.below(3) == 2).then(|| {
        let mut context = String::new();
        object(&mut context, CONTEXT_NAMES, names, 4, choices);
        context
    });
    let record = record(family, &usage, context.as_deref(), choices);
    Case { record: record.into_bytes(), totals: None }
}

fn record(family: &str, usage: &str, context: Option<&str>, choices: &mut Choices<'_>) -> String {
    let mut text = String::from(
        r#"{"event_id":"e-1","request_id":"r-1","occurred_at":1793707200000,"key":"checkout","endpoint_family":""#,
    );
    let (provider, model) = (choices.one_of(PROVIDERS), choices.one_of(MODELS));
    write!(text, r#"{family}","provider":"{provider}","model":"{model}","usage":{usage}"#).unwrap();
    if let Some(context) = context {
        write!(text, r#","context":{context}"#).unwrap();
    }
    for (name, values) in [
        ("service_tier", &["flex", "priority", "batch", "default"][..]),
        ("processing", &["batch", "interactive"]),
        ("speed", &["fast", "standard"]),
        ("outcome", &["billed", "partial", "not_billed", "unknown"]),
        ("gateway_cache", &["hit", "miss"]),
        ("error_class", &["client_disconnect", "timeout"]),
    ] {
        if choices.below(4) == 3 {
            write!(text, r#","{name}":"{}""#, choices.one_of(values)).unwrap();
        }
    }
    if choices.below(8) == 7 {
        text.push_str(r#","reported_cost":{"amount":"0.1","currency":"USD"}"#);
    }
    text.push('}');
    text
}

/// An object of some of `own` fields; those of objects inside it are of `names`.
fn object(text: &mut String, own: &[&str], names: &[&str], depth: usize, choices: &mut Choices<'_>) {
    text.push('{');
    let mut used = Vec::new();
    for _ in 0..choices.below(8) {
        let group = if choices.below(16) == 15 { choices.one_of(GROUPS) } else { own };
        let name = choices.one_of(group);
        if used.contains(&name) {
            continue;
        }
        if !used.is_empty() {
            text.push(',');
        }
        used.push(name);
        write!(text, "\"{name}\":").unwrap();
        if choices.below(12) == 11 {
            value(text, names, depth, choices);
        } else {
            likely(text, name, names, depth, choices);
        }
    }
    text.push('}');
}

/// A value of the kind that belongs to a name.
fn likely(text: &mut String, name: &str, names: &[&str], depth: usize, choices: &mut Choices<'_>) {
    let is_list = name.ends_with("Details")
        || name.ends_with("_by_modality")
        || matches!(
            name,
            "iterations" | "grounding_tool_count" | "output" | "data" | "candidates" | "webSearchQueries"
        );
    let is_object = name.ends_with("_details")
        || matches!(
            name,
            "cache_creation" | "server_tool_use" | "billed_units" | "tokens" | "meta" | "x_groq" | "usage"
        );
    let is_text = matches!(
        name,
        "service_tier"
            | "speed"
            | "inference_geo"
            | "trafficType"
            | "status"
            | "size"
            | "modality"
            | "ttl"
            | "type"
            | "model"
            | "quality"
            | "search_context_size"
            | "transcription_model"
            | "container_id"
    );
    match name {
        _ if depth == 0 => number(text, choices),
        "stream_usages" | "transcription_usages" => list(text, names, names, depth, choices),
        _ if is_list => list(text, ITEM_NAMES, names, depth, choices),
        _ if is_object => object(text, names, names, depth - 1, choices),
        _ if is_text => text.push_str(choices.one_of(TEXTS)),
        _ => number(text, choices),
    }
}

fn number(text: &mut String, choices: &mut Choices<'_>) {
    match choices.below(8) {
        7 => text.push_str(choices.one_of(NUMBERS)),
        _ => write!(text, "{}", choices.count()).unwrap(),
    }
}

fn value(text: &mut String, names: &[&str], depth: usize, choices: &mut Choices<'_>) {
    match choices.below(if depth > 0 { 10 } else { 8 }) {
        0..4 => number(text, choices),
        4 | 5 => text.push_str(choices.one_of(TEXTS)),
        6 => text.push_str("null"),
        7 => text.push_str(choices.one_of(&["true", "false"])),
        8 => object(text, names, names, depth - 1, choices),
        _ => list(text, ITEM_NAMES, names, depth, choices),
    }
}

/// A list of objects of `own` fields, and now and then of something else.
fn list(text: &mut String, own: &[&str], names: &[&str], depth: usize, choices: &mut Choices<'_>) {
    text.push('[');
    for position in 0..choices.below(4) {
        if position > 0 {
            text.push(',');
        }
        let start = text.len();
        match choices.below(8) {
            7 => value(text, names, depth - 1, choices),
            _ => object(text, own, names, depth - 1, choices),
        }
        // Sums over long lists reach further than any counter.
        if choices.below(12) == 11 {
            let item = text[start..].to_owned();
            (0..40).for_each(|_| write!(text, ",{item}").unwrap());
        }
    }
    text.push(']');
}

/// A record of well-formed counters that contradict each other, and what they add up to by the totals of their shape.
pub(crate) fn shaped(choices: &mut Choices<'_>) -> Case {
    let [p, o, cached, written, audio, image, r, out_audio, five, hour] =
        std::array::from_fn(|_| choices.count() / 8);
    let total = match choices.below(4) {
        0 => choices.count() / 8,
        1 => p + o,
        2 => p + o + r,
        _ => p + o + audio,
    };
    let (family, usage, input, output) = match choices.below(6) {
        0 => (
            choices.one_of(&["openai", "openai-batch", "embeddings"]),
            format!(
                r#"{{"prompt_tokens":{p},"completion_tokens":{o},"total_tokens":{total},"prompt_tokens_details":
                {{"cached_tokens":{cached},"cache_write_tokens":{written},"audio_tokens":{audio},"text_tokens":{image}}},
                "completion_tokens_details":{{"reasoning_tokens":{r},"audio_tokens":{out_audio}}}}}"#
            ),
            p,
            o + if r > 0 && total == p + o + r { r } else { 0 },
        ),
        1 => (
            choices.one_of(&["openai-response", "image-generation", "realtime", "audio-transcription"]),
            format!(
                r#"{{"input_tokens":{p},"output_tokens":{o},"total_tokens":{},"input_tokens_details":{{"image_tokens":{image},
                "audio_tokens":{audio},"cached_tokens":{cached},"cached_tokens_details":{{"audio_tokens":{hour},
                "text_tokens":{five}}}}},"output_tokens_details":{{"reasoning_tokens":{r},"image_tokens":{out_audio}}}}}"#,
                p + o
            ),
            p,
            o,
        ),
        2 => (
            "otel-genai",
            format!(
                r#"{{"gen_ai.usage.input_tokens":{p},"gen_ai.usage.output_tokens":{o},
                "gen_ai.usage.cache_read.input_tokens":{cached},"gen_ai.usage.cache_creation.input_tokens":{written},
                "gen_ai.usage.reasoning.output_tokens":{r},"gen_ai.usage.audio.output_tokens":{out_audio}}}"#
            ),
            p,
            o,
        ),
        3 => (
            "anthropic",
            format!(
                r#"{{"input_tokens":{p},"cache_read_input_tokens":{cached},"cache_creation_input_tokens":{written},
                "cache_creation":{{"ephemeral_5m_input_tokens":{five},"ephemeral_1h_input_tokens":{hour}}},
                "output_tokens":{o},"output_tokens_details":{{"thinking_tokens":{r}}}}}"#
            ),
            p + cached + written,
            o,
        ),
        4 => (
            "bedrock",
            format!(
                r#"{{"inputTokens":{p},"cacheReadInputTokens":{cached},"cacheWriteInputTokens":{written},"outputTokens":{o},
                "totalTokens":{total},"cacheDetails":[{{"ttl":"5m","inputTokens":{five}}},{{"ttl":"1h","inputTokens":{hour}}}]}}"#
            ),
            p + cached + written,
            o,
        ),
        _ => (
            choices.one_of(&["gemini", "vertex"]),
            format!(
                r#"{{"promptTokenCount":{p},"cachedContentTokenCount":{cached},"candidatesTokenCount":{o},
                "thoughtsTokenCount":{r},"toolUsePromptTokenCount":{audio},"totalTokenCount":{total},
                "promptTokensDetails":[{{"modality":"AUDIO","tokenCount":{image}}},{{"modality":"TEXT","tokenCount":{five}}}],
                "cacheTokensDetails":[{{"modality":"AUDIO","tokenCount":{hour}}}],
                "candidatesTokensDetails":[{{"modality":"IMAGE","tokenCount":{out_audio}}}]}}"#
            ),
            p + audio,
            o + if r > 0 && total == p + audio + o { 0 } else { r },
        ),
    };
    let event = format!(
        r#"{{"event_id":"e-1","request_id":"r-1","occurred_at":1793707200000,"key":"checkout","endpoint_family":"{family}",
        "provider":"somebody","model":"{}","usage":{usage}}}"#,
        choices.one_of(MODELS)
    );
    Case { record: event.into_bytes(), totals: Some((input, output)) }
}

/// Every usage case as a record.
pub(crate) fn corpus() -> Vec<String> {
    let cases = [
        include_str!("../../../ledger/tests/fixtures/usage_cases/cases.jsonl"),
        include_str!("../../../ledger/tests/fixtures/usage_cases/derived.jsonl"),
    ];
    cases.iter().flat_map(|cases| cases.lines()).map(as_record).collect()
}

fn as_record(case: &str) -> String {
    let mut case: serde_json::Value = serde_json::from_str(case).unwrap();
    let fields = case.as_object_mut().unwrap();
    fields.retain(|name, _| {
        !name.starts_with("expected_") && !matches!(&**name, "why" | "evidence" | "confidence")
    });
    for (name, value) in [("event_id", "e-1"), ("request_id", "r-1"), ("key", "checkout"), ("model", "m")] {
        fields.insert(name.into(), value.into());
    }
    fields.insert("occurred_at".into(), 1_793_707_200_000_i64.into());
    case.to_string()
}

/// One of the corpus with a few bytes changed.
pub(crate) fn mutated(corpus: &[String], choices: &mut Choices<'_>) -> Case {
    let mut bytes = corpus[choices.below(corpus.len())].clone().into_bytes();
    for _ in 0..choices.below(8) {
        let at = choices.below(bytes.len());
        match choices.below(8) {
            0 => bytes[at] = choices.byte(),
            1 => bytes.insert(at, choices.one_of(b"0123456789-+.eE\"{}[]:,ntf \\u")),
            2 => {
                bytes.remove(at);
            }
            3 => {
                // A piece again, somewhere else.
                let to = (at + choices.below(40)).min(bytes.len());
                let piece = bytes[at..to].to_vec();
                let place = choices.below(bytes.len());
                bytes.splice(place..place, piece);
            }
            4 => {
                let to = (at + choices.below(20)).min(bytes.len());
                bytes.drain(at..to);
            }
            // A number becomes another one.
            5 | 6 => replace_number(&mut bytes, at, choices.one_of(NUMBERS)),
            _ => replace_number(&mut bytes, at, "null"),
        }
        if bytes.is_empty() {
            break;
        }
    }
    Case { record: bytes, totals: None }
}

/// Puts `text` in the place of the first number at or after a position.
fn replace_number(bytes: &mut Vec<u8>, from: usize, text: &str) {
    let is_start =
        |at: &usize| bytes[*at].is_ascii_digit() && !bytes[at.saturating_sub(1)].is_ascii_alphanumeric();
    let Some(start) = (from.max(1)..bytes.len()).find(is_start) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    bytes.splice(start..start + length, text.bytes());
}

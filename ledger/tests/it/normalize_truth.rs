//! What really happened is drawn first, token by token; a provider's report is written from it; normalizing the report
//! must give back what happened. The report is then spelled in other ways that must not matter: keys in another order,
//! nulls for what is absent, `10.0` or `1e1` for `10`, fields that nobody knows, and a cumulative stream.

use ledger::event::{Json, UsageEvent};
use ledger::unit::Unit;
use ledger::usage::{self, Flag, Node, Normalized};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{event, leak};

/// Counts of one kind by modality: text, document, image, video, audio.
type Parts = [u64; 5];

const NAMES: [&str; 5] = ["text", "document", "image", "video", "audio"];

/// What one response really used.
#[derive(Clone, Debug, Default)]
struct Truth {
    uncached: Parts,
    read: Parts,
    written: u64,
    written_5m: u64,
    written_1h: u64,
    tool: u64,
    output: Parts,
    reasoning: u64,
}

impl Truth {
    fn written_in_all(&self) -> u64 {
        self.written + self.written_5m + self.written_1h
    }

    fn prompt(&self) -> u64 {
        sum(self.uncached) + sum(self.read) + self.written_in_all()
    }

    fn completion(&self) -> u64 {
        sum(self.output) + self.reasoning
    }

    /// Gross of the cache. What is written has no modality, so it is text.
    fn gross(&self) -> Parts {
        let mut gross = [0; 5];
        for (position, part) in gross.iter_mut().enumerate() {
            *part = self.uncached[position] + self.read[position];
        }
        gross[0] += self.written_in_all();
        gross
    }

    /// The quantities, by name; only what is above zero.
    fn units(&self) -> Vec<(&'static str, u64)> {
        let of = |prefix: &str, parts: Parts, folded: bool| {
            let [text, document, image, video, audio] = parts;
            let text = if folded { text + document } else { text };
            let named = |modality: &str| leak(&format!("{prefix}_{modality}tokens"));
            [
                (named(if prefix == "output" { "text_" } else { "" }), text),
                (named("document_"), if folded { 0 } else { document }),
                (named("image_"), image),
                (named("video_"), video),
                (named("audio_"), audio),
            ]
        };
        let others = [
            ("input_cache_write_tokens", self.written),
            ("input_cache_write_5m_tokens", self.written_5m),
            ("input_cache_write_1h_tokens", self.written_1h),
            ("input_tool_tokens", self.tool),
            ("output_reasoning_tokens", self.reasoning),
        ];
        let mut units: Vec<_> = of("input_uncached", self.uncached, false)
            .into_iter()
            .chain(of("input_cache_read", self.read, true))
            .chain(of("output", self.output, true))
            .chain(others)
            .filter(|(_, quantity)| *quantity > 0)
            .collect();
        units.sort_unstable();
        units
    }

    /// Everything up to now, where the answer has come `part` of `parts` of its way.
    fn after(&self, part: u64, parts: u64) -> Self {
        let so_far = |quantity: u64| quantity * part / parts;
        Self { output: self.output.map(so_far), reasoning: so_far(self.reasoning), ..self.clone() }
    }
}

fn sum(parts: Parts) -> u64 {
    parts.into_iter().sum()
}

/// The endpoint families, each with how it reports.
#[derive(Clone, Copy, Debug)]
enum Report {
    Chat,
    ChatReasoningBeside,
    Responses,
    Realtime,
    DeepSeek,
    Moonshot,
    Otel,
    Anthropic,
    Bedrock,
    Gemini,
    GeminiThoughtsInside,
    Vertex,
    Interactions,
    Cohere,
}

const REPORTS: &[Report] = &[
    Report::Chat,
    Report::ChatReasoningBeside,
    Report::Responses,
    Report::Realtime,
    Report::DeepSeek,
    Report::Moonshot,
    Report::Otel,
    Report::Anthropic,
    Report::Bedrock,
    Report::Gemini,
    Report::GeminiThoughtsInside,
    Report::Vertex,
    Report::Interactions,
    Report::Cohere,
];

impl Report {
    const fn family(self) -> &'static str {
        match self {
            Self::Chat | Self::ChatReasoningBeside | Self::DeepSeek | Self::Moonshot => "openai",
            Self::Responses => "openai-response",
            Self::Realtime => "realtime",
            Self::Otel => "otel-genai",
            Self::Anthropic => "anthropic",
            Self::Bedrock => "bedrock",
            Self::Gemini | Self::GeminiThoughtsInside => "gemini",
            Self::Vertex => "vertex",
            Self::Interactions => "gemini-interactions",
            Self::Cohere => "cohere-chat",
        }
    }

    const fn is_gemini(self) -> bool {
        matches!(self, Self::Gemini | Self::GeminiThoughtsInside | Self::Vertex | Self::Interactions)
    }

    /// The truth without what this report cannot tell.
    fn limit(self, mut truth: Truth) -> Truth {
        let text_only = |parts: Parts| [sum(parts), 0, 0, 0, 0];
        if !self.is_gemini() {
            truth.tool = 0;
        }
        match self {
            Self::Chat | Self::ChatReasoningBeside | Self::Responses => {
                (truth.written_5m, truth.written_1h) = (0, 0);
            }
            Self::Realtime | Self::Otel => (truth.written_5m, truth.written_1h) = (0, 0),
            Self::DeepSeek | Self::Moonshot => {
                (truth.written, truth.written_5m, truth.written_1h) = (0, 0, 0);
                (truth.uncached, truth.read) = (text_only(truth.uncached), text_only(truth.read));
                truth.output = text_only(truth.output);
            }
            Self::Anthropic | Self::Bedrock => {
                truth.written = 0;
                (truth.uncached, truth.read) = (text_only(truth.uncached), text_only(truth.read));
                truth.output = text_only(truth.output);
                if matches!(self, Self::Bedrock) {
                    truth.output[0] += truth.reasoning;
                    truth.reasoning = 0;
                }
            }
            Self::Gemini | Self::GeminiThoughtsInside | Self::Vertex | Self::Interactions => {
                (truth.written, truth.written_5m, truth.written_1h) = (0, 0, 0);
            }
            Self::Cohere => {
                let prompt = truth.prompt();
                let output = truth.completion();
                truth = Truth::default();
                truth.uncached[0] = prompt;
                truth.output[0] = output;
            }
        }
        if matches!(self, Self::GeminiThoughtsInside) && truth.reasoning == 0 {
            truth.reasoning = 1;
        }
        // A document in an output is text to everyone.
        truth.output[0] += std::mem::take(&mut truth.output[1]);
        truth
    }

    fn write(self, truth: &Truth) -> Value {
        let by_name = |parts: Parts| -> Map<String, Value> {
            NAMES.iter().zip(parts).map(|(name, part)| (format!("{name}_tokens"), json!(part))).collect()
        };
        let input_details = |cached: &str, written: Option<&str>| {
            let mut details = by_name(truth.gross());
            details.insert(cached.into(), json!(sum(truth.read)));
            details.insert("cached_tokens_details".into(), Value::Object(by_name(truth.read)));
            if let Some(written) = written {
                details.insert(written.into(), json!(truth.written));
            }
            details
        };
        let output_details = |truth: &Truth| {
            let mut details = by_name(truth.output);
            details.insert("reasoning_tokens".into(), json!(truth.reasoning));
            details
        };
        let (prompt, completion) = (truth.prompt(), truth.completion());
        let spoken = sum(truth.output);
        match self {
            Self::Chat => json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "prompt_tokens_details": input_details("cached_tokens", Some("cache_write_tokens")),
                "completion_tokens_details": output_details(truth),
            }),
            Self::ChatReasoningBeside => json!({
                "prompt_tokens": prompt, "completion_tokens": spoken, "total_tokens": prompt + completion,
                "prompt_tokens_details": input_details("cached_tokens", Some("cache_write_tokens")),
                "completion_tokens_details": output_details(truth),
            }),
            Self::Responses => json!({
                "input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion,
                "input_tokens_details": input_details("cache_read_input_tokens", Some("cache_creation_input_tokens")),
                "output_tokens_details": output_details(truth),
            }),
            Self::Realtime => {
                let mut output = output_details(truth);
                // Reasoning is nested inside the text there.
                output.insert("text_tokens".into(), json!(truth.output[0] + truth.reasoning));
                json!({
                    "input_tokens": prompt, "output_tokens": completion, "total_tokens": prompt + completion,
                    "input_token_details": input_details("cached_tokens", Some("cache_write_tokens")),
                    "output_token_details": output,
                })
            }
            Self::DeepSeek => json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "prompt_cache_hit_tokens": truth.read[0], "prompt_cache_miss_tokens": truth.uncached[0],
                "prompt_tokens_details": {"cached_tokens": truth.read[0]},
                "completion_tokens_details": {"reasoning_tokens": truth.reasoning},
            }),
            Self::Moonshot => json!({
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "cached_tokens": truth.read[0], "completion_tokens_details": {"reasoning_tokens": truth.reasoning},
            }),
            Self::Otel => {
                let mut attributes = Map::from_iter([
                    ("gen_ai.usage.input_tokens".to_owned(), json!(prompt)),
                    ("gen_ai.usage.output_tokens".to_owned(), json!(completion)),
                    ("gen_ai.usage.cache_read.input_tokens".to_owned(), json!(sum(truth.read))),
                    ("gen_ai.usage.cache_creation.input_tokens".to_owned(), json!(truth.written)),
                    ("gen_ai.usage.reasoning.output_tokens".to_owned(), json!(truth.reasoning)),
                ]);
                for (position, name) in NAMES.iter().enumerate() {
                    for (kind, part) in [
                        ("input_tokens", truth.gross()[position]),
                        ("output_tokens", truth.output[position]),
                        ("cache_read.input_tokens", truth.read[position]),
                    ] {
                        attributes.insert(format!("gen_ai.usage.{name}.{kind}"), json!(part));
                    }
                }
                Value::Object(attributes)
            }
            Self::Anthropic => json!({
                "input_tokens": truth.uncached[0], "cache_read_input_tokens": truth.read[0],
                "cache_creation_input_tokens": truth.written_5m + truth.written_1h,
                "cache_creation": {"ephemeral_5m_input_tokens": truth.written_5m,
                    "ephemeral_1h_input_tokens": truth.written_1h},
                "output_tokens": completion, "output_tokens_details": {"thinking_tokens": truth.reasoning},
            }),
            Self::Bedrock => json!({
                "inputTokens": truth.uncached[0], "cacheReadInputTokens": truth.read[0],
                "cacheWriteInputTokens": truth.written_5m + truth.written_1h,
                "cacheDetails": [{"ttl": "1h", "inputTokens": truth.written_1h},
                    {"ttl": "5m", "inputTokens": truth.written_5m}],
                "outputTokens": completion, "totalTokens": prompt + completion,
            }),
            Self::Gemini | Self::GeminiThoughtsInside | Self::Vertex => {
                let list = |parts: Parts| -> Vec<Value> {
                    let named = NAMES.iter().zip(parts).filter(|(_, part)| *part > 0);
                    named
                        .map(|(name, part)| json!({"modality": name.to_uppercase(), "tokenCount": part}))
                        .collect()
                };
                let is_inside = matches!(self, Self::GeminiThoughtsInside);
                let candidates = if is_inside { completion } else { spoken };
                json!({
                    "promptTokenCount": prompt, "cachedContentTokenCount": sum(truth.read),
                    "candidatesTokenCount": candidates, "thoughtsTokenCount": truth.reasoning,
                    "toolUsePromptTokenCount": truth.tool, "totalTokenCount": prompt + truth.tool + completion,
                    "promptTokensDetails": list(truth.gross()), "cacheTokensDetails": list(truth.read),
                    "candidatesTokensDetails": list(truth.output),
                })
            }
            Self::Interactions => {
                let list = |parts: Parts| -> Vec<Value> {
                    NAMES
                        .iter()
                        .zip(parts)
                        .map(|(name, part)| json!({"modality": name, "tokens": part}))
                        .collect()
                };
                json!({
                    "total_input_tokens": prompt, "total_cached_tokens": sum(truth.read),
                    "total_output_tokens": spoken, "total_thought_tokens": truth.reasoning,
                    "total_tool_use_tokens": truth.tool, "total_tokens": prompt + truth.tool + completion,
                    "input_tokens_by_modality": list(truth.gross()), "cached_tokens_by_modality": list(truth.read),
                    "output_tokens_by_modality": list(truth.output),
                })
            }
            Self::Cohere => json!({
                "billed_units": {"input_tokens": truth.uncached[0], "output_tokens": truth.output[0]},
                "tokens": {"input_tokens": truth.uncached[0] + 66, "output_tokens": truth.output[0]},
            }),
        }
    }
}

fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 3 => 0_u64..30, 2 => 0_u64..1_000_000, 1 => Just(100_000_000_000_000_000 / 7)]
}

fn truth() -> impl Strategy<Value = Truth> {
    let parts = || proptest::array::uniform5(tokens());
    (parts(), parts(), tokens(), tokens(), tokens(), tokens(), parts(), tokens()).prop_map(
        |(uncached, read, written, written_5m, written_1h, tool, output, reasoning)| Truth {
            uncached,
            read,
            written,
            written_5m,
            written_1h,
            tool,
            output,
            reasoning,
        },
    )
}

/// How a report is spelled. A sequence of small numbers decides at each place.
struct Spelling<'s> {
    choices: std::iter::Cycle<std::slice::Iter<'s, u8>>,
    has_surprises: bool,
}

impl<'s> Spelling<'s> {
    fn new(choices: &'s [u8], has_surprises: bool) -> Self {
        Self { choices: choices.iter().cycle(), has_surprises }
    }

    fn choice(&mut self) -> u8 {
        *self.choices.next().unwrap()
    }

    fn spell(&mut self, value: &Value) -> Node<'static> {
        match value {
            Value::Number(number) => Node::Number(self.number(&number.to_string())),
            Value::Array(items) => Node::List(Vec::leak(items.iter().map(|item| self.spell(item)).collect())),
            Value::Object(fields) => {
                let mut spelled: Vec<(&'static str, Node<'static>)> = Vec::new();
                for (name, value) in fields {
                    let field = (leak(name), self.spell(value));
                    let place = usize::from(self.choice()) % (spelled.len() + 1);
                    spelled.insert(place, field);
                }
                if self.choice().is_multiple_of(2) {
                    // What this provider never sends, but another one of its format does.
                    let place = usize::from(self.choice()) % (spelled.len() + 1);
                    let absent = ["cache_creation", "service_tier", "x_groq"][usize::from(self.choice()) % 3];
                    if !fields.contains_key(absent) {
                        spelled.insert(place, (absent, Node::Null));
                    }
                }
                if self.has_surprises {
                    let place = usize::from(self.choice()) % (spelled.len() + 1);
                    spelled.insert(place, ("surprise_tokens", Node::Number("77")));
                }
                Node::Object(Vec::leak(spelled))
            }
            other => crate::support::node(other),
        }
    }

    fn number(&mut self, digits: &str) -> &'static str {
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        match self.choice() % 4 {
            0 => leak(&format!("{digits}.0")),
            1 if digits != "0" && zeros > 0 => leak(&format!("{}e{zeros}", &digits[..digits.len() - zeros])),
            2 => leak(&format!("{digits}.000e+0")),
            _ => leak(digits),
        }
    }
}

fn normalized(
    report: Report,
    usage: Option<Node<'static>>,
    stream: Option<Vec<Node<'static>>>,
) -> Normalized<'static> {
    let json = |node| Json { text: "", node };
    let stream = stream.map(|nodes| {
        let fields: &'static [_] = Vec::leak(vec![("stream_usages", Node::List(Vec::leak(nodes)))]);
        json(Node::Object(fields))
    });
    let bare = event(&json!({"endpoint_family": report.family(), "provider": "somebody", "model": "m"}));
    let event: &'static UsageEvent<'static> =
        Box::leak(Box::new(UsageEvent { usage: usage.map(json), context: stream, ..bare }));
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized).unwrap();
    normalized
}

fn shown(normalized: &Normalized<'_>) -> Vec<(&'static str, u64)> {
    let quantity = |quantity: ledger::money::Decimal| u64::try_from(quantity.to_i64().unwrap()).unwrap();
    let mut units: Vec<_> =
        normalized.main.quantities.iter().map(|(unit, number)| (unit.name(), quantity(number))).collect();
    units.sort_unstable();
    units
}

fn flags(normalized: &Normalized<'_>) -> Vec<&'static str> {
    normalized.main.flags.iter().map(Flag::name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_report_gives_back_what_happened_however_it_is_spelled(
        truth in truth(), choices in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        for report in REPORTS {
            let truth = report.limit(truth.clone());
            let written = report.write(&truth);
            let plain = normalized(*report, Some(crate::support::node(&written)), None);
            prop_assert_eq!(shown(&plain), truth.units(), "{:?} {}", report, written);
            let mut expected = Vec::new();
            // Nobody reports the modality of what was written; it could be that of any token.
            if truth.written_in_all() > 0 && truth.uncached[1..].iter().any(|part| *part > 0) {
                expected.push("modality_split_estimated");
            }
            if matches!(report, Report::GeminiThoughtsInside) {
                expected.push("thoughts_inside_candidates");
            }
            prop_assert_eq!(flags(&plain), expected, "{:?} {}", report, &written);
            prop_assert_eq!(plain.main.quantities.input_tokens(), truth.prompt() + truth.tool, "Σ input");
            prop_assert_eq!(plain.main.quantities.output_tokens(), truth.completion(), "Σ output");
            prop_assert_eq!(plain.main.dimensions.prompt_tokens_total, truth.prompt());
            prop_assert!(plain.is_reported);

            let spelled = normalized(*report, Some(Spelling::new(&choices, false).spell(&written)), None);
            prop_assert_eq!(&spelled.main, &plain.main, "{:?} spelled in another way", report);

            let surprised = normalized(*report, Some(Spelling::new(&choices, true).spell(&written)), None);
            prop_assert_eq!(&surprised.main.quantities, &plain.main.quantities);
            prop_assert!(surprised.main.flags.contains(Flag::UnknownUsageField), "{:?}", report);
        }
    }

    #[test]
    fn a_cumulative_stream_is_its_final_report(
        truth in truth(), choices in proptest::collection::vec(any::<u8>(), 1..40), chunks in 1_u64..6,
        repeats_itself in any::<bool>(),
    ) {
        // The chunks of a realtime session are its turns, which add up.
        for report in REPORTS.iter().filter(|report| !matches!(report, Report::Realtime)) {
            let truth = report.limit(truth.clone());
            let whole = normalized(*report, Some(crate::support::node(&report.write(&truth))), None);
            let mut spelling = Spelling::new(&choices, false);
            let mut stream = vec![Node::Null];
            for chunk in 1..=chunks {
                stream.push(spelling.spell(&report.write(&truth.after(chunk, chunks))));
                stream.push(Node::Null);
            }
            let own = repeats_itself.then(|| spelling.spell(&report.write(&truth)));
            let streamed = normalized(*report, own, Some(stream));
            prop_assert_eq!(&streamed.main, &whole.main, "{:?}", report);
        }
    }

    #[test]
    fn the_turns_of_a_realtime_session_add_up(turns in proptest::collection::vec(truth(), 1..5)) {
        let turns: Vec<Truth> = turns.into_iter().map(|turn| Report::Realtime.limit(turn)).collect();
        let nodes = turns.iter().map(|turn| crate::support::node(&Report::Realtime.write(turn))).collect();
        let session = normalized(Report::Realtime, None, Some(nodes));
        for unit in Unit::ALL {
            let sum: u64 = turns.iter().flat_map(Truth::units).filter(|(name, _)| *name == unit.name()).map(|(_, n)| n).sum();
            prop_assert_eq!(session.main.quantities.get(*unit), sum.into(), "{}", unit);
        }
    }

    /// Counters at random contradict each other nearly always: the totals hold all the same.
    #[test]
    fn contradictions_never_change_the_totals(
        numbers in proptest::collection::vec(prop_oneof![0_u64..40, tokens()], 24),
    ) {
        let [p, o, t, cached, written, audio, image, r, audio_out, hour] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|i| numbers[i]);
        let node = |usage: Value| Some(crate::support::node(&usage));
        let chat = normalized(Report::Chat, node(json!({
            "prompt_tokens": p, "completion_tokens": o, "total_tokens": t,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio,
                "image_tokens": image, "text_tokens": hour, "cached_tokens_details": {"audio_tokens": numbers[10],
                "text_tokens": numbers[11]}},
            "completion_tokens_details": {"reasoning_tokens": r, "audio_tokens": audio_out, "text_tokens": numbers[12]},
        })), None);
        prop_assert_eq!(chat.main.quantities.input_tokens(), p);
        let beside = if r > 0 && t == p + o + r { r } else { 0 };
        prop_assert_eq!(chat.main.quantities.output_tokens(), o + beside);
        let claude = normalized(Report::Anthropic, node(json!({
            "input_tokens": p, "cache_read_input_tokens": cached, "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_1h_input_tokens": hour, "ephemeral_5m_input_tokens": image},
            "output_tokens": o, "output_tokens_details": {"thinking_tokens": r},
        })), None);
        prop_assert_eq!(claude.main.quantities.input_tokens(), p + cached + written);
        prop_assert_eq!(claude.main.quantities.output_tokens(), o);
        let details = |from: usize| -> Vec<Value> {
            ["TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT"].iter().zip(&numbers[from..])
                .map(|(modality, tokens)| json!({"modality": modality, "tokenCount": tokens})).collect()
        };
        let gemini = normalized(Report::Gemini, node(json!({
            "promptTokenCount": p, "cachedContentTokenCount": cached, "candidatesTokenCount": o,
            "thoughtsTokenCount": r, "toolUsePromptTokenCount": audio, "totalTokenCount": t,
            "promptTokensDetails": details(10), "cacheTokensDetails": details(14), "candidatesTokensDetails": details(18),
        })), None);
        prop_assert_eq!(gemini.main.quantities.input_tokens(), p + audio);
        let is_inside = r > 0 && t == p + audio + o;
        prop_assert_eq!(gemini.main.quantities.output_tokens(), if is_inside { o } else { o + r });
    }
}

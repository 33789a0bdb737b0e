//! Dresses counts in the usage object of a vendor, with the details that each sends along. One way only: nothing here
//! is ever read back.

use serde::Serialize;

use crate::attempt::Attempt;
use crate::counts::Counts;
use crate::offers::{Offer, Shape, Tier};

/// A usage object.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Usage {
    OpenAi(OpenAi),
    DeepSeek(DeepSeek),
    Mistral(Mistral),
    Responses(Responses),
    Embedding(Embedding),
    Image(Image),
    Anthropic(Anthropic),
    Gemini(Gemini),
    /// A counter that no ledger can accept.
    Broken(Broken),
}

#[derive(Serialize)]
pub(crate) struct OpenAi {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_sources_used: Option<u64>,
}

#[derive(Serialize)]
struct PromptDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    text_tokens: Option<u64>,
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens: Option<u64>,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tokens: Option<u64>,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_prediction_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_prediction_tokens: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct DeepSeek {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: CachedDetails,
    prompt_cache_hit_tokens: u64,
    prompt_cache_miss_tokens: u64,
}

#[derive(Serialize)]
struct CachedDetails {
    cached_tokens: u64,
}

#[derive(Serialize)]
pub(crate) struct Mistral {
    prompt_audio_seconds: Option<u64>,
    prompt_tokens: u64,
    total_tokens: u64,
    completion_tokens: u64,
    prompt_tokens_details: CachedDetails,
}

#[derive(Serialize)]
pub(crate) struct Responses {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: ReasoningDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct ReasoningDetails {
    reasoning_tokens: u64,
}

#[derive(Serialize)]
pub(crate) struct Embedding {
    prompt_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize)]
pub(crate) struct Image {
    input_tokens: u64,
    input_tokens_details: ImageDetails,
    output_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize)]
struct ImageDetails {
    image_tokens: u64,
    text_tokens: u64,
}

#[derive(Serialize)]
pub(crate) struct Anthropic {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<Lifetimes>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<ThinkingDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerTools>,
    service_tier: &'static str,
    inference_geo: &'static str,
}

#[derive(Serialize)]
struct Lifetimes {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct ThinkingDetails {
    thinking_tokens: u64,
}

#[derive(Serialize)]
struct ServerTools {
    web_search_requests: u64,
    web_fetch_requests: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gemini {
    prompt_token_count: u64,
    candidates_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    tool_use_prompt_token_count: u64,
    prompt_tokens_details: Modalities,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_tokens_details: Option<[Modality; 1]>,
    traffic_type: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Modalities {
    Text([Modality; 1]),
    TextAndImage([Modality; 2]),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    modality: &'static str,
    token_count: u64,
}

#[derive(Serialize)]
pub(crate) struct Broken {
    prompt_tokens: i128,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Usage {
    /// The usage object of an attempt; `None` where no answer came.
    pub(crate) fn of(attempt: &Attempt) -> Option<Self> {
        if !attempt.has_usage() {
            return None;
        }
        let (counts, offer) = (&attempt.counts, attempt.offer());
        Some(match offer.shape {
            Shape::Chat => Self::OpenAi(OpenAi::of(counts, offer)),
            Shape::Xai => Self::OpenAi(OpenAi::of(counts, offer).by_xai(counts)),
            Shape::DeepSeek => Self::DeepSeek(DeepSeek::of(counts)),
            Shape::Mistral => Self::Mistral(Mistral::of(counts)),
            Shape::Responses => Self::Responses(Responses::of(counts)),
            Shape::Embedding => {
                Self::Embedding(Embedding { prompt_tokens: counts.uncached, total_tokens: counts.uncached })
            }
            Shape::Image => Self::Image(Image::of(counts)),
            Shape::Anthropic => Self::Anthropic(Anthropic::of(counts, attempt.tier)),
            Shape::Gemini => Self::Gemini(Gemini::of(counts, attempt.tier)),
        })
    }

    /// An OpenAI usage object with this prompt counter.
    pub(crate) const fn broken(prompt_tokens: i128) -> Self {
        Self::Broken(Broken { prompt_tokens, completion_tokens: 17, total_tokens: 17 })
    }
}

impl OpenAi {
    const fn of(counts: &Counts, offer: &Offer) -> Self {
        let (prompt, completion) = (counts.prompt(), counts.text + counts.reasoning);
        // Predicted outputs are a feature of the models that do not think.
        let predictions = if offer.thinks { None } else { Some(0) };
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: PromptDetails {
                text_tokens: None,
                cached_tokens: counts.read,
                cache_write_tokens: if counts.written > 0 { Some(counts.written) } else { None },
                audio_tokens: 0,
                image_tokens: None,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: counts.reasoning,
                audio_tokens: 0,
                accepted_prediction_tokens: predictions,
                rejected_prediction_tokens: predictions,
            },
            num_sources_used: None,
        }
    }

    /// xAI leaves reasoning out of the completion, and counts text before the cache.
    const fn by_xai(self, counts: &Counts) -> Self {
        Self {
            completion_tokens: counts.text,
            prompt_tokens_details: PromptDetails {
                text_tokens: Some(self.prompt_tokens),
                image_tokens: Some(0),
                ..self.prompt_tokens_details
            },
            num_sources_used: Some(0),
            ..self
        }
    }
}

impl DeepSeek {
    const fn of(counts: &Counts) -> Self {
        let (prompt, completion) = (counts.prompt(), counts.text + counts.reasoning);
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
            prompt_tokens_details: CachedDetails { cached_tokens: counts.read },
            prompt_cache_hit_tokens: counts.read,
            prompt_cache_miss_tokens: prompt - counts.read,
        }
    }
}

impl Mistral {
    const fn of(counts: &Counts) -> Self {
        let (prompt, completion) = (counts.prompt(), counts.text + counts.reasoning);
        Self {
            prompt_audio_seconds: None,
            prompt_tokens: prompt,
            total_tokens: prompt + completion,
            completion_tokens: completion,
            prompt_tokens_details: CachedDetails { cached_tokens: counts.read },
        }
    }
}

impl Responses {
    const fn of(counts: &Counts) -> Self {
        let (input, output) = (counts.prompt(), counts.text + counts.reasoning);
        Self {
            input_tokens: input,
            input_tokens_details: InputDetails {
                cached_tokens: counts.read,
                cache_write_tokens: counts.written,
            },
            output_tokens: output,
            output_tokens_details: ReasoningDetails { reasoning_tokens: counts.reasoning },
            total_tokens: input + output,
        }
    }
}

impl Image {
    const fn of(counts: &Counts) -> Self {
        Self {
            input_tokens: counts.prompt(),
            input_tokens_details: ImageDetails { image_tokens: counts.image, text_tokens: counts.uncached },
            output_tokens: counts.output_image,
            total_tokens: counts.prompt() + counts.output_image,
        }
    }
}

impl Anthropic {
    fn of(counts: &Counts, tier: Tier) -> Self {
        let written = counts.written_5m + counts.written_1h;
        let lifetimes = Lifetimes {
            ephemeral_5m_input_tokens: counts.written_5m,
            ephemeral_1h_input_tokens: counts.written_1h,
        };
        let tools = ServerTools { web_search_requests: counts.searches, web_fetch_requests: counts.fetches };
        let thinking = ThinkingDetails { thinking_tokens: counts.reasoning };
        Self {
            input_tokens: counts.uncached,
            cache_creation_input_tokens: written,
            cache_read_input_tokens: counts.read,
            cache_creation: (written > 0).then_some(lifetimes),
            output_tokens: counts.text + counts.reasoning,
            output_tokens_details: (counts.reasoning > 0).then_some(thinking),
            server_tool_use: (counts.searches > 0).then_some(tools),
            service_tier: if tier == Tier::Batch { "batch" } else { "standard" },
            inference_geo: "global",
        }
    }
}

impl Gemini {
    fn of(counts: &Counts, tier: Tier) -> Self {
        let text = Modality { modality: "TEXT", token_count: counts.uncached + counts.read };
        let image = Modality { modality: "IMAGE", token_count: counts.image };
        let cached = Modality { modality: "TEXT", token_count: counts.read };
        let tool = counts.tool + counts.grounding;
        Self {
            prompt_token_count: counts.prompt(),
            candidates_token_count: counts.text,
            total_token_count: counts.prompt() + counts.text + counts.reasoning + tool,
            cached_content_token_count: counts.read,
            thoughts_token_count: counts.reasoning,
            tool_use_prompt_token_count: tool,
            prompt_tokens_details: if counts.image > 0 {
                Modalities::TextAndImage([text, image])
            } else {
                Modalities::Text([text])
            },
            cache_tokens_details: (counts.read > 0).then_some([cached]),
            traffic_type: match tier {
                Tier::Flex => "ON_DEMAND_FLEX",
                Tier::Priority => "ON_DEMAND_PRIORITY",
                Tier::Standard | Tier::Batch => "ON_DEMAND",
            },
        }
    }
}

/// What the usage object does not tell, but the response does.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Context {
    Output {
        output: Vec<OutputItem>,
    },
    #[serde(rename_all = "camelCase")]
    Grounding {
        grounding_metadata: Grounding,
    },
    Image {
        n: u64,
        size: &'static str,
        quality: &'static str,
    },
}

#[derive(Serialize)]
pub(crate) struct OutputItem {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
}

#[derive(Serialize)]
struct Action {
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grounding {
    web_search_queries: &'static [&'static str],
}

const QUERIES: [&str; 3] = ["exchange rate today", "opening hours city archive", "latest release notes"];

impl Context {
    /// The context of an attempt; `None` where usage tells all.
    pub(crate) fn of(attempt: &Attempt) -> Option<Self> {
        let searches = usize::try_from(attempt.counts.searches).unwrap_or_default();
        match attempt.offer().shape {
            Shape::Image if attempt.has_usage() => {
                Some(Self::Image { n: 1, size: "1024x1024", quality: "medium" })
            }
            Shape::Responses if searches > 0 => {
                let call = |action| OutputItem {
                    r#type: "web_search_call",
                    action: Some(Action { r#type: action }),
                };
                // Opening a page that was found is a call as well, but none that is charged.
                let calls = std::iter::repeat_n("search", searches).chain(["open_page"]).map(call);
                let message = OutputItem { r#type: "message", action: None };
                Some(Self::Output { output: calls.chain([message]).collect() })
            }
            Shape::Gemini if searches > 0 => {
                let web_search_queries = &QUERIES[..searches.min(QUERIES.len())];
                Some(Self::Grounding { grounding_metadata: Grounding { web_search_queries } })
            }
            _ => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

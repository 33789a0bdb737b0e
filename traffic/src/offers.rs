//! What is called: models at their providers, how often, and how each can be used. The prices are in `prices.json`.

/// Counts as `Tier::ALL` has them.
pub(crate) const TIERS: usize = 4;

/// How a request is served, as far as prices tell the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Standard = 0,
    Flex = 1,
    Priority = 2,
    Batch = 3,
}

/// Which usage object answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Chat,
    DeepSeek,
    Xai,
    Mistral,
    Responses,
    Embedding,
    Image,
    Anthropic,
    Gemini,
}

/// What the model does with a prompt cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    None,
    /// Reads are reported, writes are not.
    Reads,
    /// Both are.
    ReadsAndWrites,
}

/// A model at a provider.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) provider: &'static str,
    pub(crate) model: &'static str,
    pub(crate) family: &'static str,
    pub(crate) shape: Shape,
    /// How often it is called, relative to the others.
    pub(crate) weight: u64,
    pub(crate) cache: Cache,
    pub(crate) thinks: bool,
    pub(crate) searches: bool,
    /// Other tiers in which it is called now and then.
    pub(crate) tiers: &'static [Tier],
    /// Prompts around this size are sent now and then, because the price changes there; 0 for never.
    pub(crate) long_from: u64,
}

impl Offer {
    /// Whether every call runs in a batch job.
    pub(crate) fn is_batch(&self) -> bool {
        self.family == "openai-batch"
    }

    /// Whether the model writes an answer, token by token.
    pub(crate) fn is_chat(&self) -> bool {
        !matches!(self.shape, Shape::Embedding | Shape::Image)
    }

    const fn cache(self, cache: Cache) -> Self {
        Self { cache, ..self }
    }

    const fn thinks(self) -> Self {
        Self { thinks: true, ..self }
    }

    const fn searches(self) -> Self {
        Self { searches: true, ..self }
    }

    const fn tiers(self, tiers: &'static [Tier]) -> Self {
        Self { tiers, ..self }
    }

    const fn long_from(self, long_from: u64) -> Self {
        Self { long_from, ..self }
    }
}

const fn offer(
    (family, shape): (&'static str, Shape),
    provider: &'static str,
    model: &'static str,
    weight: u64,
) -> Offer {
    Offer {
        provider,
        model,
        family,
        shape,
        weight,
        cache: Cache::None,
        thinks: false,
        searches: false,
        tiers: &[],
        long_from: 0,
    }
}

const CHAT: (&str, Shape) = ("openai", Shape::Chat);
const RESPONSES: (&str, Shape) = ("openai-response", Shape::Responses);
const BATCH: (&str, Shape) = ("openai-batch", Shape::Chat);
const EMBEDDING: (&str, Shape) = ("embeddings", Shape::Embedding);
const IMAGE: (&str, Shape) = ("image-generation", Shape::Image);
const ANTHROPIC: (&str, Shape) = ("anthropic", Shape::Anthropic);
const GEMINI: (&str, Shape) = ("gemini", Shape::Gemini);
const FLEX_PRIORITY: &[Tier] = &[Tier::Flex, Tier::Priority];
const PRIORITY: &[Tier] = &[Tier::Priority];
const BATCHES: &[Tier] = &[Tier::Batch];

/// Everything that is called: 40 models, three of them also at a second provider and two also in batch jobs. Nobody
/// prices the last two: one is too new, one is the company's own.
pub(crate) static OFFERS: [Offer; 45] = [
    offer(CHAT, "openai", "gpt-6-sol", 80)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .tiers(FLEX_PRIORITY)
        .long_from(272_000),
    offer(CHAT, "openai", "gpt-6-luna", 110).cache(Cache::ReadsAndWrites).thinks().tiers(FLEX_PRIORITY),
    offer(CHAT, "openai", "gpt-6.1-sol", 40).cache(Cache::ReadsAndWrites).thinks().tiers(FLEX_PRIORITY),
    offer(CHAT, "openai", "gpt-5.6-terra", 25).cache(Cache::ReadsAndWrites).thinks().tiers(FLEX_PRIORITY),
    offer(CHAT, "openai", "gpt-5.5", 20).cache(Cache::Reads).thinks().tiers(FLEX_PRIORITY).long_from(272_000),
    offer(CHAT, "openai", "gpt-5.4-mini", 60).cache(Cache::Reads).thinks().tiers(FLEX_PRIORITY),
    offer(CHAT, "openai", "gpt-4.1", 25).cache(Cache::Reads).tiers(PRIORITY),
    offer(CHAT, "openai", "gpt-4o", 20).cache(Cache::Reads).tiers(PRIORITY),
    offer(CHAT, "openai", "gpt-4o-mini", 45).cache(Cache::Reads).tiers(PRIORITY),
    offer(CHAT, "openai", "o4-mini", 12).cache(Cache::Reads).thinks().tiers(FLEX_PRIORITY),
    offer(RESPONSES, "openai", "gpt-6-astra", 12)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY),
    offer(RESPONSES, "openai", "gpt-5.6-luna", 40)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY),
    offer(RESPONSES, "openai", "gpt-5.3-codex", 30).cache(Cache::Reads).thinks().tiers(PRIORITY),
    offer(RESPONSES, "openai", "gpt-5.1-codex-mini", 15).cache(Cache::Reads).thinks(),
    offer(RESPONSES, "openai", "gpt-5-mini", 35).cache(Cache::Reads).thinks().searches().tiers(FLEX_PRIORITY),
    offer(RESPONSES, "openai", "gpt-5-nano", 30).cache(Cache::Reads).thinks().searches().tiers(&[Tier::Flex]),
    offer(EMBEDDING, "openai", "text-embedding-3-large", 80),
    offer(EMBEDDING, "openai", "text-embedding-3-small", 130),
    offer(EMBEDDING, "mistral", "mistral-embed", 10),
    offer(IMAGE, "openai", "gpt-image-2", 8),
    offer(IMAGE, "openai", "gpt-image-1-mini", 10),
    offer(ANTHROPIC, "anthropic", "claude-haiku-5-5", 75)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(BATCHES)
        .long_from(100_000),
    offer(ANTHROPIC, "anthropic", "claude-sonnet-5-5", 90)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(BATCHES),
    offer(ANTHROPIC, "anthropic", "claude-opus-5-5", 30)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(BATCHES),
    offer(ANTHROPIC, "anthropic", "claude-sonnet-4-6", 35)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(BATCHES),
    offer(ANTHROPIC, "anthropic", "claude-fable-5-1", 8)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .searches()
        .tiers(BATCHES),
    offer(ANTHROPIC, "anthropic", "claude-haiku-4-5", 30)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .tiers(BATCHES),
    offer(GEMINI, "gemini", "gemini-3.8-flash", 60)
        .cache(Cache::Reads)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY),
    offer(GEMINI, "gemini", "gemini-2.5-flash", 45)
        .cache(Cache::Reads)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY),
    offer(GEMINI, "gemini", "gemini-2.5-pro", 20)
        .cache(Cache::Reads)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY)
        .long_from(200_000),
    offer(GEMINI, "gemini", "gemini-3.1-pro-preview", 15)
        .cache(Cache::Reads)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY)
        .long_from(200_000),
    offer(GEMINI, "gemini", "gemini-3.5-flash-lite", 40)
        .cache(Cache::Reads)
        .thinks()
        .searches()
        .tiers(FLEX_PRIORITY),
    offer(("openai", Shape::DeepSeek), "deepseek", "deepseek-chat", 30).cache(Cache::Reads),
    offer(("openai", Shape::Xai), "xai", "grok-4.7", 15).cache(Cache::Reads).thinks().long_from(200_000),
    offer(("openai", Shape::Xai), "xai", "grok-code-fast-1", 20).cache(Cache::Reads).thinks(),
    offer(("openai", Shape::Mistral), "mistral", "mistral-large-4", 12).cache(Cache::Reads),
    offer(("openai", Shape::Mistral), "mistral", "mistral-small-latest", 18).cache(Cache::Reads),
    offer(("openai", Shape::Mistral), "mistral", "mistral-medium-3-5", 10).cache(Cache::Reads),
    offer(CHAT, "azure", "gpt-6-sol", 30)
        .cache(Cache::ReadsAndWrites)
        .thinks()
        .tiers(PRIORITY)
        .long_from(272_000),
    offer(CHAT, "azure", "gpt-4.1", 12).cache(Cache::Reads).tiers(PRIORITY),
    offer(CHAT, "azure", "gpt-4o-mini", 20).cache(Cache::Reads),
    offer(BATCH, "openai", "gpt-5.4-mini", 25).cache(Cache::Reads).thinks(),
    offer(BATCH, "openai", "gpt-6-luna", 30).cache(Cache::ReadsAndWrites).thinks(),
    offer(CHAT, "openai", "gpt-6-nova-preview", 3).cache(Cache::Reads).thinks(),
    offer(CHAT, "self_hosted", "atlas-72b-instruct", 5).cache(Cache::None),
];

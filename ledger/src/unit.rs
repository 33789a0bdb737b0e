//! The closed list of billable units. They are disjoint: no token, second or call is counted in two of them.

/// Declares the units once: variant, name, kind and meaning.
macro_rules! units {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $kind:ident;)+) => {
        /// What a quantity counts. No two units ever count the same thing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Unit { $($(#[$meta])* $variant),+ }

        impl Unit {
            /// All units, in the order in which lines are listed.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name on the wire and in the store.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The unit of that name; `None` for any other text.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// What is counted.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind),+ }
            }
        }
    };
}

/// What a unit counts, and so which rules its quantities and prices follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Tokens that go in; whole, and subject to tiers, context steps and multipliers.
    InputToken,
    /// Tokens that come out; whole, and subject to tiers, context steps and multipliers.
    OutputToken,
    /// Pieces and calls; whole.
    Count,
    /// Durations and products with a duration; decimal.
    Measure,
}

units! {
    /// Prompt tokens of text, neither read from nor written to a cache.
    InputUncachedTokens = "input_uncached_tokens", InputToken;
    /// Audio tokens of the prompt, not from a cache.
    InputUncachedAudioTokens = "input_uncached_audio_tokens", InputToken;
    /// Image tokens of the prompt, not from a cache.
    InputUncachedImageTokens = "input_uncached_image_tokens", InputToken;
    /// Video tokens of the prompt, not from a cache.
    InputUncachedVideoTokens = "input_uncached_video_tokens", InputToken;
    /// Document tokens of the prompt, not from a cache.
    InputUncachedDocumentTokens = "input_uncached_document_tokens", InputToken;
    /// Tokens that the provider's tools put into the prompt.
    InputToolTokens = "input_tool_tokens", InputToken;
    /// Tokens that search grounding put into the prompt; the search is paid for instead.
    InputGroundingTokens = "input_grounding_tokens", InputToken;
    /// Text and document tokens read from the provider's prompt cache.
    InputCacheReadTokens = "input_cache_read_tokens", InputToken;
    /// Audio tokens read from the prompt cache.
    InputCacheReadAudioTokens = "input_cache_read_audio_tokens", InputToken;
    /// Image tokens read from the prompt cache.
    InputCacheReadImageTokens = "input_cache_read_image_tokens", InputToken;
    /// Video tokens read from the prompt cache.
    InputCacheReadVideoTokens = "input_cache_read_video_tokens", InputToken;
    /// Tokens written to the prompt cache, for a time that is not stated.
    InputCacheWriteTokens = "input_cache_write_tokens", InputToken;
    /// Tokens written to the prompt cache for five minutes.
    InputCacheWrite5mTokens = "input_cache_write_5m_tokens", InputToken;
    /// Tokens written to the prompt cache for an hour.
    InputCacheWrite1hTokens = "input_cache_write_1h_tokens", InputToken;
    /// Generated text tokens, reasoning aside.
    OutputTextTokens = "output_text_tokens", OutputToken;
    /// Generated reasoning tokens.
    OutputReasoningTokens = "output_reasoning_tokens", OutputToken;
    /// Generated audio tokens.
    OutputAudioTokens = "output_audio_tokens", OutputToken;
    /// Generated image tokens.
    OutputImageTokens = "output_image_tokens", OutputToken;
    /// Generated video tokens.
    OutputVideoTokens = "output_video_tokens", OutputToken;
    /// Tokens of citations.
    OutputCitationTokens = "output_citation_tokens", OutputToken;
    /// Unicode code points given to a speech model.
    InputCharacters = "input_characters", Count;
    /// Images given.
    InputImages = "input_images", Count;
    /// Images generated.
    OutputImages = "output_images", Count;
    /// Pages read.
    InputPages = "input_pages", Count;
    /// Pages annotated.
    InputAnnotatedPages = "input_annotated_pages", Count;
    /// Seconds of audio given.
    InputAudioSeconds = "input_audio_seconds", Measure;
    /// Seconds of audio generated.
    OutputAudioSeconds = "output_audio_seconds", Measure;
    /// Seconds of an audio session, both directions.
    SessionAudioSeconds = "session_audio_seconds", Measure;
    /// Seconds of video given.
    InputVideoSeconds = "input_video_seconds", Measure;
    /// Seconds of video generated.
    OutputVideoSeconds = "output_video_seconds", Measure;
    /// Web searches run by the provider.
    WebSearchCalls = "web_search_calls", Count;
    /// Prompts that were grounded in a search, however many queries it took.
    GroundedPrompts = "grounded_prompts", Count;
    /// Lookups in maps.
    MapsGroundingCalls = "maps_grounding_calls", Count;
    /// Searches of X posts.
    XSearchCalls = "x_search_calls", Count;
    /// Searches of uploaded files.
    FileSearchCalls = "file_search_calls", Count;
    /// Pages fetched by the provider.
    WebFetchCalls = "web_fetch_calls", Count;
    /// Sandboxes opened to run code.
    CodeExecutionSessions = "code_execution_sessions", Count;
    /// Searches as rerank models count them.
    SearchUnits = "search_units", Count;
    /// Texts classified.
    Classifications = "classifications", Count;
    /// Units of guardrail policies.
    GuardrailUnits = "guardrail_units", Count;
    /// Requests; one is implied by every event.
    Requests = "requests", Count;
    /// Tokens kept in an explicit cache, times hours.
    CacheStorageTokenHours = "cache_storage_token_hours", Measure;
    /// Seconds in which an agent was active.
    AgentActiveSeconds = "agent_active_seconds", Measure;
}

impl Unit {
    /// How many units there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The common token units, which have columns of their own in the store.
    pub const FIXED: [Self; 7] = [
        Self::InputUncachedTokens,
        Self::InputCacheReadTokens,
        Self::InputCacheWriteTokens,
        Self::InputCacheWrite5mTokens,
        Self::InputCacheWrite1hTokens,
        Self::OutputTextTokens,
        Self::OutputReasoningTokens,
    ];

    /// The position in [`Unit::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether tokens are counted, on either side.
    #[must_use]
    pub const fn is_token(self) -> bool {
        matches!(self.kind(), Kind::InputToken | Kind::OutputToken)
    }

    /// Whether tokens of the input side are counted.
    #[must_use]
    pub const fn is_input_token(self) -> bool {
        matches!(self.kind(), Kind::InputToken)
    }

    /// Whether tokens of the output side are counted.
    #[must_use]
    pub const fn is_output_token(self) -> bool {
        matches!(self.kind(), Kind::OutputToken)
    }

    /// Whether only whole quantities make sense.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        !matches!(self.kind(), Kind::Measure)
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnitSet(u64);

const _: () = assert!(Unit::COUNT <= 64, "UnitSet is one word");

impl UnitSet {
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// Adds a unit.
    pub const fn insert(&mut self, unit: Unit) {
        self.0 |= 1 << unit.index();
    }

    /// Takes a unit out.
    pub const fn remove(&mut self, unit: Unit) {
        self.0 &= !(1 << unit.index());
    }

    /// The members of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the unit is a member.
    #[must_use]
    pub const fn contains(self, unit: Unit) -> bool {
        self.0 & (1 << unit.index()) != 0
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many members there are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The members, in the order of [`Unit::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Unit> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let unit = *Unit::ALL.get(usize::try_from(rest.trailing_zeros()).ok()?)?;
            rest &= rest - 1;
            Some(unit)
        })
    }
}

impl FromIterator<Unit> for UnitSet {
    fn from_iter<I: IntoIterator<Item = Unit>>(units: I) -> Self {
        let mut set = Self::EMPTY;
        units.into_iter().for_each(|unit| set.insert(unit));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_to_its_unit() {
        for unit in Unit::ALL {
            assert_eq!(Unit::parse(unit.name()), Some(*unit));
            assert_eq!(Unit::ALL[unit.index()], *unit);
        }
        assert_eq!(Unit::parse("input_tokens"), None, "inclusive names are no units");
    }

    #[test]
    fn a_set_lists_its_members_in_order() {
        let set: UnitSet = [Unit::AgentActiveSeconds, Unit::InputUncachedTokens].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Unit::InputUncachedTokens, Unit::AgentActiveSeconds]);
        assert_eq!(set.len(), 2);
        assert_eq!(UnitSet::EMPTY.iter().count(), 0);
    }
}

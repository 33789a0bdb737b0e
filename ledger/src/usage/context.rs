//! Reads what billing needs beside the usage object: output items, request seconds or characters, sizes.

use super::number::{count, decimal_or_text, list, stated};
use super::{Error, Node};
use crate::event::UsageEvent;
use crate::money::Decimal;

/// The parts of `context` that change what is billed. Fields that are not listed are evidence only.
#[derive(Default)]
pub(super) struct Context<'a> {
    pub(super) aggregate: bool,
    pub(super) aborted: bool,
    pub(super) processing: Option<&'a str>,
    pub(super) service_tier: Option<&'a str>,
    pub(super) is_latency_optimized: bool,
    pub(super) status: Option<&'a str>,
    pub(super) output: &'a [Node<'a>],
    pub(super) stream_usages: &'a [Node<'a>],
    pub(super) tool_usage: Option<Node<'a>>,
    pub(super) trace: Option<Node<'a>>,
    pub(super) transcription_model: Option<&'a str>,
    /// What that model used beside the one that answered; one object for each transcription.
    pub(super) transcription_usages: &'a [Node<'a>],
    pub(super) seconds: Stated<'a>,
    pub(super) characters: Stated<'a>,
    /// The text that was spoken, where its characters were not counted.
    pub(super) input: Option<&'a str>,
    /// The images that came back.
    pub(super) data: Stated<'a>,
    pub(super) images: Stated<'a>,
    /// How many were asked for.
    pub(super) n: Stated<'a>,
    pub(super) videos: Stated<'a>,
    pub(super) pages: Stated<'a>,
    pub(super) annotated_pages: Stated<'a>,
    pub(super) search_units: Stated<'a>,
    pub(super) size: Option<&'a str>,
    pub(super) quality: Option<&'a str>,
    pub(super) resolution: Option<&'a str>,
    pub(super) audio: Option<&'a str>,
    pub(super) search_context_size: Option<&'a str>,
    pub(super) grounding: Grounding<'a>,
}

/// A quantity under the name that it was found by. It is read only where its family asks for it: elsewhere a field
/// of that name is evidence, whatever it holds.
#[derive(Clone, Copy, Default)]
pub(super) struct Stated<'a>(Option<(&'a str, Node<'a>)>);

impl<'a> Stated<'a> {
    /// A whole number; of a list, how many items it has.
    pub(super) fn count(self) -> Result<Option<u64>, Error> {
        match self.0 {
            None => Ok(None),
            Some((_, Node::List(items))) => Ok(u64::try_from(items.len()).ok()),
            Some((name, value)) => count(name, value),
        }
    }

    /// A number, or the text of one.
    pub(super) fn decimal(self) -> Result<Option<Decimal>, Error> {
        self.0.map_or(Ok(None), |(name, value)| decimal_or_text(name, value))
    }

    fn see(&mut self, name: &'a str, value: Node<'a>) {
        self.0 = Some((name, value));
    }
}

/// What a response was grounded in.
#[derive(Default)]
pub(super) struct Grounding<'a> {
    /// Distinct search queries that are not empty.
    queries: Vec<&'a str>,
    /// Whether maps were looked up.
    pub(super) maps: bool,
    /// Whether pages or code brought further tool tokens.
    pub(super) other_tools: bool,
}

impl<'a> Context<'a> {
    /// What an event's context says; nothing where it has none.
    pub(super) fn of(event: &UsageEvent<'a>) -> Result<Self, Error> {
        let mut context = Self::default();
        for (name, value) in stated(event.context.map_or(Node::Null, |context| context.node)) {
            context.read(name, value)?;
        }
        Ok(context)
    }

    fn read(&mut self, name: &'a str, value: Node<'a>) -> Result<(), Error> {
        match name {
            "aggregate" => self.aggregate = value == Node::Bool(true),
            "aborted" => self.aborted = value == Node::Bool(true),
            "processing" => self.processing = value.text(),
            "serviceTier" => self.service_tier = value.get("type").unwrap_or(value).text(),
            "performanceConfig" => self.is_latency_optimized = is_latency_optimized(value),
            "status" => self.status = value.text(),
            "output" => self.output = value.items(),
            "stream_usages" => self.stream_usages = list(name, value)?,
            "tool_usage" => self.tool_usage = Some(value),
            "trace" => self.trace = Some(value),
            "transcription_model" => self.transcription_model = value.text(),
            "transcription_usages" => self.transcription_usages = list(name, value)?,
            "seconds" | "duration" | "duration_seconds" | "durationSeconds" | "request_seconds"
            | "audio_seconds" => self.seconds.see(name, value),
            "characters" | "input_characters" | "request_characters" => self.characters.see(name, value),
            "input" | "text" => self.input = value.text(),
            "data" => self.data.see(name, value),
            "images" | "image_count" | "output_images" => self.images.see(name, value),
            "n" => self.n.see(name, value),
            "videos" | "generated_videos" | "generatedVideos" => self.videos.see(name, value),
            "pages" | "input_pages" => self.pages.see(name, value),
            "annotated_pages" => self.annotated_pages.see(name, value),
            "search_units" => self.search_units.see(name, value),
            "size" => self.size = value.text(),
            "quality" => self.quality = value.text(),
            "resolution" => self.resolution = value.text(),
            "audio" | "generate_audio" | "generateAudio" => self.audio = on_or_off(value),
            "search_context_size" => self.search_context_size = value.text(),
            "grounding_metadata" | "groundingMetadata" => self.grounding.read(value),
            "web_search_queries" | "webSearchQueries" => self.grounding.see_queries(value),
            "url_context_metadata" | "urlContextMetadata" => self.grounding.other_tools = true,
            "candidates" => {
                for candidate in value.items() {
                    self.grounding.read_candidate(candidate);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Grounding<'a> {
    /// How many distinct queries there were.
    pub(super) fn searches(&self) -> u64 {
        self.queries.iter().fold(0, |number, _| number + 1)
    }

    /// Whether a search or a map was used.
    pub(super) fn is_used(&self) -> bool {
        !self.queries.is_empty() || self.maps
    }

    fn read_candidate(&mut self, candidate: &Node<'a>) {
        let field = |one, two| candidate.get(one).or_else(|| candidate.get(two));
        if let Some(metadata) = field("groundingMetadata", "grounding_metadata") {
            self.read(metadata);
        }
        self.other_tools |= field("urlContextMetadata", "url_context_metadata").is_some();
    }

    fn read(&mut self, metadata: Node<'a>) {
        let field = |one, two| metadata.get(one).or_else(|| metadata.get(two));
        self.see_queries(field("webSearchQueries", "web_search_queries").unwrap_or(Node::Null));
        let chunks = field("groundingChunks", "grounding_chunks").unwrap_or(Node::Null);
        self.maps |= chunks.items().iter().any(|chunk| chunk.get("maps").is_some());
    }

    /// A query counts once, wherever else in the response it stands.
    fn see_queries(&mut self, queries: Node<'a>) {
        for query in queries.items().iter().filter_map(Node::text) {
            if !query.trim().is_empty() && !self.queries.contains(&query) {
                self.queries.push(query);
            }
        }
    }
}

/// Bedrock's dearer way to run some models.
pub(super) fn is_latency_optimized(performance: Node<'_>) -> bool {
    performance.get("latency").and_then(|latency| latency.text()) == Some("optimized")
}

/// Sound, as a provider's boolean or as the dimension's own text.
fn on_or_off(value: Node<'_>) -> Option<&str> {
    match value {
        Node::Bool(true) => Some("on"),
        Node::Bool(false) => Some("off"),
        other => other.text(),
    }
}

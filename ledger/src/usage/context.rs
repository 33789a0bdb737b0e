//! Reads what billing needs beside the usage object: output items, request seconds or characters, sizes.

use super::number::{count, decimal_or_text, list};
use super::{Error, Node};
use crate::event::UsageEvent;
use crate::money::Decimal;

/// The parts of `context` that change what is billed. Fields that are not listed are evidence only.
#[derive(Default)]
pub(super) struct Context<'a> {
    pub(super) aggregate: bool,
    pub(super) aborted: bool,
    pub(super) processing: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) output: &'a [Node<'a>],
    pub(super) stream_usages: &'a [Node<'a>],
    pub(super) tool_usage: Option<Node<'a>>,
    pub(super) transcription_model: Option<&'a str>,
    pub(super) seconds: Option<Decimal>,
    pub(super) characters: Option<u64>,
    pub(super) images: Option<u64>,
    pub(super) n: Option<u64>,
    pub(super) videos: Option<u64>,
    pub(super) pages: Option<u64>,
    pub(super) size: Option<&'a str>,
    pub(super) quality: Option<&'a str>,
    pub(super) resolution: Option<&'a str>,
    pub(super) audio: Option<&'a str>,
    pub(super) search_context_size: Option<&'a str>,
    pub(super) grounding: Grounding,
}

/// What a response was grounded in.
#[derive(Clone, Copy, Default)]
pub(super) struct Grounding {
    /// Distinct search queries that are not empty.
    pub(super) queries: u64,
    /// Whether maps were looked up.
    pub(super) maps: bool,
    /// Whether pages or code brought further tool tokens.
    pub(super) other_tools: bool,
}

impl<'a> Context<'a> {
    /// What an event's context says; nothing where it has none.
    pub(super) fn of(event: &UsageEvent<'a>) -> Result<Self, Error> {
        let mut context = Self::default();
        for (name, value) in event.context.map_or(&[][..], |context| context.node.fields()) {
            context.read(name, *value)?;
        }
        Ok(context)
    }

    fn read(&mut self, name: &str, value: Node<'a>) -> Result<(), Error> {
        match name {
            "aggregate" => self.aggregate = value == Node::Bool(true),
            "aborted" => self.aborted = value == Node::Bool(true),
            "processing" => self.processing = value.text(),
            "status" => self.status = value.text(),
            "output" => self.output = value.items(),
            "stream_usages" => self.stream_usages = list(name, value)?,
            "tool_usage" => self.tool_usage = Some(value).filter(|value| !value.is_null()),
            "transcription_model" => self.transcription_model = value.text(),
            "seconds" | "duration_seconds" | "durationSeconds" => {
                self.seconds = decimal_or_text(name, value)?;
            }
            "characters" => self.characters = count(name, value)?,
            "images" | "image_count" | "data" => self.images = count_or_items(name, value)?,
            "n" => self.n = count(name, value)?,
            "videos" | "generated_videos" | "generatedVideos" => self.videos = count_or_items(name, value)?,
            "pages" => self.pages = count(name, value)?,
            "size" => self.size = value.text(),
            "quality" => self.quality = value.text(),
            "resolution" => self.resolution = value.text(),
            "audio" | "generate_audio" | "generateAudio" => self.audio = on_or_off(value),
            "search_context_size" => self.search_context_size = value.text(),
            "grounding_metadata" | "groundingMetadata" => self.grounding.read(value),
            "web_search_queries" | "webSearchQueries" => self.grounding.queries = distinct(value.items()),
            "url_context_metadata" | "urlContextMetadata" => self.grounding.other_tools = !value.is_null(),
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

impl Grounding {
    /// Whether a search or a map was used.
    pub(super) fn is_used(self) -> bool {
        self.queries > 0 || self.maps
    }

    fn read_candidate(&mut self, candidate: &Node<'_>) {
        let field = |one, two| candidate.get(one).or_else(|| candidate.get(two));
        if let Some(metadata) = field("groundingMetadata", "grounding_metadata") {
            self.read(metadata);
        }
        self.other_tools |= field("urlContextMetadata", "url_context_metadata").is_some();
    }

    fn read(&mut self, metadata: Node<'_>) {
        let field = |one, two| metadata.get(one).or_else(|| metadata.get(two));
        let queries = field("webSearchQueries", "web_search_queries");
        self.queries += queries.map_or(0, |queries| distinct(queries.items()));
        let chunks = field("groundingChunks", "grounding_chunks").unwrap_or(Node::Null);
        self.maps |= chunks.items().iter().any(|chunk| chunk.get("maps").is_some());
    }
}

/// How many different texts there are that are not empty.
fn distinct(items: &[Node<'_>]) -> u64 {
    let text = |item: &Node<'_>| item.text().is_some_and(|text| !text.trim().is_empty());
    let new = |(position, item): &(usize, &Node<'_>)| text(item) && !items[..*position].contains(item);
    items.iter().enumerate().filter(new).fold(0, |number, _| number + 1)
}

/// A number, or how many items a list has.
fn count_or_items(name: &str, value: Node<'_>) -> Result<Option<u64>, Error> {
    match value {
        Node::List(items) => Ok(u64::try_from(items.len()).ok()),
        other => count(name, other),
    }
}

/// Sound, as a provider's boolean or as the dimension's own text.
fn on_or_off(value: Node<'_>) -> Option<&str> {
    match value {
        Node::Bool(true) => Some("on"),
        Node::Bool(false) => Some("off"),
        other => other.text(),
    }
}

//! The endpoint families: which accounting shape the usage of each has. A family is one row of the table.

use super::context::Context;
use super::modality::{AUDIO, IMAGE, TEXT};
use super::{
    BATCH, Dimensions, Error, FAST, Flag, Flags, Node, Normalized, ProviderCost, Record, counted, exclusive,
    gemini, inclusive, number,
};
use crate::event::UsageEvent;
use crate::unit::{Unit, UnitSet};

/// One endpoint family.
pub(super) struct Family {
    /// The name on the wire.
    pub(super) name: &'static str,
    shape: Shape,
    /// The modality of prompt tokens that no detail speaks of.
    pub(super) input: usize,
    /// The modality of output tokens that no detail speaks of.
    pub(super) output: usize,
}

/// How the counters of a usage object relate to each other.
#[derive(Clone, Copy)]
enum Shape {
    /// Cache and reasoning are parts of prompt and completion.
    Inclusive,
    /// Cache reads and writes stand beside the input.
    Exclusive,
    /// Thoughts and tool tokens stand beside candidates and prompt.
    Gemini,
    /// The platform passes on the shape of the model's vendor: the field names tell which.
    Native,
    /// Billed units.
    Cohere,
    /// Pages.
    Pages,
    /// Lengths of videos.
    Video,
}

const FAMILIES: &[Family] = &[
    family(CHAT, Shape::Inclusive, TEXT, TEXT),
    family("openai-response", Shape::Inclusive, TEXT, TEXT),
    family("openai-batch", Shape::Inclusive, TEXT, TEXT),
    family("embeddings", Shape::Inclusive, TEXT, TEXT),
    family("image-generation", Shape::Inclusive, TEXT, IMAGE),
    family("audio-speech", Shape::Inclusive, TEXT, AUDIO),
    family(TRANSCRIPTION, Shape::Inclusive, AUDIO, TEXT),
    family(REALTIME, Shape::Inclusive, TEXT, TEXT),
    family("otel-genai", Shape::Inclusive, TEXT, TEXT),
    family("anthropic", Shape::Exclusive, TEXT, TEXT),
    family("gemini", Shape::Gemini, TEXT, TEXT),
    family("gemini-interactions", Shape::Gemini, TEXT, TEXT),
    family("vertex", Shape::Native, TEXT, TEXT),
    family("bedrock", Shape::Native, TEXT, TEXT),
    family("cohere-chat", Shape::Cohere, TEXT, TEXT),
    family("rerank", Shape::Cohere, TEXT, TEXT),
    family("ocr", Shape::Pages, TEXT, TEXT),
    family("video", Shape::Video, TEXT, TEXT),
];

const fn family(name: &'static str, shape: Shape, input: usize, output: usize) -> Family {
    Family { name, shape, input, output }
}

/// OpenAI's chat completions, and whoever speaks their format.
pub(super) const CHAT: &str = "openai";
const REALTIME: &str = "realtime";
const TRANSCRIPTION: &str = "audio-transcription";

impl Family {
    fn find(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }
}

/// The families whose usage can be normalized.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name)
}

/// A usage object on its way to a shape.
pub(super) struct Usage<'a, 's> {
    pub(super) event: &'s UsageEvent<'a>,
    pub(super) family: &'static Family,
    pub(super) context: &'s Context<'a>,
}

impl<'a> Usage<'a, '_> {
    /// The usage objects of a stream in their order, and the event's own as the last; only those that say anything.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = Node<'a>> + use<'a> {
        let own = self.event.usage.map(|usage| usage.node);
        self.context.stream_usages.iter().copied().chain(own).filter_map(said)
    }

    /// The last usage object that says anything; null where none does.
    pub(super) fn last(&self) -> Node<'a> {
        self.all().next_back().unwrap_or(Node::Null)
    }

    /// The usage objects that add up, where each replaces the one before: the last. A realtime session has one for
    /// each of its turns; its own usage, if any, is the last of them or their sum.
    pub(super) fn responses(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let is_session = self.family.name == REALTIME;
        let turns = if is_session { self.context.stream_usages } else { &[] };
        let turns = turns.iter().copied().filter_map(said);
        let last = if turns.clone().next().is_some() { None } else { Some(self.last()) };
        turns.chain(last)
    }

    fn says(&self, name: &str) -> bool {
        self.all().any(|node| node.get(name).is_some())
    }
}

/// The usage object itself, out of Groq's envelope; `None` where it says nothing.
fn said(node: Node<'_>) -> Option<Node<'_>> {
    let node = node.path(&["x_groq", "usage"]).unwrap_or(node);
    number::stated(node).next().is_some().then_some(node)
}

/// Turns the usage, the units or the context of an event into quantities. `out` is overwritten.
///
/// # Errors
/// [`Error`] where a quantity is wrong, does not fit, or belongs to a family that is not known.
pub fn normalize<'a>(event: &UsageEvent<'a>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let context = Context::of(event)?;
    let is_transcription = context.transcription_usages.is_empty();
    out.main.model = context.transcription_model.filter(|_| is_transcription).unwrap_or(event.model);
    out.main.quantities.clear();
    out.main.flags = Flags::EMPTY;
    out.main.dimensions = dimensions(event, &context);
    out.further.clear();
    out.reported_cost = ProviderCost::of(event)?;
    out.is_reported = false;
    match event.units {
        Some(units) => read_units(units, out)?,
        None => read_usage(event, &context, out)?,
    }
    let is_aborted = context.aborted || event.error_class == Some("client_disconnect");
    out.main.flags.insert_if(Flag::AggregateNoTier, context.aggregate);
    out.main.flags.insert_if(Flag::OutputEstimateNeeded, is_aborted && out.is_reported);
    Ok(())
}

fn dimensions<'a>(event: &UsageEvent<'a>, context: &Context<'a>) -> Dimensions<'a> {
    let mut dimensions = Dimensions::of(event);
    if event.service_tier.is_none() {
        dimensions.set_tier(context.service_tier);
    }
    if event.processing.is_none() {
        dimensions.processing = context.processing.unwrap_or(dimensions.processing);
    }
    if context.aggregate || event.endpoint_family == "openai-batch" {
        dimensions.processing = BATCH;
    }
    if event.speed.is_none() && context.is_latency_optimized {
        dimensions.speed = FAST;
    }
    dimensions.size = context.size;
    dimensions.quality = context.quality;
    dimensions.resolution = context.resolution;
    dimensions.audio = context.audio;
    dimensions.search_context_size = context.search_context_size;
    dimensions
}

/// Quantities that are already disjoint.
fn read_units<'a>(units: &[(&'a str, &'a str)], out: &mut Normalized<'a>) -> Result<(), Error> {
    for (name, quantity) in units {
        let unit = Unit::parse(name)
            .ok_or_else(|| Error::malformed(format_args!("{name:?} is not a unit that the ledger knows")))?;
        out.main.quantities.add_decimal(unit, number::parse(name, quantity)?)?;
    }
    out.is_reported = !units.is_empty();
    out.main.dimensions.prompt_tokens_total = out.main.quantities.prompt_tokens();
    Ok(())
}

fn read_usage<'a>(
    event: &UsageEvent<'a>,
    context: &Context<'a>,
    out: &mut Normalized<'a>,
) -> Result<(), Error> {
    let is_video = event.endpoint_family == "video";
    if is_video && event.outcome.is_none() && !context.status.is_none_or(is_completed) {
        return Ok(());
    }
    if let Some(family) = Family::find(event.endpoint_family) {
        let usage = Usage { event, family, context };
        let counted = read_shape(&usage, out)?;
        read_transcriptions(&usage, out)?;
        if out.is_reported {
            return counted::tool_calls(context, counted, &mut out.main.quantities);
        }
    } else if has_usage(event, context) {
        return Err(Error::UnknownFamily { family: event.endpoint_family.to_owned() });
    }
    out.is_reported = counted::from_context(event.endpoint_family, context, &mut out.main.quantities)?;
    Ok(())
}

/// Whether a job has come to its end with a result.
fn is_completed(status: &str) -> bool {
    ["completed", "succeeded", "done"].iter().any(|name| status.eq_ignore_ascii_case(name))
}

/// Whether there is usage that a shape would have to be known for.
fn has_usage(event: &UsageEvent<'_>, context: &Context<'_>) -> bool {
    let own = event.usage.map(|usage| usage.node);
    own.into_iter().chain(context.stream_usages.iter().copied()).any(|node| said(node).is_some())
}

/// What the speech of a session's input was written down with: another model, and so a record of its own.
fn read_transcriptions<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let Some((model, family)) = usage.context.transcription_model.zip(Family::find(TRANSCRIPTION)) else {
        return Ok(());
    };
    let mut record = Record {
        model,
        dimensions: Dimensions { prompt_tokens_total: 0, ..out.main.dimensions },
        ..Record::default()
    };
    for node in usage.context.transcription_usages {
        number::object("transcription_usages", *node).map(drop)?;
        inclusive::normalize_beside(*node, family, usage.event.provider, &mut record)?;
    }
    if !record.quantities.is_empty() {
        out.further.push(record);
    }
    Ok(())
}

/// Normalizes by the shape, and returns the units of tools that the usage counts itself, be it none.
fn read_shape<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<UnitSet, Error> {
    if let Some(own) = usage.event.usage {
        number::object("usage", own.node).map(drop)?;
    }
    // The details and the total of OpenAI's format tell it from Anthropic's, which has other names for both.
    let is_openai = || {
        usage.says("prompt_tokens")
            || (usage.says("input_tokens")
                && (usage.says("input_tokens_details") || usage.says("total_tokens")))
    };
    let is_exclusive =
        || ["input_tokens", "inputTokens", "output_tokens"].iter().any(|name| usage.says(name));
    let shape = match usage.family.shape {
        Shape::Inclusive if usage.says("billed_units") => Shape::Cohere,
        Shape::Native if is_openai() => Shape::Inclusive,
        Shape::Native if usage.family.name == "bedrock" || is_exclusive() => Shape::Exclusive,
        Shape::Native => Shape::Gemini,
        shape => shape,
    };
    match shape {
        Shape::Inclusive => return inclusive::normalize(usage, out),
        Shape::Exclusive => return exclusive::normalize(usage, out),
        Shape::Gemini | Shape::Native => gemini::normalize(usage, out)?,
        Shape::Cohere => counted::cohere(usage, out)?,
        Shape::Pages => counted::pages(usage, out)?,
        Shape::Video => counted::video(usage, out)?,
    }
    Ok(UnitSet::EMPTY)
}

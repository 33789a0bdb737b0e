//! The endpoint families: which accounting shape the usage of each has. A family is one row of the table.

use super::context::Context;
use super::modality::{AUDIO, IMAGE, TEXT};
use super::{
    BATCH, Dimensions, Error, Flag, Flags, Node, Normalized, ProviderCost, counted, exclusive, gemini,
    inclusive, number,
};
use crate::event::UsageEvent;
use crate::unit::Unit;

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
    family("openai", Shape::Inclusive, TEXT, TEXT),
    family("openai-response", Shape::Inclusive, TEXT, TEXT),
    family("openai-batch", Shape::Inclusive, TEXT, TEXT),
    family("embeddings", Shape::Inclusive, TEXT, TEXT),
    family("image-generation", Shape::Inclusive, TEXT, IMAGE),
    family("audio-speech", Shape::Inclusive, TEXT, AUDIO),
    family("audio-transcription", Shape::Inclusive, AUDIO, TEXT),
    family("realtime", Shape::Inclusive, TEXT, TEXT),
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
    /// The usage objects of a stream in their order, and the event's own as the last.
    pub(super) fn all(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let own = self.event.usage.map(|usage| usage.node);
        self.context.stream_usages.iter().copied().chain(own).filter(|node| !node.fields().is_empty())
    }

    /// The last usage object that says anything; null where none does.
    pub(super) fn last(&self) -> Node<'a> {
        let own = self.event.usage.map(|usage| usage.node).filter(|node| !node.fields().is_empty());
        own.or_else(|| self.all().last()).unwrap_or(Node::Null)
    }
}

/// Turns the usage, the units or the context of an event into quantities. `out` is overwritten.
///
/// # Errors
/// [`Error`] where a quantity is wrong, does not fit, or belongs to a family that is not known.
pub fn normalize<'a>(event: &UsageEvent<'a>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let context = Context::of(event)?;
    out.main.model = context.transcription_model.unwrap_or(event.model);
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
    out.main.flags.insert_if(Flag::AggregateNoTier, context.aggregate);
    out.main.flags.insert_if(Flag::OutputEstimateNeeded, context.aborted && out.is_reported);
    Ok(())
}

fn dimensions<'a>(event: &UsageEvent<'a>, context: &Context<'a>) -> Dimensions<'a> {
    let mut dimensions = Dimensions::of(event);
    if event.processing.is_none() {
        dimensions.processing = context.processing.unwrap_or(dimensions.processing);
    }
    if context.aggregate || event.endpoint_family == "openai-batch" {
        dimensions.processing = BATCH;
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
    let family = FAMILIES.iter().find(|family| family.name == event.endpoint_family);
    if let Some(family) = family {
        let usage = Usage { event, family, context };
        read_shape(&usage, out)?;
        if out.is_reported {
            return counted::tool_calls(context, &mut out.main.quantities);
        }
    } else if has_usage(event, context) {
        return Err(Error::UnknownFamily { family: event.endpoint_family.to_owned() });
    }
    let is_charged = event.outcome.is_some();
    counted::from_context(event.endpoint_family, context, is_charged, &mut out.main.quantities)?;
    out.is_reported = !out.main.quantities.is_empty();
    Ok(())
}

/// Whether there is usage that a shape would have to be known for.
fn has_usage(event: &UsageEvent<'_>, context: &Context<'_>) -> bool {
    let own = event.usage.map(|usage| usage.node);
    own.iter().chain(context.stream_usages).any(|node| !node.fields().is_empty())
}

fn read_shape<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    if let Some(own) = usage.event.usage {
        number::object("usage", own.node)?;
    }
    let has = |name| usage.last().get(name).is_some();
    let shape = match usage.family.shape {
        Shape::Native if has("prompt_tokens") => Shape::Inclusive,
        Shape::Native if has("input_tokens") || has("inputTokens") => Shape::Exclusive,
        Shape::Native if usage.family.name == "bedrock" => Shape::Exclusive,
        Shape::Native => Shape::Gemini,
        shape => shape,
    };
    match shape {
        Shape::Inclusive => inclusive::normalize(usage, out),
        Shape::Exclusive => exclusive::normalize(usage, out),
        Shape::Gemini | Shape::Native => gemini::normalize(usage, out),
        Shape::Cohere => counted::cohere(usage, out),
        Shape::Pages => counted::pages(usage, out),
        Shape::Video => counted::video(usage, out),
    }
}

//! Whatever is counted in pieces, pages, characters, seconds or searches: by the provider's own count where there
//! is one, else by what the gateway says of the request.

use super::context::Context;
use super::family::Usage;
use super::number::{count, decimal, object};
use super::{Error, Flag, Node, Normalized, Quantities};
use crate::money::Decimal;
use crate::unit::Unit;

/// Cohere's chat and rerank: billed units are billed, not the tokens that its own prompt template adds.
pub(super) fn cohere<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let node = usage.last();
    let (billed, name) = match (node.get("billed_units"), node.get("tokens")) {
        (Some(billed), _) => (billed, "billed_units"),
        (None, Some(tokens)) => (tokens, "tokens"),
        (None, None) => (node, "usage"),
    };
    let (mut input, mut output, mut total) = (None, None, None);
    for (name, value) in object(name, billed)? {
        let value = *value;
        let unit = match *name {
            "input_tokens" | "prompt_tokens" => {
                input = count(name, value)?;
                continue;
            }
            "output_tokens" => {
                output = count(name, value)?;
                continue;
            }
            "total_tokens" => {
                total = count(name, value)?;
                continue;
            }
            "search_units" => Unit::SearchUnits,
            "classifications" => Unit::Classifications,
            "images" => Unit::InputImages,
            _ => {
                out.main.flags.insert(Flag::UnknownUsageField);
                continue;
            }
        };
        let pieces = count(name, value)?;
        out.is_reported |= pieces.is_some();
        out.main.quantities.add(unit, pieces.unwrap_or(0))?;
    }
    let input = input.or(total);
    out.is_reported |= input.is_some() || output.is_some();
    out.main.dimensions.prompt_tokens_total = input.unwrap_or(0);
    out.main.quantities.add(Unit::InputUncachedTokens, input.unwrap_or(0))?;
    out.main.quantities.add(Unit::OutputTextTokens, output.unwrap_or(0))
}

/// Pages of a document.
pub(super) fn pages<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    read(usage.last(), out, |name| match name {
        "pages_processed" => Some(Unit::InputPages),
        "pages_processed_annotation" => Some(Unit::InputAnnotatedPages),
        _ => None,
    })
}

/// Videos, of which no provider reports more than their length.
pub(super) fn video<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    read(usage.last(), out, |name| match name {
        "seconds" | "duration_seconds" => Some(Unit::OutputVideoSeconds),
        _ => None,
    })
}

fn read<'a>(
    node: Node<'a>,
    out: &mut Normalized<'a>,
    unit_of: impl Fn(&str) -> Option<Unit>,
) -> Result<(), Error> {
    for (name, value) in node.fields() {
        match unit_of(name) {
            Some(unit) => {
                let quantity = decimal(name, *value)?;
                out.is_reported |= quantity.is_some();
                out.main.quantities.add_decimal(unit, quantity.unwrap_or(Decimal::ZERO))?;
            }
            None if *name == "doc_size_bytes" => {}
            None => out.main.flags.insert(Flag::UnknownUsageField),
        }
    }
    Ok(())
}

/// What the request and its result tell of a response without usage.
pub(super) fn from_context(
    family: &str,
    context: &Context<'_>,
    is_charged: bool,
    quantities: &mut Quantities,
) -> Result<(), Error> {
    let seconds = context.seconds.unwrap_or(Decimal::ZERO);
    match family {
        "audio-speech" => quantities.add(Unit::InputCharacters, context.characters.unwrap_or(0)),
        "audio-transcription" => quantities.add_decimal(Unit::InputAudioSeconds, seconds),
        "realtime" => quantities.add_decimal(Unit::SessionAudioSeconds, seconds),
        "image-generation" => quantities.add(Unit::OutputImages, context.images.or(context.n).unwrap_or(0)),
        "ocr" => quantities.add(Unit::InputPages, context.pages.unwrap_or(0)),
        "video" if is_charged || matches!(context.status, None | Some("completed" | "succeeded")) => {
            let videos = Decimal::from(context.videos.unwrap_or(1));
            let seconds = videos.checked_mul(seconds);
            let seconds = seconds.map_err(|error| Error::unpostable(format_args!("seconds: {error}")))?;
            quantities.add_decimal(Unit::OutputVideoSeconds, seconds)
        }
        _ => Ok(()),
    }
}

/// What the tools of a response did, which its usage does not count.
pub(super) fn tool_calls(context: &Context<'_>, quantities: &mut Quantities) -> Result<(), Error> {
    let reported = context.tool_usage.and_then(|usage| usage.path(&["web_search", "num_requests"]));
    let reported = reported.map_or(Ok(None), |requests| count("num_requests", requests))?;
    let searches = calls(context, "web_search_call")
        .filter(|call| call.get("action").is_some_and(|action| is_text(&action, "type", "search")));
    if quantities.get(Unit::WebSearchCalls).is_zero() {
        quantities.add(Unit::WebSearchCalls, reported.unwrap_or(number_of(searches)))?;
    }
    quantities.add(Unit::FileSearchCalls, number_of(calls(context, "file_search_call")))?;
    let opened = calls(context, "code_interpreter_call").enumerate().filter(|(position, call)| {
        let container = call.get("container_id");
        let mut before = calls(context, "code_interpreter_call").take(*position);
        container.is_none() || !before.any(|earlier| earlier.get("container_id") == container)
    });
    quantities.add(Unit::CodeExecutionSessions, number_of(opened))
}

fn calls<'a>(context: &Context<'a>, kind: &'static str) -> impl Iterator<Item = &'a Node<'a>> {
    context.output.iter().filter(move |item| is_text(item, "type", kind))
}

fn is_text(node: &Node<'_>, field: &str, expected: &str) -> bool {
    node.get(field).and_then(|value| value.text()) == Some(expected)
}

fn number_of<T>(items: impl Iterator<Item = T>) -> u64 {
    items.fold(0, |number, _| number + 1)
}

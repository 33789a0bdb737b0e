//! Whatever is counted in pieces, pages, characters, seconds or searches: by the provider's own count where there
//! is one, else by what the gateway says of the request.

use super::context::{Context, Stated};
use super::family::Usage;
use super::number::{count, decimal_or_text, object, stated};
use super::{Error, Flag, Node, Normalized, Quantities};
use crate::money::Decimal;
use crate::unit::{Unit, UnitSet};

/// Cohere's chat, rerank and embeddings, and rerank models elsewhere: billed units are billed, not the tokens that
/// its own prompt template adds.
pub(super) fn cohere<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let node = usage.last();
    let node = node.get("meta").unwrap_or(node);
    let (billed, name) = match (node.get("billed_units"), node.get("tokens")) {
        (Some(billed), _) => (billed, "billed_units"),
        (None, Some(tokens)) => (tokens, "tokens"),
        (None, None) => (node, "usage"),
    };
    if name != "usage" {
        let is_known = |name: &str| {
            matches!(name, "billed_units" | "tokens" | "cached_tokens" | "api_version" | "warnings")
        };
        let has_unknown_field = stated(node).any(|(name, _)| !is_known(name));
        out.main.flags.insert_if(Flag::UnknownUsageField, has_unknown_field);
    }
    let (mut input, mut output, mut total) = (None, None, None);
    for (name, value) in object(name, billed)? {
        let unit = match name {
            "input_tokens" | "prompt_tokens" => {
                input = count(name, value)?.max(input);
                continue;
            }
            "output_tokens" | "completion_tokens" => {
                output = count(name, value)?.max(output);
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
    let output_tokens = output.unwrap_or(0);
    let input = input.or(total.map(|total| total.saturating_sub(output_tokens)));
    let input_tokens = input.unwrap_or(0);
    out.is_reported |= input.is_some() || output.is_some();
    let disagrees = total.is_some_and(|total| total != input_tokens + output_tokens);
    out.main.flags.insert_if(Flag::InconsistentUsage, disagrees);
    out.main.dimensions.prompt_tokens_total = input_tokens;
    out.main.quantities.add(Unit::InputUncachedTokens, input_tokens)?;
    out.main.quantities.add(Unit::OutputTextTokens, output_tokens)
}

/// Pages of a document. Those that were annotated cost more, and are among those that were processed.
pub(super) fn pages<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    let (mut processed, mut annotated) = (None, None);
    for (name, value) in stated(usage.last()) {
        match name {
            "pages_processed" => processed = count(name, value)?,
            "pages_processed_annotation" => annotated = count(name, value)?,
            "doc_size_bytes" => {}
            _ => out.main.flags.insert(Flag::UnknownUsageField),
        }
    }
    let cut = add_pages(processed, annotated, &mut out.main.quantities)?;
    out.main.flags.insert_if(Flag::InconsistentUsage, cut);
    out.is_reported = processed.is_some() || annotated.is_some();
    Ok(())
}

/// Adds pages, and tells whether more are said to be annotated than there are.
fn add_pages(
    processed: Option<u64>,
    annotated: Option<u64>,
    quantities: &mut Quantities,
) -> Result<bool, Error> {
    let all = processed.or(annotated).unwrap_or(0);
    let special = annotated.unwrap_or(0).min(all);
    quantities.add(Unit::InputPages, all - special)?;
    quantities.add(Unit::InputAnnotatedPages, special)?;
    Ok(annotated.is_some_and(|annotated| annotated > all))
}

/// Videos, of which no provider reports more than their length, some of them as text.
pub(super) fn video<'a>(usage: &Usage<'a, '_>, out: &mut Normalized<'a>) -> Result<(), Error> {
    for (name, value) in stated(usage.last()) {
        match name {
            "seconds" | "duration_seconds" => {
                let seconds = decimal_or_text(name, value)?;
                out.is_reported |= seconds.is_some();
                out.main
                    .quantities
                    .add_decimal(Unit::OutputVideoSeconds, seconds.unwrap_or(Decimal::ZERO))?;
            }
            _ => out.main.flags.insert(Flag::UnknownUsageField),
        }
    }
    Ok(())
}

/// What the request and its result tell of a response without usage; tells whether they tell anything, be it zero.
pub(super) fn from_context(
    family: &str,
    context: &Context<'_>,
    quantities: &mut Quantities,
) -> Result<bool, Error> {
    let mut add = |unit, stated: Option<u64>| {
        quantities.add(unit, stated.unwrap_or(0))?;
        Ok(stated.is_some())
    };
    match family {
        "audio-speech" => {
            let spoken = || context.input.map(|input| input.chars().fold(0, |number, _| number + 1));
            add(Unit::InputCharacters, context.characters.count()?.or_else(spoken))
        }
        "image-generation" => {
            let images = [context.data, context.images, context.n].into_iter().map(Stated::count);
            add(Unit::OutputImages, images.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next())
        }
        "ocr" => {
            let (pages, annotated) = (context.pages.count()?, context.annotated_pages.count()?);
            add_pages(pages, annotated, quantities)?;
            Ok(pages.is_some() || annotated.is_some())
        }
        "rerank" => add(Unit::SearchUnits, context.search_units.count()?),
        "embeddings" => {
            let has_characters = add(Unit::InputCharacters, context.characters.count()?)?;
            let has_images = add(Unit::InputImages, context.images.count()?)?;
            let has_seconds = add_seconds(Unit::InputVideoSeconds, context, 1, quantities)?;
            Ok(has_characters || has_images || has_seconds)
        }
        "audio-transcription" => add_seconds(Unit::InputAudioSeconds, context, 1, quantities),
        "realtime" => add_seconds(Unit::SessionAudioSeconds, context, 1, quantities),
        "video" => {
            let videos = context.videos.count()?;
            let has_seconds =
                add_seconds(Unit::OutputVideoSeconds, context, videos.unwrap_or(1), quantities)?;
            Ok(has_seconds || videos == Some(0))
        }
        _ => Ok(false),
    }
}

fn add_seconds(
    unit: Unit,
    context: &Context<'_>,
    pieces: u64,
    quantities: &mut Quantities,
) -> Result<bool, Error> {
    let Some(seconds) = context.seconds.decimal()? else { return Ok(false) };
    let seconds = Decimal::from(pieces).checked_mul(seconds);
    let seconds = seconds.map_err(|error| Error::unpostable(format_args!("seconds: {error}")))?;
    quantities.add_decimal(unit, seconds)?;
    Ok(true)
}

/// What the tools of a response did, as far as its usage does not count it.
pub(super) fn tool_calls(
    context: &Context<'_>,
    counted: UnitSet,
    quantities: &mut Quantities,
) -> Result<(), Error> {
    let reported = context.tool_usage.and_then(|usage| usage.path(&["web_search", "num_requests"]));
    let reported = reported.map_or(Ok(None), |requests| count("num_requests", requests))?;
    let searches = calls(context, "web_search_call")
        .filter(|call| call.get("action").is_some_and(|action| is_text(&action, "type", "search")));
    let opened = calls(context, "code_interpreter_call").enumerate().filter(|(position, call)| {
        let container = call.get("container_id");
        let mut before = calls(context, "code_interpreter_call").take(*position);
        container.is_none() || !before.any(|earlier| earlier.get("container_id") == container)
    });
    for (unit, calls) in [
        (Unit::WebSearchCalls, reported.unwrap_or_else(|| number_of(searches))),
        (Unit::FileSearchCalls, number_of(calls(context, "file_search_call"))),
        (Unit::CodeExecutionSessions, number_of(opened)),
    ] {
        if !counted.contains(unit) && quantities.get(unit).is_zero() {
            quantities.add(unit, calls)?;
        }
    }
    let assessed = context.trace.and_then(|trace| trace.get("guardrail")).unwrap_or(Node::Null);
    quantities.add(Unit::GuardrailUnits, policy_units(assessed)?)
}

/// The units of all policies that Bedrock's guardrails applied, wherever in the trace their `usage` stands. What is
/// free has another name (`…PolicyFreeUnits`).
fn policy_units(node: Node<'_>) -> Result<u64, Error> {
    let mut units = 0_u64;
    for item in node.items() {
        units = units.saturating_add(policy_units(*item)?);
    }
    for (name, value) in node.fields() {
        let counted = match *name {
            "usage" => {
                let policies = value.fields().iter().filter(|(name, _)| name.ends_with("PolicyUnits"));
                policies.clone().try_fold(0_u64, |sum, (name, value)| {
                    Ok::<_, Error>(sum.saturating_add(count(name, *value)?.unwrap_or(0)))
                })?
            }
            _ => policy_units(*value)?,
        };
        units = units.saturating_add(counted);
    }
    Ok(units)
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

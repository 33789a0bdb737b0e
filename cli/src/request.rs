//! `tollbook request`: the proof of one request for people, as `GET /v1/requests/{request_id}` answers it.

use std::fmt::Write;

use ::api::answers::{Attempt, AttemptEntry, Entries, Line, Matched, Proof};
use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::service::{Filter, Service, ServiceOptions, filter};
use crate::table::{Column, aligned};

/// Options of `tollbook request`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The request, as the gateway named it
    #[arg(required_unless_present = "filters", conflicts_with = "filters")]
    id: Option<String>,
    /// Instead of an id: the newest request with an attempt of that value, such as attempt_kind=fallback; may be repeated
    #[arg(long = "newest-where", value_parser = filter, value_name = "DIMENSION=VALUE")]
    filters: Vec<Filter>,
    /// Where to look for the newest: attempts from that date or instant on; by default of the current month
    #[arg(long, env = "TOLLBOOK_FROM", value_name = "TIME")]
    from: Option<String>,
    /// Form of the answer
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Asks and prints.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let id = match &options.id {
        Some(id) => id.clone(),
        None => newest(&service, &options.filters, options.from.as_deref())?,
    };
    let proof = service.runtime.block_on(service.client.request(&id))?;
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&proof)?),
        Format::Text => print!("{}", shown(&proof)?),
    }
    Ok(())
}

/// The newest request that has an entry of these values.
fn newest(service: &Service, filters: &[Filter], from: Option<&str>) -> anyhow::Result<String> {
    let mut parameters: Vec<(&str, &str)> =
        filters.iter().map(|(dimension, value)| (dimension.as_str(), value.as_str())).collect();
    parameters.extend(from.map(|from| ("from", from)));
    parameters.push(("limit", "1"));
    let entries = service.runtime.block_on(async {
        let answer = service.client.raw("/v1/entries", &parameters).await?;
        anyhow::Ok(answer.json::<Entries>().await?)
    })?;
    let newest = entries
        .rows
        .into_iter()
        .next()
        .context("no attempt has these values; look further back with --from")?;
    Ok(newest.request_id)
}

fn shown(proof: &Proof) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "request {}", proof.request_id)?;
    let owner = &proof.owner;
    let owners = [
        ("key", &owner.key),
        ("team", &owner.team),
        ("app", &owner.app),
        ("environment", &owner.environment),
        ("customer", &owner.customer),
        ("project", &owner.project),
    ];
    let named = owners.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
    writeln!(text, "of {}", named.collect::<Vec<_>>().join(", "))?;
    for attempt in &proof.attempts {
        write_attempt(&mut text, attempt)?;
    }
    writeln!(text)?;
    for correction in &proof.corrections {
        writeln!(
            text,
            "corrected by {}{} {}: charge {}",
            correction.kind,
            correction.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})")),
            correction.event_id,
            correction.charge
        )?;
    }
    for total in &proof.totals {
        let currency = total.currency.as_deref().unwrap_or("without a price");
        writeln!(
            text,
            "total: list cost {}, cost {} {currency}, charge {} {}",
            total.list_cost,
            total.cost,
            total.charge,
            total.charge_currency.as_deref().unwrap_or(currency)
        )?;
    }
    writeln!(text, "billed in: {}", proof.invoice)?;
    let mut lines: Vec<u32> =
        proof.attempts.iter().flat_map(|attempt| attempt.invoice_lines.clone()).collect();
    lines.sort_unstable();
    lines.dedup();
    if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(u32::to_string).collect();
        writeln!(text, "on its lines: {}", lines.join(", "))?;
    }
    if let Some(unpriced) = &proof.unpriced {
        writeln!(text, "{} entries have no full price", unpriced.entries)?;
    }
    Ok(text)
}

fn write_attempt(text: &mut String, attempt: &Attempt) -> std::fmt::Result {
    let kind = attempt.attempt_kind.as_deref().unwrap_or("primary");
    let after = attempt.fallback_from.as_ref().map(|model| format!(" from {model}")).unwrap_or_default();
    let route = &attempt.route;
    let [provider, model] = [&route.provider, &route.model].map(|name| name.as_deref().unwrap_or("?"));
    writeln!(
        text,
        "\nattempt {}: {kind}{after}, {provider}/{model}, {}",
        attempt.attempt, attempt.occurred_at
    )?;
    if let Some(reversed) = &attempt.reversed {
        let reason = reversed.reason.as_deref().unwrap_or("correction");
        writeln!(text, "  reversed ({reason}) by {} at {}", reversed.origin, reversed.recorded_at)?;
    }
    let status = attempt.status.map(|status| format!("status {status}"));
    let facts = [status, attempt.error_class.clone(), attempt.outcome.clone()];
    let cache = attempt.gateway_cache.as_ref().map(|cache| format!("gateway cache {cache}"));
    let facts: Vec<String> = facts.into_iter().chain([cache]).flatten().collect();
    writeln!(text, "  {}", facts.join(", "))?;
    if let Some(usage) = &attempt.usage {
        writeln!(text, "  reported: {}", usage.get())?;
    }
    for entry in &attempt.entries {
        write_entry(text, entry)?;
    }
    let currency = attempt.currency.as_deref().unwrap_or("without a price");
    let charge_currency = attempt.charge_currency.as_deref().unwrap_or(currency);
    writeln!(text, "  cost {} {currency}, charge {} {charge_currency}", attempt.cost, attempt.charge)?;
    if !attempt.flags.is_empty() {
        writeln!(text, "  noted: {}", attempt.flags.join(", "))?;
    }
    let origin = &attempt.origin;
    writeln!(text, "  event {} in {}/{}/{}", attempt.event_id, origin.topic, origin.partition, origin.offset)
}

fn write_entry(text: &mut String, entry: &AttemptEntry) -> std::fmt::Result {
    if let Some(row) = &entry.model_row {
        writeln!(text, "  priced by {}", priced_by(row))?;
    }
    write_lines(text, &entry.lines)?;
    for (name, plane) in [("list", &entry.list), ("charge", &entry.charging)] {
        let Some(plane) = plane else { continue };
        if let Some(row) = &plane.model_row {
            writeln!(text, "  {name} priced by {}", priced_by(row))?;
        }
        if let Some(markup) = &plane.markup {
            let factor = markup.factor.as_deref().unwrap_or("unknown");
            let terms = markup.terms.as_ref().map_or("", |terms| terms.get());
            writeln!(
                text,
                "  {name} by markup {} version {}, factor {factor}: {terms}",
                markup.id, markup.version
            )?;
        }
        write_lines(text, &plane.lines)?;
    }
    Ok(())
}

fn write_lines(text: &mut String, lines: &[Line]) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::Text("unit"),
        Column::Number("quantity"),
        Column::Number("unit price"),
        Column::Number("amount"),
        Column::Text("price basis"),
    ];
    let table = aligned(&columns, lines.iter().map(line));
    table.lines().try_for_each(|line| writeln!(text, "    {line}"))
}

fn priced_by(row: &Matched) -> String {
    let source = row
        .source
        .as_ref()
        .map(|source| format!("from {source} {}", row.version.as_deref().unwrap_or_default()));
    let matched = row.matched_by.as_ref().map(|how| format!("matched by {how}"));
    let conditions = row.conditions.as_ref().map(|conditions| format!("conditions {conditions}"));
    let unconfirmed = row.unconfirmed.as_ref().map(|why| format!("unconfirmed: {why}"));
    [Some(row.id.clone()), source, matched, conditions, unconfirmed]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn line(line: &Line) -> Vec<String> {
    let or_none = |number: &Option<String>| number.clone().unwrap_or_else(|| "none".to_owned());
    vec![
        line.unit.clone(),
        line.quantity.clone(),
        line.arithmetic.clone().unwrap_or_else(|| or_none(&line.unit_price)),
        or_none(&line.amount),
        line.price_basis.clone(),
    ]
}

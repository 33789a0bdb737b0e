//! The planes of money in `tollbook price`: the markups, accounts and owners that an event is rated with, and the list
//! and the charge with their arithmetic.

use std::path::Path;

use anyhow::Context;
use ledger::entry::Entry;
use ledger::event::Millis;
use ledger::in_force::Book;
use ledger::markup::MarkedLine;
use ledger::planes::{Charging, Marked, Plane};
use ledger::prices::PriceBook;
use schemas::registries::{self, AccountText, Change, MarkupText, OwnerText, Stored};
use serde_json::{Value, json};

use crate::price::{number, show_line, show_row};
use crate::service::Service;

/// Versions that are asked for at a time.
const PAGE: &str = "10000";

/// The book of these prices: with the markups and accounts of files where those are named, and the registries of the
/// service where there is one.
pub(crate) fn book(
    prices: PriceBook,
    (markups, accounts): (Option<&Path>, Option<&Path>),
    service: Option<&Service>,
) -> anyhow::Result<Book> {
    Ok(Book {
        prices,
        markups: registry::<MarkupText>(markups, service)?,
        accounts: registry::<AccountText>(accounts, service)?,
        owners: registry::<OwnerText>(None, service)?,
    })
}

fn registry<C: Change>(file: Option<&Path>, service: Option<&Service>) -> anyhow::Result<C::State> {
    match (file, service) {
        (Some(file), _) => of_file::<C>(file).with_context(|| format!("reading {}", file.display())),
        (None, Some(service)) => of_service::<C>(service),
        (None, None) => Ok(C::State::default()),
    }
}

fn of_file<C: Change>(file: &Path) -> anyhow::Result<C::State> {
    let (changes, _) = registries::parse::<C>(&std::fs::read(file)?)?;
    let outcome = registries::apply(&[], &changes, ingest::book::wall_clock()).map_err(anyhow::Error::msg)?;
    let stored = outcome.set.into_iter().map(|set| Stored {
        id: set.id,
        kind: set.kind,
        version: set.version,
        effective_from: set.effective_from.map(|from| from.0),
        body: set.body,
    });
    Ok(registries::read::<C>(&stored.collect::<Vec<_>>())?)
}

fn of_service<C: Change>(service: &Service) -> anyhow::Result<C::State> {
    let mut state = C::State::default();
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = vec![("limit", PAGE)];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = service.runtime.block_on(service.client.registry(C::TABLE, &parameters))?;
        for row in page["rows"].as_array_mut().into_iter().flatten() {
            add::<C>(row, &mut state)?;
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(state);
        }
    }
}

/// Adds a version as the service shows it.
fn add<C: Change>(row: &mut Value, state: &mut C::State) -> anyhow::Result<()> {
    let fields = row.as_object_mut().context("the service answered with what is no version")?;
    fields.remove("known_from");
    let version = fields.remove("version").and_then(|version| version.as_u64());
    let version = u32::try_from(version.unwrap_or_default())?;
    // Numbers are text in these answers, so that none went through a binary float.
    let text: C = serde_json::from_str(&row.to_string())?;
    let from = text.effective_from().map(|from| Millis(from.as_millisecond()));
    text.insert(state, version, from).map_err(anyhow::Error::msg)
}

/// List and charge of an entry; null where they are the cost.
pub(crate) fn show(entry: &Entry<'_, '_>) -> (Value, Value) {
    let list = entry.list.as_ref().map_or(Value::Null, show_plane);
    let charging = match &entry.charging {
        Charging::AsCost => Value::Null,
        Charging::Row(plane) => show_plane(plane),
        Charging::Markup(marked) => show_marked(marked),
    };
    (list, charging)
}

fn show_plane(plane: &Plane<'_, '_>) -> Value {
    json!({
        "model_row": plane.row.map(show_row),
        "lines": plane.lines.iter().map(|line| show_line(line, plane.row)).collect::<Vec<_>>(),
        "amount": plane.amount.to_string(),
        "currency": plane.currency,
    })
}

fn show_marked(marked: &Marked<'_, '_>) -> Value {
    let markup = marked.by.markup;
    let line = |line: &MarkedLine| {
        let addition = markup.addition(line.unit).filter(|_| line.part == ledger::markup::Part::Usage);
        json!({
            "unit": line.unit.name(),
            "quantity": number(line.quantity),
            "part": line.part.name(),
            "base": line.base.to_string(),
            "addition": addition.map(|addition| addition.amount.to_string()),
            "per": addition.map(|addition| addition.per.to_string()),
            "unit_price": line.unit_price.map(|price| price.to_string()),
            "amount": (!line.is_unpriced).then(|| line.amount.to_string()),
        })
    };
    json!({
        "markup": {
            "id": marked.by.id,
            "version": marked.by.version,
            "base": markup.base.name(),
            "percent": markup.percent.to_string(),
            "factor": markup.factor().map(|factor| factor.to_string()),
            "per_request": markup.per_request.map(|amount| amount.to_string()),
            "minimum": markup.minimum.map(|amount| amount.to_string()),
            "fx": markup.fx.as_ref().map(|fx| json!({ "currency": fx.currency, "rate": fx.rate.to_string() })),
        },
        "lines": marked.lines.iter().map(line).collect::<Vec<_>>(),
        "amount": marked.amount.to_string(),
        "currency": marked.currency,
    })
}

/// The lines of a charge that a markup made, for people.
pub(crate) fn print_marked(charging: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let markup = &charging["markup"];
    println!(
        "  charge by markup {} version {}: {} % on {}, factor {}",
        text(&markup["id"]),
        markup["version"],
        text(&markup["percent"]),
        text(&markup["base"]),
        text(&markup["factor"])
    );
    for line in charging["lines"].as_array().into_iter().flatten() {
        let arithmetic = match line["part"].as_str() {
            Some("per_request") => "for the request".to_owned(),
            Some("minimum") => format!("missing to the minimum of {}", text(&markup["minimum"])),
            _ if line["amount"].is_null() => "no price".to_owned(),
            _ => {
                let mut arithmetic = format!("{} × {}", text(&line["base"]), text(&markup["factor"]));
                if let Some(addition) = line["addition"].as_str() {
                    arithmetic +=
                        &format!(" + {} × {addition} / {}", text(&line["quantity"]), text(&line["per"]));
                }
                arithmetic
            }
        };
        println!("  {:<32} {arithmetic} = {}", text(&line["unit"]), text(&line["amount"]));
    }
}

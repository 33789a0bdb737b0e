//! `tollbook price`: rates one event without posting it, and shows the arithmetic so that a person can redo it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ledger::entry::{Entry, Scratch, entries_for};
use ledger::money::{Amount, Decimal};
use ledger::price::Line;
use ledger::prices::{Match, PriceBook};
use schemas::event::{Arena, Decoder, Record};
use serde_json::{Map, Value, json};

use crate::planes;
use crate::prices::{Form, published, rows_of};
use crate::service::ServiceOptions;

/// Options of `tollbook price`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// File with one event as JSON or Avro; `-` reads standard input
    event: PathBuf,
    /// Price file to rate by; without it the service is asked for its book
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Form of the price file; told by its content where not given
    #[arg(long, value_name = "FORM", requires = "prices")]
    form: Option<Form>,
    /// Markups to charge by: JSON as `POST /v1/markups` takes it; without it, and without a price file, those of the
    /// service
    #[arg(long, value_name = "FILE")]
    markups: Option<PathBuf>,
    /// Accounts, whose plans prices and markups may be for: JSON as `POST /v1/accounts` takes it; else likewise
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// Form of the answer
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Rates the event and prints how.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let bytes = read(&options.event)?;
    let files = (options.markups.as_deref(), options.accounts.as_deref());
    let book = match &options.prices {
        Some(file) => planes::book(PriceBook::new(rows_of(file, options.form)?)?, files, None)?,
        None => {
            let service = options.service.connect()?;
            planes::book(PriceBook::new(published(&service)?)?, files, Some(&service))?
        }
    };
    let arena = Arena::new();
    let record = Record { value: Some(&bytes), content_type: None, log_time: ingest::book::wall_clock() };
    let event = match Decoder::new()?.decode(record, &arena) {
        Ok(event) => event,
        Err(error) => bail!("the event would go to quarantine: {error}"),
    };
    let mut shown = Vec::new();
    let mut sum = Some(Amount::ZERO);
    let rated = entries_for(&event, &book, &mut Scratch::default(), |entry| {
        sum = sum.and_then(|sum| sum.checked_add(entry.cost));
        shown.push(show(entry));
    });
    if let Err(reject) = rated {
        bail!("the event would go to quarantine: {reject}");
    }
    let sum = sum.context("the sum of the entries does not fit")?;
    let answer = whole(shown, sum);
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Text => print_text(&answer),
    }
    Ok(())
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).context("reading standard input")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// The first entry's figures at the top, the amounts of all, and every entry where there are several.
fn whole(entries: Vec<Value>, sum: Amount) -> Value {
    let mut top = match entries.first() {
        Some(Value::Object(first)) => first.clone(),
        _ => Map::new(),
    };
    top.insert("cost".into(), json!(sum.to_string()));
    for (amount, currency) in [("list_cost", "currency"), ("charge", "charge_currency")] {
        top.insert(amount.into(), json!(total(&entries, amount, currency)));
    }
    top.insert("entries".into(), Value::Array(entries));
    Value::Object(top)
}

/// The sum of an amount over all entries; `None` where they are of several currencies.
fn total(entries: &[Value], amount: &str, currency: &str) -> Option<String> {
    let first = entries.first()?;
    let is_same = entries.iter().all(|entry| entry[currency] == first[currency]);
    let sum = entries
        .iter()
        .filter(|_| is_same)
        .try_fold(Amount::ZERO, |sum, entry| sum.checked_add(Amount::parse(entry[amount].as_str()?).ok()?));
    sum.filter(|_| is_same).map(|sum| sum.to_string())
}

fn show(entry: &Entry<'_, '_>) -> Value {
    let units = |lines: &[Line]| -> Map<String, Value> {
        lines.iter().map(|line| (line.unit.to_string(), number(line.quantity))).collect()
    };
    let mut dimensions: Map<String, Value> =
        entry.dimensions.named().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    dimensions.insert("prompt_tokens_total".into(), json!(entry.dimensions.prompt_tokens_total));
    let mut unpriced: Vec<&str> = entry.unpriced.iter().map(ledger::unit::Unit::name).collect();
    if entry.is_unpriced() && unpriced.is_empty() {
        unpriced.push("usage_missing");
    }
    let (list, charging) = planes::show(entry);
    json!({
        "model": entry.model,
        "outcome": entry.outcome.name(),
        "units": units(entry.lines),
        "units_avoided": units(entry.avoided),
        "flags": entry.flags.iter().map(ledger::usage::Flag::name).collect::<Vec<_>>(),
        "dimensions": dimensions,
        "model_row": entry.row.map(show_row),
        "lines": entry.lines.iter().map(|line| show_line(line, entry.row)).collect::<Vec<_>>(),
        "lines_avoided": entry.avoided.iter().map(|line| show_line(line, entry.row)).collect::<Vec<_>>(),
        "list": list,
        "charging": charging,
        "list_cost": entry.list_cost.to_string(),
        "cost": entry.cost.to_string(),
        "charge": entry.charge.to_string(),
        "charge_currency": entry.charge_currency,
        "cost_avoided": entry.cost_avoided.to_string(),
        "currency": entry.currency,
        "unpriced": unpriced,
        "reported_cost": entry.reported_cost.map(|reported| json!({
            "amount": reported.amount.to_string(), "currency": reported.currency, "source": reported.source,
        })),
    })
}

/// The row that priced a plane.
pub(crate) fn show_row(row: Match<'_>) -> Value {
    json!({
        "id": row.row.id,
        "matched_by": row.matched_by.name(),
        "source": row.row.source.name,
        "version": row.row.source.version,
        "unconfirmed": row.row.unconfirmed,
    })
}

/// A line that the row priced.
pub(crate) fn show_line(line: &Line, row: Option<Match<'_>>) -> Value {
    let price = line.price.as_ref();
    let row_price = price
        .and_then(|price| price.row_price)
        .and_then(|index| row.and_then(|row| row.row.prices.get(usize::from(index))));
    json!({
        "unit": line.unit.name(),
        "quantity": number(line.quantity),
        "price": price.map(|price| price.amount.to_string()),
        "per": price.map(|price| price.per.to_string()),
        "factor": price.map(|price| price.factor.to_string()),
        "minimum": price.and_then(|price| price.minimum).map(|minimum| minimum.to_string()),
        "increment": price.and_then(|price| price.increment).map(|increment| increment.to_string()),
        "charged_quantity": price.map(|_| number(line.charged())),
        "condition": row_price.map(|price| price.conditions.to_string()),
        "price_basis": line.basis.to_string(),
        "amount": line.amount.to_string(),
    })
}

/// A whole quantity as a number, any other as a decimal string.
pub(crate) fn number(quantity: Decimal) -> Value {
    quantity.to_i64().map_or_else(|| json!(quantity.to_string()), |whole| json!(whole))
}

fn print_text(answer: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let empty = Vec::new();
    for entry in answer["entries"].as_array().unwrap_or(&empty) {
        println!("{} ({})", text(&entry["model"]), text(&entry["outcome"]));
        match entry["model_row"].as_object() {
            Some(row) => {
                println!("  price row {} ({})", text(&row["id"]), text(&row["matched_by"]));
                if let Some(why) = row["unconfirmed"].as_str() {
                    println!("  unconfirmed: {why}");
                }
            }
            None => println!("  no price row holds"),
        }
        print_lines(&entry["lines"]);
        print_lines(&entry["lines_avoided"]);
        for (name, plane) in [("list", &entry["list"]), ("charge", &entry["charging"])] {
            if let Some(row) = plane["model_row"].as_object() {
                println!("  {name} by price row {} ({})", text(&row["id"]), text(&row["matched_by"]));
                print_lines(&plane["lines"]);
            } else if plane["markup"].is_object() {
                planes::print_marked(plane);
            }
        }
        for (name, label) in [("flags", "flags"), ("unpriced", "unpriced")] {
            let list: Vec<String> = entry[name].as_array().unwrap_or(&empty).iter().map(text).collect();
            if !list.is_empty() {
                println!("  {label}: {}", list.join(", "));
            }
        }
        println!(
            "  list cost {}, cost {} {}, charge {} {}",
            text(&entry["list_cost"]),
            text(&entry["cost"]),
            text(&entry["currency"]),
            text(&entry["charge"]),
            text(&entry["charge_currency"])
        );
    }
    println!("cost {} {}", text(&answer["cost"]), text(&answer["currency"]));
}

/// Lines for people: quantity × price, with what was divided and multiplied.
fn print_lines(lines: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for line in lines.as_array().into_iter().flatten() {
        let mut arithmetic = match line["price"].as_str() {
            None => "no price".to_owned(),
            Some(price) => price.to_owned(),
        };
        if line["per"].as_str().is_some_and(|per| per != "1") {
            arithmetic += &format!(" / {}", text(&line["per"]));
        }
        if line["factor"].as_str().is_some_and(|factor| factor != "1") {
            arithmetic += &format!(" × {}", text(&line["factor"]));
        }
        let mut quantity = text(&line["quantity"]);
        let rounding: Vec<String> = ["minimum", "increment"]
            .into_iter()
            .filter_map(|name| Some(format!("{name} {}", line[name].as_str()?)))
            .collect();
        if !rounding.is_empty() {
            quantity += &format!(" → {} ({})", text(&line["charged_quantity"]), rounding.join(", "));
        }
        let condition = line["condition"].as_str().filter(|condition| !condition.is_empty());
        println!(
            "  {:<32} {quantity:>12} × {arithmetic} = {}  [{}{}]",
            text(&line["unit"]),
            text(&line["amount"]),
            text(&line["price_basis"]),
            condition.map(|condition| format!("; {condition}")).unwrap_or_default()
        );
    }
}

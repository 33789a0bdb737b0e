//! `tollbook reprice` and `tollbook corrections`: many entries made anew, as one operation that can be taken back.

use std::collections::BTreeMap;

use ::api::answers::{Changed, CurrencyAmount, Progress};
use ::api::client::{Corrected, Repriced};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::service::{Filter, ServiceOptions, filter};
use crate::table::{Column, aligned};

/// What stands for entries without a customer.
const NONE: &str = "(none)";

/// Options of `tollbook reprice`.
#[derive(Debug, Args)]
pub(crate) struct Reprice {
    #[command(flatten)]
    entries: Entries,
}

/// Options of `tollbook corrections`.
#[derive(Debug, Args)]
pub(crate) struct Corrections {
    /// What is put right, such as team=search, outcome=not_billed or unit:output_text_tokens=120; may be repeated
    #[arg(long, env = "TOLLBOOK_SET", value_parser = filter, value_name = "FACT=VALUE")]
    set: Vec<Filter>,
    /// Only that event; may be repeated
    #[arg(long = "event", env = "TOLLBOOK_EVENT", value_name = "EVENT_ID")]
    events: Vec<String>,
    #[command(flatten)]
    entries: Entries,
}

/// Which entries, and how it is told.
#[derive(Debug, Args)]
struct Entries {
    /// Start of the period, a date in UTC or an instant
    #[arg(long, env = "TOLLBOOK_FROM", value_name = "TIME", required_unless_present = "revert")]
    from: Option<String>,
    /// End of the period, not part of it
    #[arg(long, env = "TOLLBOOK_TO", value_name = "TIME", required_unless_present = "revert")]
    to: Option<String>,
    /// Only what has that value, such as model=gpt-*; may be repeated
    #[arg(long = "where", env = "TOLLBOOK_WHERE", value_parser = filter, value_name = "DIMENSION=VALUE")]
    filters: Vec<Filter>,
    /// Why; the new entries show it
    #[arg(long, env = "TOLLBOOK_REASON", required_unless_present = "revert", value_name = "TEXT")]
    reason: Option<String>,
    /// Say what would change by model and customer, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take that operation back instead
    #[arg(long, env = "TOLLBOOK_REVERT", value_name = "OPERATION", conflicts_with = "dry_run")]
    revert: Option<String>,
    /// Form of the answer
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Prices entries again, waits until that is finished, and prints what it did.
pub(crate) fn reprice(options: &Reprice) -> anyhow::Result<()> {
    let Reprice { entries } = options;
    let service = entries.service.connect()?;
    let changed = service.runtime.block_on(async {
        let changed = match &entries.revert {
            Some(id) => service.client.revert("reprice", id, entries.reason.as_deref()).await?,
            None => service.client.reprice(&entries.asked()).await?,
        };
        service.client.finished(changed).await
    })?;
    print(&changed, entries.format)
}

/// Puts facts right, waits until that is finished, and prints what it did.
pub(crate) fn corrections(options: &Corrections) -> anyhow::Result<()> {
    let Corrections { set, events, entries } = options;
    let service = entries.service.connect()?;
    let correction = Corrected { entries: entries.asked(), event_ids: events.clone(), set: setting(set)? };
    let changed = service.runtime.block_on(async {
        let changed = match &entries.revert {
            Some(id) => service.client.revert("corrections", id, entries.reason.as_deref()).await?,
            None => service.client.correct(&correction).await?,
        };
        service.client.finished(changed).await
    })?;
    print(&changed, entries.format)
}

impl Entries {
    fn asked(&self) -> Repriced {
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (dimension, value) in &self.filters {
            filters.entry(dimension.clone()).or_default().push(value.clone());
        }
        Repriced {
            from: self.from.clone().unwrap_or_default(),
            to: self.to.clone().unwrap_or_default(),
            filters,
            reason: self.reason.clone().unwrap_or_default(),
            dry_run: self.dry_run,
        }
    }
}

/// Facts by name; those of units together.
fn setting(set: &[Filter]) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut facts = BTreeMap::new();
    let mut units = serde_json::Map::new();
    for (name, value) in set {
        let known = match name.strip_prefix("unit:") {
            Some(unit) => units.insert(unit.to_owned(), value.clone().into()),
            None => facts.insert(name.clone(), value.clone().into()),
        };
        if known.is_some() {
            bail!("--set names {name} twice");
        }
    }
    if !units.is_empty() {
        facts.insert("units".to_owned(), units.into());
    }
    Ok(facts)
}

fn print(changed: &Changed, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        println!("{}", serde_json::to_string_pretty(changed).context("writing the answer")?);
        return Ok(());
    }
    if !changed.changes.is_empty() {
        println!("{}", table(changed));
    }
    let entries = changed.entries;
    match (&changed.id, changed.state) {
        (Some(id), Progress::Finished) => println!("{entries} entries made anew by operation {id}"),
        (Some(id), _) => println!("operation {id} goes on by itself; {entries} entries so far"),
        (None, _) => println!("{entries} entries would be made anew"),
    }
    for CurrencyAmount { currency, amount } in &changed.delta {
        println!("charges change by {amount} {currency}");
    }
    if changed.unpostable > 0 {
        println!("{} entries stay as they are, because new ones do not fit the ledger", changed.unpostable);
    }
    for why in &changed.unpostable_because {
        println!("  {why}");
    }
    Ok(())
}

fn table(changed: &Changed) -> String {
    let columns = [
        Column::Text("model"),
        Column::Text("customer"),
        Column::Number("entries"),
        Column::Number("old"),
        Column::Number("new"),
        Column::Text("currency"),
    ];
    let rows = changed.changes.iter().map(|change| {
        let customer = change.customer.clone().unwrap_or_else(|| NONE.to_owned());
        let (old, new) = (change.old.clone(), change.new.clone());
        vec![change.model.clone(), customer, change.entries.to_string(), old, new, change.currency.clone()]
    });
    aligned(&columns, rows)
}

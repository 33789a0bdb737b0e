//! `tollbook prices`: price files become published rows. Each number is read from its text; what is not used is
//! refused with a reason, and counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use ledger::prices::ModelRow;
use schemas::prices::litellm;
use serde_json::value::RawValue;

use crate::service::ServiceOptions;

/// Options of `tollbook prices`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a price map and publish what is new in it
    Import(Import),
    /// Show what an import would publish
    Diff(Import),
    /// Publish rows of Tollbook's own JSON form
    Publish(Publish),
    /// List published rows
    List(List),
}

#[derive(Debug, Args)]
struct Import {
    /// The file
    file: PathBuf,
    /// Form of the file; told by its content where not given
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Version of the map that its rows name; a hash of the file where not given
    #[arg(long, value_name = "VERSION")]
    map_version: Option<String>,
    /// Publish nothing, show what would be published
    #[arg(long)]
    dry_run: bool,
    /// List every price that was refused, instead of counting them by reason
    #[arg(long)]
    refused: bool,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Args)]
struct Publish {
    /// JSON file with one row or a list of rows
    file: PathBuf,
    /// Publish nothing, show what would be published
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Args)]
struct List {
    /// Rows of that provider
    #[arg(long)]
    provider: Option<String>,
    /// Rows of that model
    #[arg(long)]
    model: Option<String>,
    /// Rows in force at that date or instant
    #[arg(long)]
    at: Option<String>,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Form of a price file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// LiteLLM's map of model prices
    Litellm,
    /// Tollbook's own rows
    Rows,
}

/// Carries out the subcommand.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.command {
        Command::Import(options) => import(options, options.dry_run),
        Command::Diff(options) => import(options, true),
        Command::Publish(options) => {
            let rows = read_rows(&read(&options.file)?, &options.file)?;
            publish(&rows, options.dry_run, &options.service)
        }
        Command::List(options) => list(options),
    }
}

/// The rows of a price file of any form.
pub(crate) fn rows_of(file: &Path, form: Option<Form>) -> anyhow::Result<Vec<ModelRow>> {
    let text = read(file)?;
    match form.unwrap_or_else(|| sniff(&text)) {
        Form::Litellm => Ok(read_map(&text, None, file)?.rows),
        Form::Rows => read_rows(&text, file),
    }
}

fn import(options: &Import, dry_run: bool) -> anyhow::Result<()> {
    let text = read(&options.file)?;
    let rows = match options.form.unwrap_or_else(|| sniff(&text)) {
        Form::Rows => read_rows(&text, &options.file)?,
        Form::Litellm => {
            let import = read_map(&text, options.map_version.as_deref(), &options.file)?;
            report(&import, options.refused);
            import.rows
        }
    };
    publish(&rows, dry_run, &options.service)
}

/// What was used of a map, and what was not and why.
fn report(import: &litellm::Import, each: bool) {
    let summary = &import.summary;
    println!(
        "{} entries: {} began a row, {} added conditions to one, {} repeat another, {} conflict with another, {} have no usable price",
        summary.entries,
        summary.imported,
        summary.folded,
        summary.repeated,
        summary.conflicting,
        summary.unpriced
    );
    println!("{} prices: {} used, {} refused", summary.price_keys, summary.used, summary.refused);
    if each {
        for refusal in &import.refused {
            println!("  {} {}: {}", refusal.key, refusal.price_key, refusal.reason);
        }
        return;
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for refusal in &import.refused {
        *reasons.entry(&refusal.reason).or_default() += 1;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    for (reason, count) in reasons {
        println!("  {count:>5} refused: {reason}");
    }
}

fn publish(rows: &[ModelRow], dry_run: bool, service: &ServiceOptions) -> anyhow::Result<()> {
    let texts = rows
        .iter()
        .map(|row| Ok(RawValue::from_string(schemas::prices::to_json(row)?)?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let service = service.connect()?;
    let preview = service.runtime.block_on(service.client.publish(&texts, true))?;
    let (new, changed, unchanged) = (preview.new.len(), preview.changed.len(), preview.unchanged.len());
    if dry_run {
        println!(
            "Would publish {new} new rows and {changed} later versions; {unchanged} are published already. Nothing was changed."
        );
        return Ok(());
    }
    if new + changed == 0 {
        println!("Nothing to publish: all {unchanged} rows are published already.");
        return Ok(());
    }
    let published = service.runtime.block_on(service.client.publish(&texts, false))?;
    println!("{}", serde_json::to_string_pretty(&published.operation)?);
    Ok(())
}

fn list(options: &List) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let mut cursor: Option<String> = None;
    loop {
        let given = [
            ("provider", options.provider.as_deref()),
            ("model", options.model.as_deref()),
            ("at", options.at.as_deref()),
            ("limit", Some("1000")),
            ("cursor", cursor.as_deref()),
        ];
        let parameters: Vec<(&str, &str)> =
            given.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
        let page = service.runtime.block_on(service.client.models(&parameters))?;
        for row in page.rows {
            println!(
                "{}\t{}\t{}\t{}\tfrom {}",
                row.id,
                row.provider.as_deref().unwrap_or("any provider"),
                row.model,
                row.currency,
                row.effective_from.as_deref().unwrap_or("the beginning")
            );
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn read_rows(text: &str, file: &Path) -> anyhow::Result<Vec<ModelRow>> {
    schemas::prices::list_from_json(text).with_context(|| format!("reading {}", file.display()))
}

fn read_map(text: &str, version: Option<&str>, file: &Path) -> anyhow::Result<litellm::Import> {
    let import = litellm::import(text, version).with_context(|| format!("reading {}", file.display()))?;
    if import.rows.is_empty() {
        bail!("{} has no price that can be used", file.display());
    }
    Ok(import)
}

/// A map is an object of objects; our own rows have an id and prices.
fn sniff(text: &str) -> Form {
    let is_row = |text: &str| text.contains("\"prices\"") && text.contains("\"unit\"");
    if text.trim_start().starts_with('[') || is_row(text) { Form::Rows } else { Form::Litellm }
}

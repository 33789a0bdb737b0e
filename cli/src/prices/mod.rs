//! `tollbook prices`: price files become published rows. Each number is read from its text; what is not used is
//! refused with a reason, and counted; what changes is shown before it does.

mod ask;
mod file;
mod list;
mod report;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use ledger::event::Millis;
use ledger::money::Decimal;
use ledger::prices::ModelRow;
use schemas::prices::{Diff, diff};
use serde_json::value::RawValue;

use crate::service::{Service, ServiceOptions};
pub(crate) use file::{Form, rows_of};
use report::Report;

/// Options of `tollbook prices`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a price file of any known form and publish what is new in it
    ///
    /// Known forms: LiteLLM's map, genai-prices, the answers of OpenRouter's /api/v1/models and of a new-api instance's
    /// /api/pricing, models.dev (api.json, or a model's TOML), and Tollbook's own rows in JSON or YAML. Every price of
    /// the file is used or refused with a reason. A row is compared with those of other sources that are published;
    /// LiteLLM's map also with a copy of genai-prices in this program.
    Import(Import),
    /// Show what an import would publish, and publish nothing
    Diff(Import),
    /// Publish rows of Tollbook's own form, JSON or YAML
    Publish(Publish),
    /// List published rows
    List(list::Options),
}

#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    file: file::Options,
    /// Publish nothing, show what would be published
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    publishing: PublishingOptions,
}

#[derive(Debug, Args)]
struct Publish {
    /// File with one row or a list of rows, JSON or YAML
    file: PathBuf,
    /// Publish nothing, show what would be published
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    publishing: PublishingOptions,
}

#[derive(Debug, Args)]
struct PublishingOptions {
    /// Ask before a price becomes more than this many times what it was, or less than that part of it; from free to
    /// paid and back always asks
    #[arg(long, default_value = "2", value_name = "FACTOR", value_parser = factor)]
    confirm_factor: Decimal,
    /// Publish without asking
    #[arg(long)]
    yes: bool,
    /// List everything: each new row, each price that was refused
    #[arg(long)]
    verbose: bool,
    /// Form of the answer
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn factor(text: &str) -> Result<Decimal, String> {
    let factor = Decimal::parse(text).map_err(|error| error.to_string())?;
    if factor < Decimal::ONE { Err("a factor is at least 1".into()) } else { Ok(factor) }
}

/// Carries out the subcommand.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.command {
        Command::Import(options) => import(&options.file, &options.publishing, options.dry_run),
        Command::Diff(options) => import(&options.file, &options.publishing, true),
        Command::Publish(options) => {
            import(&file::Options::own_rows(&options.file), &options.publishing, options.dry_run)
        }
        Command::List(options) => list::run(options),
    }
}

fn import(file: &file::Options, options: &PublishingOptions, dry_run: bool) -> anyhow::Result<()> {
    let read = file::read(file)?;
    let service = options.service.connect()?;
    let published = published(&service)?;
    let now = ingest::book::wall_clock();
    let mut import = read.import;
    file::confirm(&mut import, read.form, file, &published, now)?;
    let based_on = u64::try_from(published.len()).context("counting the published rows")?;
    let diff = diff(&import.rows, import.source.as_deref(), published, now);
    let mut report = Report::new(file.path(), read.form, import, diff, options.verbose);
    let rows = texts(&report.diff)?;
    if dry_run && !rows.is_empty() {
        report.publishing =
            Some(service.runtime.block_on(service.client.publish(&rows, true, Some(based_on)))?);
    }
    let is_json = options.format == Format::Json;
    if dry_run || rows.is_empty() {
        report.print(is_json)?;
        return report.fail_where_refused();
    }
    if !is_json {
        print!("{}", report.text());
    }
    if !options.yes {
        ask::before_large_changes(&report.diff, options.confirm_factor)?;
    }
    let done = service.runtime.block_on(service.client.publish(&rows, false, Some(based_on)))?;
    if is_json {
        report.publishing = Some(done);
        report.print(true)?;
    } else {
        print!("{}", report::published(&done));
    }
    report.fail_where_refused()
}

/// The rows that are published, as their texts.
fn texts(diff: &Diff) -> anyhow::Result<Vec<Box<RawValue>>> {
    let rows = diff.new.iter().chain(diff.changed.iter().map(|change| &change.row));
    rows.map(|row| Ok(RawValue::from_string(schemas::prices::to_json(row)?)?)).collect()
}

/// The whole book of the service, each row with the time from which it holds.
pub(crate) fn published(service: &Service) -> anyhow::Result<Vec<ModelRow>> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = vec![("limit", "10000")];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = service.runtime.block_on(service.client.models(&parameters))?;
        for row in page.rows {
            let mut model_row = schemas::prices::from_json(row.row.get())?;
            if let Some(from) = row.effective_from {
                let instant: jiff::Timestamp = from.parse()?;
                model_row.effective_from = Some(Millis(instant.as_millisecond()));
            }
            rows.push(model_row);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

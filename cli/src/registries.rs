//! `tollbook markups`, `tollbook accounts` and `tollbook owners`: list and set versions of the registries.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::service::{Service, ServiceOptions};

/// Versions that are asked for at a time.
const PAGE: &str = "1000";

/// Options of `tollbook markups`.
#[derive(Debug, Args)]
pub(crate) struct Markups {
    #[command(subcommand)]
    command: MarkupCommand,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Subcommand)]
enum MarkupCommand {
    /// List markups by version
    List {
        /// Versions of that markup
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Set versions of markups from JSON, as `POST /v1/markups` takes it
    Set(Set),
}

/// Options of `tollbook accounts`.
#[derive(Debug, Args)]
pub(crate) struct Accounts {
    #[command(subcommand)]
    command: AccountCommand,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// List accounts by version
    List {
        /// Versions of the accounts of that id
        #[arg(long)]
        id: Option<String>,
        /// customer or team
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Set versions of accounts from JSON, as `POST /v1/accounts` takes it
    Set(Set),
}

/// Options of `tollbook owners`.
#[derive(Debug, Args)]
pub(crate) struct Owners {
    #[command(subcommand)]
    command: OwnerCommand,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Subcommand)]
enum OwnerCommand {
    /// List whose keys are, by version
    List {
        /// Versions of that key
        #[arg(long)]
        key: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Set whose keys are from JSON, as `POST /v1/owners` takes it
    Set(Set),
    /// Set whose keys are from CSV with a head line: key, team, app, environment, customer, project, cost_center,
    /// effective_from, ended, based_on; what is set already changes nothing
    Import(Set),
}

#[derive(Debug, Args)]
struct At {
    /// Versions in effect at that date or instant; all versions by default
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

#[derive(Debug, Args)]
struct Set {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Show what would be set, and set nothing
    #[arg(long)]
    dry_run: bool,
}

/// Carries out `tollbook markups`.
pub(crate) fn markups(options: Markups) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    match options.command {
        MarkupCommand::List { id, at } => list(&service, "markups", &[("id", id), ("at", at.at)]),
        MarkupCommand::Set(set) => change(&service, "markups", "application/json", &set),
    }
}

/// Carries out `tollbook accounts`.
pub(crate) fn accounts(options: Accounts) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    match options.command {
        AccountCommand::List { id, kind, at } => {
            list(&service, "accounts", &[("id", id), ("kind", kind), ("at", at.at)])
        }
        AccountCommand::Set(set) => change(&service, "accounts", "application/json", &set),
    }
}

/// Carries out `tollbook owners`.
pub(crate) fn owners(options: Owners) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    match options.command {
        OwnerCommand::List { key, at } => list(&service, "owners", &[("key", key), ("at", at.at)]),
        OwnerCommand::Set(set) => change(&service, "owners", "application/json", &set),
        OwnerCommand::Import(set) => change(&service, "owners", "text/csv", &set),
    }
}

/// Prints all versions, page by page, one a line.
fn list(service: &Service, registry: &str, filters: &[(&str, Option<String>)]) -> anyhow::Result<()> {
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters: Vec<(&str, &str)> =
            filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        parameters.push(("limit", PAGE));
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = service.runtime.block_on(service.client.registry(registry, &parameters))?;
        for row in page["rows"].as_array().into_iter().flatten() {
            println!("{row}");
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn change(service: &Service, registry: &str, content_type: &str, set: &Set) -> anyhow::Result<()> {
    let bytes = read(&set.file)?;
    ensure!(!bytes.is_empty(), "{} is empty", set.file.display());
    let setting =
        service.runtime.block_on(service.client.set(registry, (content_type, bytes), set.dry_run))?;
    let answer: Value = serde_json::to_value(&setting)?;
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).context("reading standard input")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

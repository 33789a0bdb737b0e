//! `tollbook quarantine`: the records that were not posted, as `GET /v1/quarantine` answers them.

use ::api::answers::{Quarantine, Quarantined};
use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};

use crate::service::{Service, ServiceOptions};
use crate::table::{Column, aligned};

/// Records of a page at most.
const PAGE_MAX: usize = 100;

/// Options of `tollbook quarantine`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List records with their reasons, newest first
    List(List),
}

#[derive(Debug, Args)]
struct List {
    /// Records of that reason, such as secret or conflict; may be repeated
    #[arg(long, env = "TOLLBOOK_REASON", value_delimiter = ',', value_name = "REASON")]
    reason: Vec<String>,
    /// Logged at or after that date or instant
    #[arg(long, env = "TOLLBOOK_FROM", value_name = "TIME")]
    from: Option<String>,
    /// Logged before that date or instant
    #[arg(long, env = "TOLLBOOK_TO", value_name = "TIME")]
    to: Option<String>,
    /// Records to list at most
    #[arg(long, env = "TOLLBOOK_LIMIT", default_value_t = 50, value_name = "RECORDS")]
    limit: usize,
    /// Form of the list; JSON has the records themselves, one a line
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

/// Carries out the subcommand.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.command {
        Command::List(options) => list(options),
    }
}

fn list(options: &List) -> anyhow::Result<()> {
    ensure!(options.limit > 0, "--limit must be at least 1");
    let service = options.service.connect()?;
    let Quarantine { rows, next_cursor } = service.runtime.block_on(read(&service, options))?;
    if let Format::Json = options.format {
        for row in &rows {
            println!("{}", serde_json::to_string(row)?);
        }
        return Ok(());
    }
    if rows.is_empty() {
        println!("No record is in quarantine.");
        return Ok(());
    }
    let columns = ["id", "logged", "reason", "event", "detail"].map(Column::Text);
    println!("{}", aligned(&columns, rows.iter().map(shown)));
    if next_cursor.is_some() {
        println!("There are more; --limit lists them.");
    }
    Ok(())
}

/// As many records as wanted, over several pages.
async fn read(service: &Service, options: &List) -> anyhow::Result<Quarantine> {
    let mut read = Quarantine { rows: Vec::new(), next_cursor: None };
    loop {
        let limit = options.limit.saturating_sub(read.rows.len()).min(PAGE_MAX).to_string();
        let given = [("from", &options.from), ("to", &options.to), ("cursor", &read.next_cursor)];
        let mut parameters: Vec<(&str, &str)> =
            given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        parameters.extend(options.reason.iter().map(|reason| ("reason", reason.as_str())));
        parameters.push(("limit", &limit));
        let page = service.client.quarantine(&parameters).await?;
        read.rows.extend(page.rows);
        read.next_cursor = page.next_cursor;
        if read.next_cursor.is_none() || read.rows.len() >= options.limit {
            return Ok(read);
        }
    }
}

fn shown(row: &Quarantined) -> Vec<String> {
    vec![
        row.id.clone(),
        row.log_time.clone(),
        row.reason.clone(),
        row.event_id.clone().unwrap_or_default(),
        row.detail.clone(),
    ]
}

//! `tollbook quarantine`: the records that were not posted are listed and shown, sent again, or let go.

mod resolve;

use std::collections::BTreeMap;
use std::io::Write;

use ::api::answers::{Count, Quarantine, Quarantined};
use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};

use crate::service::{Service, ServiceOptions};
use crate::table::{Column, aligned};

/// Records of a page at most.
const PAGE_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  tollbook quarantine list --summary
  tollbook quarantine show usage.events/0/17
  tollbook quarantine replay usage.events/0/17 --event corrected.json --note 'had no model'
  tollbook quarantine replay --reason unknown_family --dry-run
  tollbook quarantine discard --reason tombstone --note 'a compacted topic' --yes";

/// Options of `tollbook quarantine`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List records with their reasons, newest first
    List(List),
    /// Show one record, or write out its bytes
    Show(Show),
    /// Send one record again, as it is or corrected, or all open records that filters choose
    Replay(resolve::Replay),
    /// Let one record go, or all open records that filters choose
    Discard(resolve::Discard),
}

/// Which records.
#[derive(Debug, Args)]
struct Filters {
    /// Records of that reason, such as secret or conflict; may be repeated
    #[arg(long, env = "TOLLBOOK_REASON", value_delimiter = ',', value_name = "REASON")]
    reason: Vec<String>,
    /// Records of that topic; may be repeated
    #[arg(long, value_name = "TOPIC")]
    record_topic: Vec<String>,
    /// Records of that partition
    #[arg(long, value_name = "NUMBER")]
    partition: Option<u32>,
    /// Records of that event; may be repeated
    #[arg(long, value_name = "ID")]
    event_id: Vec<String>,
    /// Records that name that customer; may be repeated
    #[arg(long, value_name = "CUSTOMER")]
    customer: Vec<String>,
    /// Records that name that team; may be repeated
    #[arg(long, value_name = "TEAM")]
    team: Vec<String>,
    /// Records whose detail has that text, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Logged at or after that date or instant
    #[arg(long, env = "TOLLBOOK_FROM", value_name = "TIME")]
    from: Option<String>,
    /// Logged before that date or instant
    #[arg(long, env = "TOLLBOOK_TO", value_name = "TIME")]
    to: Option<String>,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filters: Filters,
    /// What became of the records: open, replayed or discarded; may be repeated. Open ones where not given
    #[arg(long, value_delimiter = ',', value_name = "STATE")]
    state: Vec<String>,
    /// Count records by reason and state instead of listing them
    #[arg(long)]
    summary: bool,
    /// Records to list at most
    #[arg(long, env = "TOLLBOOK_LIMIT", default_value_t = 50, value_name = "RECORDS")]
    limit: usize,
    /// Form of the list; JSON has the records themselves, one a line
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Args)]
struct Show {
    /// The record, as the list names it: topic/partition/offset
    id: String,
    /// Write out the bytes that are kept of it, and nothing else
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Carries out the subcommand.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.command {
        Command::List(options) => list(options),
        Command::Show(options) => show(options),
        Command::Replay(options) => resolve::replay(options),
        Command::Discard(options) => resolve::discard(options),
    }
}

fn list(options: &List) -> anyhow::Result<()> {
    ensure!(options.limit > 0, "--limit must be at least 1");
    let service = options.service.connect()?;
    let Quarantine { rows, summary, next_cursor } = service.runtime.block_on(read(&service, options))?;
    if options.summary {
        return show_summary(&summary.unwrap_or_default(), options.format);
    }
    if let Format::Json = options.format {
        return show_json(&rows);
    }
    if rows.is_empty() {
        println!("No such record is in quarantine.");
        return Ok(());
    }
    let columns = ["id", "logged", "reason", "state", "event", "detail"].map(Column::Text);
    println!("{}", aligned(&columns, rows.iter().map(shown)));
    if next_cursor.is_some() {
        println!("There are more; --limit lists them.");
    }
    Ok(())
}

fn show(options: &Show) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    if options.raw {
        let bytes = service.runtime.block_on(service.client.quarantined_bytes(&options.id))?;
        std::io::stdout().write_all(&bytes)?;
        return Ok(());
    }
    let record = service.runtime.block_on(service.client.quarantined(&options.id))?;
    println!("{}", serde_json::to_string_pretty(&record)?);
    Ok(())
}

/// As many records as wanted, over several pages; of a summary one page.
async fn read(service: &Service, options: &List) -> anyhow::Result<Quarantine> {
    let mut read = Quarantine { rows: Vec::new(), summary: None, next_cursor: None };
    let chosen = options.filters.pairs();
    loop {
        let left = options.limit.saturating_sub(read.rows.len()).min(PAGE_MAX);
        let limit = if options.summary { 1 } else { left }.to_string();
        let mut parameters: Vec<(&str, &str)> =
            chosen.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let time =
            [("from", &options.filters.from), ("to", &options.filters.to), ("cursor", &read.next_cursor)];
        parameters.extend(time.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        parameters.extend(options.state.iter().map(|state| ("state", state.as_str())));
        if options.summary {
            parameters.push(("summary", "true"));
        }
        parameters.push(("limit", &limit));
        let page = service.client.quarantine(&parameters).await?;
        read.rows.extend(page.rows);
        read.summary = page.summary;
        read.next_cursor = page.next_cursor;
        if options.summary || read.next_cursor.is_none() || read.rows.len() >= options.limit {
            return Ok(read);
        }
    }
}

fn show_summary(counts: &[Count], format: Format) -> anyhow::Result<()> {
    if let Format::Json = format {
        return show_json(counts);
    }
    if counts.is_empty() {
        println!("No such record is in quarantine.");
        return Ok(());
    }
    let columns = [
        Column::Text("reason"),
        Column::Text("state"),
        Column::Number("records"),
        Column::Text("first logged"),
        Column::Text("last logged"),
    ];
    let rows = counts.iter().map(|count| {
        vec![
            count.reason.clone(),
            count.state.clone(),
            count.records.to_string(),
            count.first_log_time.clone(),
            count.last_log_time.clone(),
        ]
    });
    println!("{}", aligned(&columns, rows));
    Ok(())
}

fn show_json(rows: &[impl serde::Serialize]) -> anyhow::Result<()> {
    for row in rows {
        println!("{}", serde_json::to_string(row)?);
    }
    Ok(())
}

fn shown(row: &Quarantined) -> Vec<String> {
    vec![
        row.id.clone(),
        row.log_time.clone(),
        row.reason.clone(),
        row.state.clone(),
        row.event_id.clone().unwrap_or_default(),
        row.detail.clone(),
    ]
}

impl Filters {
    /// The filters by the API's names, without the time.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let lists = [
            ("reason", &self.reason),
            ("topic", &self.record_topic),
            ("event_id", &self.event_id),
            ("customer", &self.customer),
            ("team", &self.team),
        ];
        let lists = lists
            .into_iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name, value.clone())));
        let partition = self.partition.map(|number| ("partition", number.to_string()));
        let search = self.search.clone().map(|text| ("search", text));
        lists.chain(partition).chain(search).collect()
    }

    /// The same by name.
    fn by_name(&self) -> BTreeMap<String, Vec<String>> {
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.pairs() {
            filters.entry(name.to_owned()).or_default().push(value);
        }
        filters
    }

    fn is_empty(&self) -> bool {
        self.pairs().is_empty() && self.from.is_none() && self.to.is_none()
    }
}

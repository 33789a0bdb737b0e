//! `tollbook quarantine replay` and `discard`: one record by its id, or all open ones that filters choose, which are
//! counted first and asked about. What stays in quarantine makes the command fail, so that a script notices.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use ::api::answers::{BulkResolved, Refused, Resolved};
use ::api::client::OpenRecords;
use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::value::RawValue;

use super::{Filters, Format};
use crate::options::Usage;
use crate::service::{Service, ServiceOptions};
use crate::table::{Column, aligned};

/// Refused records that are shown to people.
const SHOWN_MAX: usize = 20;

/// Options of `tollbook quarantine replay`.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The record, as the list names it: topic/partition/offset. Without it, filters choose
    id: Option<String>,
    /// File with the event to send in the record's place, under the same event_id; - reads standard input
    #[arg(long, value_name = "FILE", requires = "id")]
    event: Option<PathBuf>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    many: Many,
}

/// Options of `tollbook quarantine discard`.
#[derive(Debug, Args)]
pub(super) struct Discard {
    /// The record, as the list names it: topic/partition/offset. Without it, filters choose
    id: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    many: Many,
}

#[derive(Debug, Args)]
struct Many {
    #[command(flatten)]
    filters: Filters,
    /// Say what would be done with the first page of records, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Form of the answer; JSON has the API's answers, one a line
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

/// What is done with records.
#[derive(Clone, Copy, Debug)]
enum Action {
    Replay,
    Discard,
}

pub(super) fn replay(options: &Replay) -> anyhow::Result<()> {
    let Some(id) = &options.id else {
        return many(Action::Replay, options.note.clone(), &options.many);
    };
    options.many.one_only()?;
    let event = options.event.as_deref().map(read_event).transpose()?;
    let service = options.many.service.connect()?;
    let call = service.client.replay(id, event.as_deref(), options.note.as_deref());
    tell(&service.runtime.block_on(call)?, options.many.format)
}

pub(super) fn discard(options: &Discard) -> anyhow::Result<()> {
    let Some(id) = &options.id else {
        return many(Action::Discard, Some(options.note.clone()), &options.many);
    };
    options.many.one_only()?;
    let service = options.many.service.connect()?;
    tell(&service.runtime.block_on(service.client.discard(id, &options.note))?, options.many.format)
}

impl Many {
    /// A record that is named needs no filters.
    fn one_only(&self) -> Result<(), Usage> {
        if self.filters.is_empty() && !self.dry_run {
            return Ok(());
        }
        Err(Usage("name one record, or choose many with filters and --dry-run, not both"))
    }
}

fn read_event(path: &Path) -> anyhow::Result<Box<RawValue>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("reading the event from standard input")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    }
    serde_json::from_str(text.trim()).with_context(|| format!("{} is no JSON event", path.display()))
}

fn tell(resolved: &Resolved, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        println!("{}", serde_json::to_string(resolved)?);
        return Ok(());
    }
    let Resolved { id, state, event_id, replayed_as, operation } = resolved;
    match (state.as_str(), replayed_as) {
        ("replayed", Some(place)) => {
            println!(
                "Record {id} is replayed: event {} is record {place} of the log.",
                name(event_id.as_deref())
            );
        }
        ("replayed", None) => {
            println!("Record {id} is replayed; its event is on its way to the log, which goes on by itself.");
        }
        ("discarded", _) => println!("Record {id} is discarded."),
        _ => println!("Asked for; operation {operation} goes on by itself."),
    }
    Ok(())
}

fn name(event_id: Option<&str>) -> &str {
    event_id.unwrap_or("without an id")
}

/// All open records that the filters choose, page by page.
fn many(action: Action, note: Option<String>, options: &Many) -> anyhow::Result<()> {
    let filters = &options.filters;
    if filters.is_empty() {
        return Err(
            Usage("name a record, or choose records with filters such as --reason unknown_family").into()
        );
    }
    let service = options.service.connect()?;
    let mut records = OpenRecords {
        filters: filters.by_name(),
        from: filters.from.clone(),
        to: filters.to.clone(),
        note,
        dry_run: true,
        cursor: None,
    };
    let first = page(&service, action, &records)?;
    if options.dry_run {
        return tell_many(action, &[first], options.format);
    }
    if !options.yes && first.matching > 0 {
        ask(action, first.matching)?;
    }
    records.dry_run = false;
    let mut pages = Vec::new();
    loop {
        let done = page(&service, action, &records)?;
        records.cursor.clone_from(&done.next_cursor);
        pages.push(done);
        if records.cursor.is_none() {
            break;
        }
    }
    tell_many(action, &pages, options.format)?;
    let refused: usize = pages.iter().map(|page| page.refused.len()).sum();
    ensure!(refused == 0, "{refused} records stay in quarantine");
    Ok(())
}

fn page(service: &Service, action: Action, records: &OpenRecords) -> anyhow::Result<BulkResolved> {
    Ok(match action {
        Action::Replay => service.runtime.block_on(service.client.replay_open(records))?,
        Action::Discard => service.runtime.block_on(service.client.discard_open(records))?,
    })
}

fn ask(action: Action, count: u64) -> anyhow::Result<()> {
    let verb = match action {
        Action::Replay => "Replay",
        Action::Discard => "Discard",
    };
    if !std::io::stdin().is_terminal() {
        bail!(
            "{count} records match, and nobody is there to be asked: nothing was done; give --yes to do it"
        );
    }
    print!("{verb} {count} records? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was done");
    Ok(())
}

fn tell_many(action: Action, pages: &[BulkResolved], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return super::show_json(pages);
    }
    let resolved: usize = pages.iter().map(|page| page.resolved.len()).sum();
    let refused: Vec<&Refused> = pages.iter().flat_map(|page| &page.refused).collect();
    let past = match action {
        Action::Replay => "replayed",
        Action::Discard => "discarded",
    };
    match pages.first() {
        Some(page) if page.dry_run => println!(
            "{} records match. Of the first {}, {resolved} would be {past} and {} stay in quarantine.",
            page.matching,
            resolved + refused.len(),
            refused.len()
        ),
        _ => println!("{resolved} records {past}, {} stay in quarantine.", refused.len()),
    }
    if refused.is_empty() {
        return Ok(());
    }
    let columns = ["id", "reason", "detail"].map(Column::Text);
    let rows = refused
        .iter()
        .take(SHOWN_MAX)
        .map(|refused| vec![refused.id.clone(), refused.reason.clone(), refused.detail.clone()]);
    println!("{}", aligned(&columns, rows));
    if refused.len() > SHOWN_MAX {
        println!("… and {} more; --format json lists all.", refused.len() - SHOWN_MAX);
    }
    Ok(())
}

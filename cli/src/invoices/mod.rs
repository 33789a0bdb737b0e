//! `tollbook invoices`: what accounts owe for a month is listed and shown, closed, and written out as files.

mod close;
mod export;

use ::api::answers::{Invoice, Invoices};
use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use schemas::invoices::{InvoiceText, LineText};

use crate::options::Usage;
use crate::service::{Service, ServiceOptions};
use crate::table::{Column, aligned};

/// Closed invoices of a page.
const PAGE: &str = "1000";

const EXAMPLES: &str = "\
Examples:
  tollbook invoices list --month 2026-10
  tollbook invoices show --account acme --month 2026-10
  tollbook invoices close --account acme --month 2026-10
  tollbook invoices close --all --month 2026-10 --accept unpriced --reason 'agreed with finance'
  tollbook invoices export --account acme --month 2026-10 --format csv --out acme.csv
  tollbook invoices export --all --month 2026-10 --format focus --out invoices/";

/// Options of `tollbook invoices`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List invoices with their totals
    List(List),
    /// Show one invoice with its lines
    Show(Show),
    /// Close a month of accounts: make its invoices final
    Close(close::Close),
    /// Write an invoice, or all of a month, as files
    Export(export::Export),
}

#[derive(Debug, Args)]
struct List {
    /// Of that customer or team
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// customer or team, where both have that id
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Of that month, such as 2026-10
    #[arg(long, visible_alias = "period", value_name = "YYYY-MM")]
    month: Option<String>,
    /// open or closed; open ones are made where an account or a month is named
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Form of the list; JSON has the invoices themselves, one a line
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    which: Which,
    /// Form of the answer
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

/// One invoice: by its id, or by what it is of.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The invoice, as the list names it; or name its account and month
    id: Option<String>,
    /// Of that customer or team
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// customer or team, where both have that id
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Of that month, such as 2026-10
    #[arg(long, visible_alias = "period", value_name = "YYYY-MM")]
    month: Option<String>,
    /// In that currency, where the account has invoices in several
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
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
        Command::Close(options) => close::run(options),
        Command::Export(options) => export::run(options),
    }
}

fn list(options: &List) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let given = [
        ("account", &options.account),
        ("kind", &options.kind),
        ("period", &options.month),
        ("state", &options.state),
    ];
    let given: Vec<_> =
        given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    let answer = service.runtime.block_on(read(&service, &given))?;
    if options.format == Format::Json {
        for row in &answer.rows {
            println!("{}", serde_json::to_string(row)?);
        }
        return Ok(());
    }
    if answer.rows.is_empty() {
        println!("There is no such invoice.");
        return Ok(());
    }
    println!("{}", totals(&answer.rows));
    println!("complete through {}", answer.complete_through.as_deref().unwrap_or("nothing yet"));
    Ok(())
}

/// All pages of an answer as one.
async fn read(service: &Service, parameters: &[(&str, &str)]) -> anyhow::Result<Invoices> {
    let mut all: Vec<(&str, &str)> = parameters.to_vec();
    all.push(("limit", PAGE));
    let mut answer = service.client.invoices(&all).await?;
    while let Some(cursor) = answer.next_cursor.take() {
        let page = all.iter().copied().chain([("cursor", cursor.as_str())]).collect::<Vec<_>>();
        let page = service.client.invoices(&page).await?;
        answer.rows.extend(page.rows);
        answer.next_cursor = page.next_cursor;
    }
    Ok(answer)
}

fn totals(invoices: &[InvoiceText]) -> String {
    let columns = [
        Column::Text("account"),
        Column::Text("kind"),
        Column::Text("month"),
        Column::Text("state"),
        Column::Number("lines"),
        Column::Number("total"),
        Column::Text("currency"),
        Column::Text("id"),
    ];
    let rows = invoices.iter().map(|invoice| {
        vec![
            invoice.account.clone(),
            invoice.kind.clone(),
            invoice.period.clone(),
            invoice.state.clone(),
            invoice.lines.len().to_string(),
            invoice.total.clone(),
            invoice.currency.clone(),
            invoice.id.clone(),
        ]
    });
    aligned(&columns, rows)
}

fn show(options: &Show) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let id = service.runtime.block_on(options.which.id(&service))?;
    let invoice = service.runtime.block_on(service.client.invoice(&id))?;
    if options.format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&invoice)?);
        return Ok(());
    }
    println!("{}", page(&invoice));
    Ok(())
}

impl Which {
    /// The id that is meant.
    pub(crate) async fn id(&self, service: &Service) -> anyhow::Result<String> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let missing = Usage("name the invoice: by its id, or by --account and --month");
        let (Some(account), Some(month)) = (&self.account, &self.month) else { bail!(missing) };
        let mut parameters = vec![("account", account.as_str()), ("period", month.as_str())];
        parameters.extend(self.kind.as_deref().map(|kind| ("kind", kind)));
        let rows = read(service, &parameters).await?.rows;
        let is_meant = |row: &&InvoiceText| self.currency.as_ref().is_none_or(|code| *code == row.currency);
        let found: Vec<&InvoiceText> = rows.iter().filter(is_meant).collect();
        match found.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => bail!("account {account} has no invoice of {month} in that currency"),
            several => {
                let codes: Vec<_> = several.iter().map(|row| row.currency.as_str()).collect();
                bail!(
                    "account {account} has invoices of {month} in {}: choose with --currency",
                    codes.join(", ")
                )
            }
        }
    }
}

/// An invoice as people read it.
fn page(Invoice { invoice, subtotals }: &Invoice) -> String {
    let mut text = vec![
        format!("{} invoice of {} {}, {}", invoice.state, invoice.kind, invoice.account, invoice.period),
        format!("{}, {} to {} ({})", invoice.name, invoice.from, invoice.to, invoice.time_zone),
        String::new(),
        lines(&invoice.lines),
        String::new(),
        format!("total {} {} (exact usage {})", invoice.total, invoice.currency, invoice.exact_usage),
        format!("rounded {}", invoice.rounding),
    ];
    for accepted in &invoice.accepted {
        text.push(format!("closed over {}: {}", accepted.what, accepted.detail));
    }
    text.extend(invoice.reason.as_ref().map(|reason| format!("because: {reason}")));
    for (dimension, sums) in subtotals {
        let sums = sums.iter().map(|(name, sum)| {
            let name = if name.is_empty() { "(none)" } else { name.as_str() };
            format!("{name} {sum}")
        });
        text.push(format!("by {dimension}: {}", sums.collect::<Vec<_>>().join(", ")));
    }
    text.extend(invoice.closed_at.as_ref().map(|at| format!("closed at {at}")));
    text.extend(invoice.hash.as_ref().map(|hash| format!("hash {hash}")));
    text.push(invoice.id.clone());
    text.join("\n")
}

fn lines(lines: &[LineText]) -> String {
    let columns = [
        Column::Number("line"),
        Column::Text("kind"),
        Column::Text("model"),
        Column::Text("unit"),
        Column::Number("quantity"),
        Column::Number("unit price"),
        Column::Number("exact amount"),
        Column::Number("amount"),
    ];
    let rows = lines.iter().map(|line| {
        let adjusts = line.adjusts.as_ref().map(|month| format!("{} of {month}", line.kind));
        vec![
            line.number.to_string(),
            adjusts.unwrap_or_else(|| line.kind.clone()),
            line.model.clone(),
            line.unit.clone().unwrap_or_default(),
            line.quantity.clone(),
            line.unit_price.clone().unwrap_or_default(),
            line.exact_amount.clone(),
            line.amount.clone(),
        ]
    });
    aligned(&columns, rows)
}

/// What an option has, where the command cannot do without it.
fn needed<'a>(value: Option<&'a str>, missing: &'static str) -> anyhow::Result<&'a str> {
    value.ok_or_else(|| Usage(missing).into())
}

//! The lines of an invoice as Parquet: the columns of the CSV, quantities and amounts as exact decimals. A unit price may
//! have more decimals than the ledger's amounts, so it is text.

use ledger::money::{Amount, Decimal};
use schemas::invoices::{InvoiceText, LineText};

use super::{File, failed};
use crate::error::Problem;
use crate::parquet::{Cell, Kind, Table};

const COLUMNS: &[(&str, Kind)] = &[
    ("invoice", Kind::Text),
    ("state", Kind::Text),
    ("kind", Kind::Text),
    ("account", Kind::Text),
    ("name", Kind::Text),
    ("period", Kind::Text),
    ("from", Kind::Instant),
    ("to", Kind::Instant),
    ("currency", Kind::Text),
    ("line", Kind::Integer),
    ("line_kind", Kind::Text),
    ("adjusts", Kind::Text),
    ("team", Kind::Text),
    ("model", Kind::Text),
    ("unit", Kind::Text),
    ("unit_price", Kind::Text),
    ("quantity", Kind::Decimal),
    ("exact_amount", Kind::Decimal),
    ("amount", Kind::Decimal),
];

pub(super) fn file(invoice: &InvoiceText) -> Result<File, Problem> {
    let mut table = Table::new(COLUMNS).map_err(|error| failed(&error))?;
    for line in &invoice.lines {
        table.push(cells(invoice, line)?).map_err(|error| failed(&error))?;
    }
    let bytes = table.finish().map_err(|error| failed(&error))?;
    Ok(File { bytes, rows: invoice.lines.len() })
}

fn cells<'a>(invoice: &'a InvoiceText, line: &'a LineText) -> Result<[Cell<'a>; COLUMNS.len()], Problem> {
    let text = |value: &'a Option<String>| Cell::text(value.as_deref());
    Ok([
        Cell::Text(&invoice.id),
        Cell::Text(&invoice.state),
        Cell::Text(&invoice.kind),
        Cell::Text(&invoice.account),
        Cell::Text(&invoice.name),
        Cell::Text(&invoice.period),
        instant(&invoice.from)?,
        instant(&invoice.to)?,
        Cell::Text(&invoice.currency),
        Cell::Integer(line.number.into()),
        Cell::Text(&line.kind),
        text(&line.adjusts),
        text(&line.team),
        Cell::Text(&line.model),
        text(&line.unit),
        text(&line.unit_price),
        quantity(&line.quantity)?,
        amount(&line.exact_amount)?,
        amount(&line.amount)?,
    ])
}

fn instant(text: &str) -> Result<Cell<'static>, Problem> {
    let at: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| failed(&error))?;
    Ok(Cell::Instant(at.as_millisecond()))
}

fn quantity(text: &str) -> Result<Cell<'static>, Problem> {
    let number = Decimal::parse(text).map_err(|error| failed(&error))?;
    number.to_raw18().map(Cell::Decimal).ok_or_else(Problem::internal)
}

fn amount(text: &str) -> Result<Cell<'static>, Problem> {
    Ok(Cell::Decimal(Amount::parse(text).map_err(|error| failed(&error))?.raw()))
}

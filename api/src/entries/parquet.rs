//! Entries as Parquet: the columns of the CSV, typed. Money is decimal, times are instants, what is absent is null.

use std::io;

use axum::body::Bytes;
use jiff::Timestamp;
use ledger::money::{Amount, Decimal};

use super::export::{Writer, json};
use super::row::{Entry, Plane};
use crate::parquet::{Cell, Kind, Table};
use crate::units::FIXED;

/// Rows of a row group, more or less: enough to compress well, few enough to keep in memory.
const GROUP_ROWS: usize = 60_000;

/// Columns before the quantities, as the CSV has them.
const COLUMNS: &[(&str, Kind)] = &[
    ("event_id", Kind::Text),
    ("request_id", Kind::Text),
    ("kind", Kind::Text),
    ("occurred_at", Kind::Instant),
    ("recorded_at", Kind::Instant),
    ("log_time", Kind::Instant),
    ("topic", Kind::Text),
    ("partition", Kind::Integer),
    ("offset", Kind::Integer),
    ("ordinal", Kind::Integer),
    ("key", Kind::Text),
    ("team", Kind::Text),
    ("app", Kind::Text),
    ("environment", Kind::Text),
    ("customer", Kind::Text),
    ("project", Kind::Text),
    ("cost_center", Kind::Text),
    ("end_user", Kind::Text),
    ("workflow", Kind::Text),
    ("tags", Kind::Text),
    ("endpoint_family", Kind::Text),
    ("provider", Kind::Text),
    ("provider_account", Kind::Text),
    ("model", Kind::Text),
    ("alias", Kind::Text),
    ("credential", Kind::Text),
    ("route", Kind::Text),
    ("region", Kind::Text),
    ("service_tier", Kind::Text),
    ("processing", Kind::Text),
    ("speed", Kind::Text),
    ("attempt", Kind::Integer),
    ("attempt_kind", Kind::Text),
    ("fallback_from", Kind::Text),
    ("status", Kind::Integer),
    ("error_class", Kind::Text),
    ("outcome", Kind::Text),
    ("stream", Kind::Flag),
    ("latency_ms", Kind::Integer),
    ("ttft_ms", Kind::Integer),
    ("gateway_cache", Kind::Text),
    ("attempts", Kind::Integer),
    ("requests", Kind::Integer),
    ("unpriced", Kind::Flag),
    ("unpriced_units", Kind::Text),
    ("flags", Kind::Text),
    ("model_row", Kind::Text),
    ("matched_by", Kind::Text),
    ("conditions", Kind::Text),
    ("list_cost", Kind::Decimal),
    ("cost", Kind::Decimal),
    ("charge", Kind::Decimal),
    ("cost_avoided", Kind::Decimal),
    ("currency", Kind::Text),
    ("charge_currency", Kind::Text),
    ("list_row", Kind::Text),
    ("charge_row", Kind::Text),
    ("markup", Kind::Text),
    ("reason", Kind::Text),
    ("reverses", Kind::Text),
];
const OTHER: (&str, Kind) = ("other_quantities", Kind::Text);

/// A Parquet file that is being written; taken when it ends.
pub(super) struct Parquet(Option<Table>);

impl Parquet {
    pub(super) fn new() -> io::Result<Self> {
        let quantities = FIXED.iter().map(|unit| (*unit, Kind::Decimal));
        let columns: Vec<_> = COLUMNS.iter().copied().chain(quantities).chain([OTHER]).collect();
        Ok(Self(Some(Table::new(&columns).map_err(io::Error::other)?)))
    }
}

impl Writer for Parquet {
    fn chunk(&mut self, entries: &[Entry]) -> io::Result<Bytes> {
        let table = self.0.as_mut().ok_or_else(|| io::Error::other("the file has ended"))?;
        for entry in entries {
            push(table, entry)?;
        }
        if table.waiting() < GROUP_ROWS {
            return Ok(Bytes::new());
        }
        table.end_group().map_err(io::Error::other)
    }

    fn end(&mut self) -> io::Result<Bytes> {
        self.0.take().map_or_else(|| Ok(Bytes::new()), |table| table.finish().map_err(io::Error::other))
    }
}

fn push(table: &mut Table, entry: &Entry) -> io::Result<()> {
    let tags = json(&entry.tags);
    let (units, flags) = (entry.unpriced_units.join(" "), entry.flags.join(" "));
    let list_row = entry.list.as_ref().and_then(|list| list.model_row.as_deref());
    let charge_row = entry.charging.as_ref().and_then(|charging| charging.model_row.as_deref());
    let markup = entry.charging.as_ref().and_then(Plane::markup_version);
    let reverses = entry.reverses.as_ref().map(ToString::to_string);
    let other = entry.quantities.iter().filter(|(unit, _)| !FIXED.contains(&unit.as_str())).collect();
    let other = json(&other);
    let fixed = FIXED.map(|unit| entry.quantities.get(unit).map_or("0", String::as_str));
    let cells = [
        Cell::Text(&entry.event_id),
        Cell::Text(&entry.request_id),
        Cell::Text(&entry.kind),
        instant(&entry.occurred_at)?,
        instant(&entry.recorded_at)?,
        instant(&entry.log_time)?,
        Cell::Text(&entry.origin.topic),
        Cell::Integer(entry.origin.partition.into()),
        count(entry.origin.offset)?,
        Cell::Integer(entry.origin.ordinal.into()),
        present(&entry.key),
        present(&entry.team),
        present(&entry.app),
        present(&entry.environment),
        present(&entry.customer),
        present(&entry.project),
        present(&entry.cost_center),
        present(&entry.end_user),
        present(&entry.workflow),
        filled(&tags),
        present(&entry.endpoint_family),
        present(&entry.provider),
        present(&entry.provider_account),
        present(&entry.model),
        present(&entry.alias),
        present(&entry.credential),
        present(&entry.route),
        present(&entry.region),
        present(&entry.service_tier),
        present(&entry.processing),
        present(&entry.speed),
        Cell::Integer(entry.attempt.into()),
        present(&entry.attempt_kind),
        present(&entry.fallback_from),
        entry.status.map_or(Cell::Null, |status| Cell::Integer(status.into())),
        present(&entry.error_class),
        present(&entry.outcome),
        Cell::Flag(entry.stream),
        entry.latency_ms.map_or(Ok(Cell::Null), count)?,
        entry.ttft_ms.map_or(Ok(Cell::Null), count)?,
        present(&entry.gateway_cache),
        Cell::Integer(entry.attempts.into()),
        Cell::Integer(entry.requests.into()),
        Cell::Flag(entry.unpriced),
        filled(&units),
        filled(&flags),
        present(&entry.model_row),
        present(&entry.matched_by),
        present(&entry.conditions),
        amount(&entry.list_cost)?,
        amount(&entry.cost)?,
        amount(&entry.charge)?,
        amount(&entry.cost_avoided)?,
        present(&entry.currency),
        present(&entry.charge_currency),
        Cell::text(list_row),
        Cell::text(charge_row),
        Cell::text(markup.as_deref()),
        present(&entry.reason),
        Cell::text(reverses.as_deref()),
    ];
    let fixed = fixed.map(quantity).into_iter().collect::<io::Result<Vec<_>>>()?;
    table.push(cells.into_iter().chain(fixed).chain([filled(&other)])).map_err(io::Error::other)
}

fn present(value: &Option<String>) -> Cell<'_> {
    Cell::text(value.as_deref())
}

fn filled(text: &str) -> Cell<'_> {
    Cell::text(Some(text).filter(|text| !text.is_empty()))
}

fn instant(text: &str) -> io::Result<Cell<'static>> {
    let at: Timestamp = text.parse().map_err(io::Error::other)?;
    Ok(Cell::Instant(at.as_millisecond()))
}

fn count(number: u64) -> io::Result<Cell<'static>> {
    i64::try_from(number).map(Cell::Integer).map_err(io::Error::other)
}

fn amount(text: &str) -> io::Result<Cell<'static>> {
    Amount::parse(text).map(|amount| Cell::Decimal(amount.raw())).map_err(io::Error::other)
}

/// A quantity, which may be a part of one.
fn quantity(text: &str) -> io::Result<Cell<'static>> {
    let number = Decimal::parse(text).map_err(io::Error::other)?;
    let raw = number.to_raw18().ok_or_else(|| io::Error::other("a quantity has more than 18 decimals"))?;
    Ok(Cell::Decimal(raw))
}

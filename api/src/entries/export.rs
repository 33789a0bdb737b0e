//! Exports of entries: the whole result at constant memory. Each chunk is its own question, after the last entry
//! of the chunk before, so that a slow reader holds nothing open in the store.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use tokio::task::JoinHandle;

use super::Selection;
use super::parquet::Parquet;
use super::row::{Entry, EntryRow, Plane};
use crate::csv::{self, records, safe};
use crate::error::Problem;
use crate::store::Snapshot;
use crate::units::FIXED;

/// The media type of NDJSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Entries of one chunk.
const CHUNK: u64 = 20_000;

/// Columns of the CSV, in order, before the quantities.
const COLUMNS: &[&str] = &[
    "event_id",
    "request_id",
    "kind",
    "occurred_at",
    "recorded_at",
    "log_time",
    "topic",
    "partition",
    "offset",
    "ordinal",
    "key",
    "team",
    "app",
    "environment",
    "customer",
    "project",
    "cost_center",
    "end_user",
    "workflow",
    "tags",
    "endpoint_family",
    "provider",
    "provider_account",
    "model",
    "alias",
    "credential",
    "route",
    "region",
    "service_tier",
    "processing",
    "speed",
    "attempt",
    "attempt_kind",
    "fallback_from",
    "status",
    "error_class",
    "outcome",
    "stream",
    "latency_ms",
    "ttft_ms",
    "gateway_cache",
    "attempts",
    "requests",
    "unpriced",
    "unpriced_units",
    "flags",
    "model_row",
    "matched_by",
    "conditions",
    "list_cost",
    "cost",
    "charge",
    "cost_avoided",
    "currency",
    "charge_currency",
    "list_row",
    "charge_row",
    "markup",
    "reason",
    "reverses",
];

/// A form in which entries are written, chunk by chunk.
pub(crate) trait Writer: Send {
    /// What a chunk adds to the file; a form may keep something back.
    fn chunk(&mut self, entries: &[Entry]) -> io::Result<Bytes>;

    /// What ends the file.
    fn end(&mut self) -> io::Result<Bytes> {
        Ok(Bytes::new())
    }
}

/// The entries as NDJSON.
pub(crate) async fn ndjson(store: Snapshot, selection: Selection) -> Result<Response, Problem> {
    stream(store, selection, NDJSON, Box::new(Ndjson)).await
}

/// The entries as CSV (RFC 4180), one column for each unit that has one and the other units as JSON.
pub(super) async fn csv(store: Snapshot, selection: Selection) -> Result<Response, Problem> {
    stream(store, selection, csv::MEDIA_TYPE, Box::new(Csv { has_head: false })).await
}

/// The entries as Parquet, in row groups of bounded size.
pub(super) async fn parquet(store: Snapshot, selection: Selection) -> Result<Response, Problem> {
    let writer = Parquet::new().map_err(|error| failed(&error))?;
    stream(store, selection, crate::parquet::MEDIA_TYPE, Box::new(writer)).await
}

struct Ndjson;

impl Writer for Ndjson {
    fn chunk(&mut self, entries: &[Entry]) -> io::Result<Bytes> {
        let mut bytes = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut bytes, entry).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        Ok(bytes.into())
    }
}

/// The names of the CSV's columns.
pub(crate) fn head() -> Vec<String> {
    COLUMNS.iter().copied().chain(FIXED).chain(["other_quantities"]).map(str::to_owned).collect()
}

struct Csv {
    has_head: bool,
}

impl Writer for Csv {
    fn chunk(&mut self, entries: &[Entry]) -> io::Result<Bytes> {
        let head = (!self.has_head).then(head);
        self.has_head = true;
        records(head.into_iter().chain(entries.iter().map(cells)))
    }
}

/// The entries of a selection, chunk by chunk as the writer writes them.
pub(crate) async fn stream(
    store: Snapshot,
    selection: Selection,
    content_type: &'static str,
    writer: Box<dyn Writer>,
) -> Result<Response, Problem> {
    // The first chunk is read before the answer begins, so that what is wrong with the question is a problem
    // document and not a broken body.
    let first = selection.read(&store, CHUNK, None).await?;
    let body = Body::from_stream(chunks(Export { store, selection, writer }, first));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// An export under way.
struct Export {
    store: Snapshot,
    selection: Selection,
    writer: Box<dyn Writer>,
}

/// Where an export is: at rows that are to be written, at rows that are being read, or behind the end.
enum Next {
    Rows(Vec<EntryRow>),
    Reading(JoinHandle<Result<Vec<EntryRow>, Problem>>),
    End,
}

fn chunks(export: Export, first: Vec<EntryRow>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((export, Next::Rows(first)), |(mut export, next)| async move {
        let rows = match next {
            Next::Rows(rows) => rows,
            Next::Reading(rows) => {
                rows.await.map_err(io::Error::other)?.map_err(|problem| io::Error::other(problem.detail))?
            }
            Next::End => return Ok(None),
        };
        // While a chunk is written, the next one is read: two are in memory, and no more.
        let next = export.read_after(&rows);
        // Writing takes as long as reading, and would keep other calls waiting.
        tokio::task::spawn_blocking(move || {
            let bytes = export.write(rows, matches!(next, Next::End))?;
            Ok(Some((bytes, (export, next))))
        })
        .await
        .map_err(io::Error::other)?
    })
}

impl Export {
    /// Begins to read what comes after a full chunk.
    fn read_after(&self, rows: &[EntryRow]) -> Next {
        let is_full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= CHUNK;
        let Some(after) = rows.last().filter(|_| is_full).map(EntryRow::position) else { return Next::End };
        let (store, selection) = (self.store.clone(), self.selection.clone());
        Next::Reading(tokio::spawn(async move { selection.read(&store, CHUNK, Some(&after)).await }))
    }

    fn write(&mut self, rows: Vec<EntryRow>, is_last: bool) -> io::Result<Bytes> {
        let entries = rows
            .into_iter()
            .map(EntryRow::shown)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|problem| io::Error::other(problem.detail))?;
        let bytes = self.writer.chunk(&entries)?;
        let end = if is_last { self.writer.end()? } else { Bytes::new() };
        Ok(if end.is_empty() { bytes } else { [bytes, end].concat().into() })
    }
}

fn failed(error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = error.to_string(), "An export cannot be written");
    Problem::internal()
}

/// An entry in the columns of the CSV.
pub(crate) fn cells(entry: &Entry) -> Vec<String> {
    let text = |value: &Option<String>| value.as_deref().map(safe).unwrap_or_default();
    let number = |value: Option<u64>| value.map(|number| number.to_string()).unwrap_or_default();
    let mut cells = vec![
        safe(&entry.event_id),
        safe(&entry.request_id),
        safe(&entry.kind),
        entry.occurred_at.clone(),
        entry.recorded_at.clone(),
        entry.log_time.clone(),
        safe(&entry.origin.topic),
        entry.origin.partition.to_string(),
        entry.origin.offset.to_string(),
        entry.origin.ordinal.to_string(),
    ];
    let owners = [
        &entry.key,
        &entry.team,
        &entry.app,
        &entry.environment,
        &entry.customer,
        &entry.project,
        &entry.cost_center,
        &entry.end_user,
        &entry.workflow,
    ];
    cells.extend(owners.map(text));
    cells.push(json(&entry.tags));
    let served = [
        &entry.endpoint_family,
        &entry.provider,
        &entry.provider_account,
        &entry.model,
        &entry.alias,
        &entry.credential,
        &entry.route,
        &entry.region,
        &entry.service_tier,
        &entry.processing,
        &entry.speed,
    ];
    cells.extend(served.map(text));
    cells.extend([
        entry.attempt.to_string(),
        text(&entry.attempt_kind),
        text(&entry.fallback_from),
        number(entry.status.map(u64::from)),
        text(&entry.error_class),
        text(&entry.outcome),
        entry.stream.to_string(),
        number(entry.latency_ms),
        number(entry.ttft_ms),
        text(&entry.gateway_cache),
        entry.attempts.to_string(),
        entry.requests.to_string(),
        entry.unpriced.to_string(),
        safe(&entry.unpriced_units.join(" ")),
        safe(&entry.flags.join(" ")),
        text(&entry.model_row),
        text(&entry.matched_by),
        text(&entry.conditions),
        entry.list_cost.clone(),
        entry.cost.clone(),
        entry.charge.clone(),
        entry.cost_avoided.clone(),
        text(&entry.currency),
        text(&entry.charge_currency),
        text(&entry.list.as_ref().and_then(|list| list.model_row.clone())),
        text(&entry.charging.as_ref().and_then(|charging| charging.model_row.clone())),
        text(&entry.charging.as_ref().and_then(Plane::markup_version)),
        text(&entry.reason),
        entry.reverses.as_ref().map(|origin| safe(&origin.to_string())).unwrap_or_default(),
    ]);
    cells.extend(FIXED.map(|unit| entry.quantities.get(unit).cloned().unwrap_or_else(|| "0".to_owned())));
    let other = entry.quantities.iter().filter(|(unit, _)| !FIXED.contains(&unit.as_str())).collect();
    cells.push(json(&other));
    cells
}

pub(super) fn json<K: serde::Serialize, V: serde::Serialize>(
    map: &std::collections::BTreeMap<K, V>,
) -> String {
    if map.is_empty() { String::new() } else { serde_json::to_string(map).unwrap_or_default() }
}

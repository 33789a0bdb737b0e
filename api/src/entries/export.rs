//! Exports of entries: the whole result at constant memory. Each chunk is its own question, after the last entry
//! of the chunk before, so that a slow reader holds nothing open in the store.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};

use super::Selection;
use super::row::{Entry, EntryRow, Plane, Position};
use crate::csv::{self, records, safe};
use crate::error::Problem;
use crate::store::Snapshot;
use crate::units::FIXED;

/// Entries of one chunk.
const CHUNK: u64 = 5_000;

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

/// The entries as NDJSON.
pub(super) async fn ndjson(store: Snapshot, selection: Selection) -> Result<Response, Problem> {
    stream(store, selection, "application/x-ndjson", Bytes::new(), |entries| {
        let mut bytes = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut bytes, entry).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        Ok(bytes.into())
    })
    .await
}

/// The entries as CSV (RFC 4180), one column for each unit that has one and the other units as JSON.
pub(super) async fn csv(store: Snapshot, selection: Selection) -> Result<Response, Problem> {
    let names = COLUMNS.iter().copied().chain(FIXED).chain(["other_quantities"]);
    let head = records([names.map(str::to_owned).collect()]).map_err(|error| failed(&error))?;
    stream(store, selection, csv::MEDIA_TYPE, head, |entries| {
        records(entries.iter().map(cells).collect::<Vec<_>>())
    })
    .await
}

async fn stream(
    store: Snapshot,
    selection: Selection,
    content_type: &'static str,
    head: Bytes,
    write: fn(&[Entry]) -> io::Result<Bytes>,
) -> Result<Response, Problem> {
    // The first chunk is read before the answer begins, so that what is wrong with the question is a problem
    // document and not a broken body.
    let rows = selection.read(&store, CHUNK, None).await?;
    let (bytes, after) = chunk(rows, write).map_err(|error| failed(&error))?;
    let first = stream::iter([Ok(head), Ok(bytes)]);
    let rest = rest(store, selection, after, write);
    let body = Body::from_stream(stream::StreamExt::chain(first, rest));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

fn rest(
    store: Snapshot,
    selection: Selection,
    after: Option<Position>,
    write: fn(&[Entry]) -> io::Result<Bytes>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((store, selection, after), move |(store, selection, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let rows = selection
            .read(&store, CHUNK, Some(&after))
            .await
            .map_err(|problem| io::Error::other(problem.detail))?;
        let (bytes, after) = chunk(rows, write)?;
        Ok(Some((bytes, (store, selection, after))))
    })
}

/// A chunk's bytes, and where the next one begins if this one is full.
fn chunk(
    rows: Vec<EntryRow>,
    write: fn(&[Entry]) -> io::Result<Bytes>,
) -> io::Result<(Bytes, Option<Position>)> {
    let full = u64::try_from(rows.len()).unwrap_or(u64::MAX) >= CHUNK;
    let after = rows.last().filter(|_| full).map(EntryRow::position);
    let entries = rows
        .into_iter()
        .map(EntryRow::shown)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|problem| io::Error::other(problem.detail))?;
    Ok((write(&entries)?, after))
}

fn failed(error: &io::Error) -> Problem {
    tracing::error!(error = error.to_string(), "An export cannot be written");
    Problem::internal()
}

fn cells(entry: &Entry) -> Vec<String> {
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

fn json<K: serde::Serialize, V: serde::Serialize>(map: &std::collections::BTreeMap<K, V>) -> String {
    if map.is_empty() { String::new() } else { serde_json::to_string(map).unwrap_or_default() }
}

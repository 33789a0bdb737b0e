//! Totals as CSV: one line for each row, a column for each dimension and for each unit that occurs.

use std::collections::BTreeSet;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{Question, SpendRow};
use crate::csv::{MEDIA_TYPE, records, safe};
use crate::error::Problem;

/// What stands in a group's columns for everything that is not among the largest groups.
const OTHER: &str = "(other)";

/// The answer.
pub(super) fn response(question: &Question, rows: &[SpendRow]) -> Result<Response, Problem> {
    let units: BTreeSet<&str> =
        rows.iter().flat_map(|row| &row.quantities).flatten().map(|(unit, _)| unit.as_str()).collect();
    let lines =
        std::iter::once(head(question, &units)).chain(rows.iter().map(|row| line(question, &units, row)));
    let body = records(lines).map_err(|error| {
        tracing::error!(error = error.to_string(), "Totals cannot be written as CSV");
        Problem::internal()
    })?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response())
}

fn head(question: &Question, units: &BTreeSet<&str>) -> Vec<String> {
    let groups = question.group_by.iter().map(|dimension| safe(&dimension.name()));
    let own =
        ["from", "to", "requests", "attempts", question.measure.column(), "currency"].map(str::to_owned);
    let previous =
        ["previous_from", "previous_to", "previous_requests", "previous_attempts", "previous_amount"];
    let previous = question.compared.iter().flat_map(|_| previous.map(str::to_owned));
    groups.chain(own).chain(previous).chain(units.iter().map(|unit| (*unit).to_owned())).collect()
}

fn line(question: &Question, units: &BTreeSet<&str>, row: &SpendRow) -> Vec<String> {
    let groups = question.group_by.iter().map(|dimension| match row.group.get(&dimension.name()) {
        _ if row.is_other => OTHER.to_owned(),
        Some(Some(value)) => safe(value),
        _ => String::new(),
    });
    let own = [
        row.from.clone(),
        row.to.clone(),
        row.requests.to_string(),
        row.attempts.to_string(),
        row.amount.clone(),
        row.currency.clone().unwrap_or_default(),
    ];
    let previous = row.previous.iter().flat_map(|previous| {
        [
            previous.from.clone(),
            previous.to.clone(),
            previous.requests.to_string(),
            previous.attempts.to_string(),
            previous.amount.clone(),
        ]
    });
    let quantity = |unit: &&str| {
        let quantity = row.quantities.as_ref().and_then(|quantities| quantities.get(*unit));
        quantity.cloned().unwrap_or_else(|| "0".to_owned())
    };
    groups.chain(own).chain(previous).chain(units.iter().map(quantity)).collect()
}

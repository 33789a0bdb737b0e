//! What an operation would do now: the same pricing as the worker's, over the same entries, and nothing is written.

use std::collections::BTreeMap;

use ledger::money::Amount;
use schemas::invoices::Cut;
use schemas::operations::{Call, Delta, Slice, live_counts, live_rows, plan};
use schemas::posted::PostedRow;
use serde::Deserialize;

use super::ask::Change;
use super::book;
use crate::error::Problem;
use crate::store::Snapshot;

/// Groups that a dry run shows.
const CHANGES_MAX: usize = 1_000;

/// What was found.
#[derive(Default)]
pub(super) struct Preview {
    pub(super) entries: u64,
    pub(super) unpostable: u64,
    pub(super) delta: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) changes: Vec<Change>,
    /// Why some entries would stay as they are.
    pub(super) reasons: Vec<String>,
}

#[derive(clickhouse::Row, Deserialize)]
struct Quarter {
    quarter_ms: i64,
    entries: u64,
}

/// Entries, old and new amount of a group.
type Group = (u64, i128, i128);

/// The parts of a call.
pub(super) async fn parts(
    snapshot: &Snapshot,
    call: &Call,
    cut: &Cut,
    entries_max: u64,
) -> Result<Vec<Slice>, Problem> {
    let asked = live_counts(call, cut, snapshot.operations()).map_err(Problem::body)?;
    let quarters: Vec<Quarter> = snapshot.asked(asked).await?;
    let counts: Vec<(i64, u64)> =
        quarters.into_iter().map(|quarter| (quarter.quarter_ms, quarter.entries)).collect();
    Ok(plan(call, &counts, entries_max))
}

/// Prices the entries of a call again. With `first_only` it ends where one would change.
pub(super) async fn preview(
    snapshot: &Snapshot,
    call: &Call,
    cut: &Cut,
    slices: &[Slice],
    first_only: bool,
) -> Result<Preview, Problem> {
    let book = book::read(snapshot).await?;
    let mut preview = Preview::default();
    let mut delta = Delta::default();
    let mut groups: BTreeMap<(String, String, String), Group> = BTreeMap::new();
    for slice in slices {
        let asked = live_rows(call, slice, cut, snapshot.operations()).map_err(Problem::body)?;
        let rows: Vec<PostedRow> = snapshot.asked(asked).await?;
        for row in rows {
            match row.again(&book, u64::MAX, &call.set) {
                Ok(None) => {}
                Ok(Some(next)) => {
                    preview.entries += 1;
                    add(&mut groups, &mut delta, &row, &next).ok_or_else(too_large)?;
                }
                Err(error) => {
                    preview.unpostable += 1;
                    if preview.reasons.len() < 10 {
                        preview.reasons.push(format!("event {}: {error}", row.event_id));
                    }
                }
            }
        }
        if first_only && preview.entries > 0 {
            break;
        }
    }
    preview.delta = delta.texts();
    preview.changes = shown(groups);
    Ok(preview)
}

/// Adds one entry, which moves from the group that it is in to the one that it would be in.
fn add(
    groups: &mut BTreeMap<(String, String, String), Group>,
    delta: &mut Delta,
    old: &PostedRow,
    new: &PostedRow,
) -> Option<()> {
    let key = |row: &PostedRow| (row.model.clone(), row.customer.clone(), row.charge_currency.clone());
    let group = groups.entry(key(old)).or_default();
    group.1 = group.1.checked_add(old.charge)?;
    let group = groups.entry(key(new)).or_default();
    group.0 += 1;
    group.2 = group.2.checked_add(new.charge)?;
    delta.take_back(old);
    delta.add(new);
    Some(())
}

fn shown(groups: BTreeMap<(String, String, String), Group>) -> Vec<Change> {
    let text = |raw| Amount::from_raw(raw).map_or_else(String::new, |amount| amount.to_string());
    let some = |name: String| Some(name).filter(|name| !name.is_empty());
    let shown = groups.into_iter().map(|((model, customer, currency), (entries, old, new))| Change {
        model,
        customer: some(customer),
        currency,
        entries,
        old: text(old),
        new: text(new),
    });
    shown.take(CHANGES_MAX).collect()
}

fn too_large() -> Problem {
    Problem::body("the sum of these entries does not fit the ledger; name a shorter period")
}

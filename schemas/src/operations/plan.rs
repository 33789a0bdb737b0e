//! Cuts an operation into steps.

use super::{Call, Slice};

/// Cuts a call into parts of at most that many entries, as far as quarter hours and shares allow, from the counts of its
/// quarter hours in order.
#[must_use]
pub fn plan(call: &Call, counts: &[(i64, u64)], entries_max: u64) -> Vec<Slice> {
    const QUARTER_MS: i64 = 15 * 60 * 1000;
    let entries_max = entries_max.max(1);
    let mut slices = Vec::new();
    let mut from = call.from;
    let mut held = 0;
    for (quarter, count) in counts {
        let quarter = (*quarter).max(call.from);
        if held > 0 && held + count > entries_max {
            slices.push(Slice { from, to: quarter, share: 0, shares: 1 });
            (from, held) = (quarter, 0);
        }
        if *count > entries_max {
            let end = (quarter.div_euclid(QUARTER_MS) * QUARTER_MS + QUARTER_MS).min(call.to);
            let shares = count.div_ceil(entries_max);
            slices.extend((0..shares).map(|share| Slice { from, to: end, share, shares }));
            from = end;
            continue;
        }
        held += count;
    }
    if from < call.to || slices.is_empty() {
        slices.push(Slice { from, to: call.to, share: 0, shares: 1 });
    }
    slices
}

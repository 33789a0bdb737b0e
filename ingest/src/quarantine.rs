//! What is kept of a record that was not posted: its bytes without secrets, where it came from, and why.

use ledger::event::Millis;
use ledger::reject::Reason;
use schemas::event::{peek, redact};
use schemas::tables::{Origin, Quarantine, QuarantineRow};
use sha2::{Digest, Sha256};

use crate::source::Record;

/// Bytes that are kept of a record that is larger than an event may be.
const RAW_BYTES_MAX: usize = 64 * 1024;

/// Appends the record to the quarantine. Secrets are redacted first, whatever the reason.
pub fn push(
    rows: &mut Quarantine,
    origin: Origin<'_>,
    record: &Record<'_>,
    recorded_at: Millis,
    reason: Reason,
    detail: &str,
) {
    let value = record.value.unwrap_or_default();
    let redacted = redact(value);
    let peeked = peek(&redacted);
    let kept = if reason == Reason::TooLarge { redacted.get(..RAW_BYTES_MAX).unwrap_or(&redacted) } else { &redacted };
    rows.push(&QuarantineRow {
        origin,
        log_time: record.log_time,
        recorded_at,
        reason,
        detail,
        event_id: peeked.event_id.as_deref().unwrap_or_default(),
        customer: peeked.customer.as_deref().unwrap_or_default(),
        team: peeked.team.as_deref().unwrap_or_default(),
        content_type: record.content_type.unwrap_or_default(),
        raw: kept,
        raw_length: u64::try_from(value.len()).unwrap_or(u64::MAX),
        raw_sha256: Sha256::digest(value).into(),
        redacted: record.redacted || redacted != value,
    });
}

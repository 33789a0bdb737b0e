//! What is kept of a record that was not posted: its bytes without secrets, where it came from, and why.

use ledger::event::Millis;
use ledger::reject::Reason;
use schemas::event::Decoder;
use schemas::event::secret::redact_text;
use schemas::tables::{Origin, Quarantine, QuarantineRow};
use sha2::{Digest, Sha256};

use crate::source::{Record, Truncated};

/// Bytes that are kept of a record that is larger than an event may be.
const RAW_BYTES_MAX: usize = 64 * 1024;

/// Appends the record to the quarantine. Secrets are redacted first, whatever the reason, also from what others say
/// of it: the header that names its encoding, and the detail, which may quote either. Its key is not kept. Length and
/// digest are those of the record as it was sent.
pub fn push(
    rows: &mut Quarantine,
    decoder: &Decoder,
    origin: Origin<'_>,
    record: &Record<'_>,
    recorded_at: Millis,
    reason: Reason,
    detail: &str,
) {
    let value = record.value.unwrap_or_default();
    let wire = schemas::event::Record {
        value: record.value,
        content_type: record.content_type,
        log_time: record.log_time,
    };
    let redacted = decoder.redact(&wire);
    let peeked = decoder.peek(&wire);
    let kept = match reason {
        Reason::TooLarge => redacted.get(..RAW_BYTES_MAX).unwrap_or(&redacted),
        _ => &redacted,
    };
    let whole = record.truncated.unwrap_or_else(|| Truncated {
        length: u64::try_from(value.len()).unwrap_or(u64::MAX),
        sha256: Sha256::digest(value).into(),
    });
    // A header is the sender's text as much as the rest.
    let content_type = record.content_type.map(redact_text).unwrap_or_default();
    rows.push(&QuarantineRow {
        origin,
        log_time: record.log_time,
        recorded_at,
        reason,
        detail: &redact_text(detail),
        event_id: peeked.event_id.as_deref().unwrap_or_default(),
        customer: peeked.customer.as_deref().unwrap_or_default(),
        team: peeked.team.as_deref().unwrap_or_default(),
        content_type: &content_type,
        raw: kept,
        raw_length: whole.length,
        raw_sha256: whole.sha256,
        redacted: record.redacted || *redacted != *value,
    });
}

#[cfg(test)]
mod tests {
    use schemas::columns::Table;

    use super::*;

    const SECRET: &str = "sk-ant-0123456789abcdefghij";

    /// The bytes that go to the store of a record with that content type, rejected with that detail.
    fn kept(value: &str, content_type: &str, detail: &str) -> String {
        let record = Record {
            offset: 0,
            log_time: Millis(0),
            value: Some(value.as_bytes()),
            content_type: Some(content_type),
            redacted: false,
            truncated: None,
        };
        let mut rows = Quarantine::default();
        let origin = Origin { topic: "usage.events", partition: 0, offset: 0, ordinal: 0 };
        push(&mut rows, &Decoder::new().unwrap(), origin, &record, Millis(0), Reason::Decode, detail);
        String::from_utf8_lossy(&rows.take_block(Millis(0)).concat()).into_owned()
    }

    #[test]
    fn a_credential_is_kept_neither_from_the_value_nor_from_a_header_nor_from_what_is_said_of_them() {
        let value = format!("{{\"event_id\":\"{SECRET}\",\"customer\":\"{SECRET}\"");
        let content_type = format!("application/{SECRET}");
        let detail = format!("there is no content type `application/{SECRET}`");
        let kept = kept(&value, &content_type, &detail);
        assert!(!kept.contains("sk-ant"), "{kept}");
        assert!(kept.contains("there is no content type `application/[redacted]`"), "{kept}");
    }
}

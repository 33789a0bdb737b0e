//! Judges the events of one request as the worker will, so that the sender learns at once what becomes of them, and
//! makes the records that go to the log. Does no IO. What is rejected is logged all the same, so that it is
//! quarantined and counted; only what a token may not send is not.

use std::borrow::Cow;

use hashbrown::HashMap;
use ledger::event::{Millis, UsageEvent};
use ledger::reject::{Reason, Reject};
use ledger::usage::{Normalized, normalize};
use schemas::event::{
    Arena, BYTES_MAX, Decoder, Error as DecodeError, Record, content_hash, encode_json, id_hash,
};
use schemas::log::{CONTENT_TYPE_HEADER, NewRecord, REDACTED_HEADER, TRUNCATED_HEADER};

use super::answer::{Answer, FORBIDDEN, Rejected};
use super::lines::Line;
use super::oversized;
use super::owners::{Bounds, Missing, Refusal};

/// An Avro schema that must be fetched before the events can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownSchema(pub(super) u32);

/// What became of the events, and what goes to the log.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) records: Vec<NewRecord>,
    pub(super) answer: Answer,
}

/// Judges events that the log will receive at about `now`.
pub(super) fn judge(
    lines: &[Line],
    decoder: &Decoder,
    bounds: Option<Bounds<'_>>,
    now: Millis,
) -> Result<Judged, UnknownSchema> {
    let mut judge = Judge { decoder, bounds, now, seen: HashMap::new(), judged: Judged::default() };
    judge.judged.records.reserve(lines.len());
    let mut arena = Arena::new();
    for (index, line) in lines.iter().enumerate() {
        judge.line(index, line, &arena)?;
        arena.reset();
    }
    Ok(judge.judged)
}

struct Judge<'a> {
    decoder: &'a Decoder,
    bounds: Option<Bounds<'a>>,
    now: Millis,
    /// Content of the accepted events by the hash of their id.
    seen: HashMap<u128, u64>,
    judged: Judged,
}

/// What becomes of an event.
enum Verdict {
    Accepted,
    Duplicate,
    Rejected(Reject),
}

impl<'a> Judge<'a> {
    fn line(&mut self, index: usize, line: &Line, arena: &Arena) -> Result<(), UnknownSchema> {
        let (value, content_type) = (&*line.value, line.content_type.as_deref());
        if value.len() > BYTES_MAX {
            self.oversized(index, value, content_type);
            return Ok(());
        }
        match self.decoder.decode(self.record(value, content_type), arena) {
            Ok(event) => self.event(index, line, event),
            Err(DecodeError::Reject(reject)) => self.undecodable(index, line, reject),
            Err(DecodeError::UnknownSchema(id)) => return Err(UnknownSchema(id)),
        }
        Ok(())
    }

    fn event(&mut self, index: usize, line: &Line, event: UsageEvent<'_>) {
        // Borrowed for as long as what may be filled in.
        let mut event: UsageEvent<'_> = event;
        let (mut value, mut content_type) = (Cow::Borrowed(&*line.value), line.content_type.as_deref());
        if let Some(bounds) = self.bounds {
            let missing = match bounds.judge(event.owners.customer, event.owners.team) {
                Ok(missing) => missing,
                Err(refusal) => return self.refuse(index, Some(event.event_id.to_owned()), &refusal),
            };
            if !missing.is_empty() {
                event.owners.customer = event.owners.customer.or(missing.customer);
                event.owners.team = event.owners.team.or(missing.team);
                match missing.fill(&value) {
                    Some(filled) => value = filled.into(),
                    // Avro is logged as JSON, since its bytes cannot be filled in.
                    None => match encode_json(&event) {
                        Ok(encoded) => (value, content_type) = (encoded.into(), None),
                        Err(error) => {
                            let detail =
                                format!("its owner cannot be filled in: {error}; name it in the event");
                            return self.reject(index, Some(event.event_id.to_owned()), FORBIDDEN, detail);
                        }
                    },
                }
                if value.len() > BYTES_MAX {
                    return self.oversized(index, &value, content_type);
                }
            }
        }
        match self.verdict(&event) {
            Verdict::Accepted => self.judged.answer.accepted += 1,
            Verdict::Duplicate => self.judged.answer.duplicates += 1,
            Verdict::Rejected(Reject { reason, detail }) => {
                self.reject(index, Some(event.event_id.to_owned()), reason.name(), detail);
            }
        }
        let mut record = new_record(value.into_owned(), content_type);
        record.key = Some(event.request_id.as_bytes().to_vec());
        self.judged.records.push(record);
    }

    /// In the worker's order: first whether the id was there before, then the quantities.
    fn verdict(&mut self, event: &UsageEvent<'_>) -> Verdict {
        let (id, content) = (id_hash(event.event_id), content_hash(event));
        match self.seen.get(&id) {
            Some(seen) if *seen == content => return Verdict::Duplicate,
            Some(_) => {
                return Verdict::Rejected(Reject::new(
                    Reason::Conflict,
                    "an event before it in this request has the same id and other content; send it under a new id",
                ));
            }
            None => {}
        }
        if let Err(error) = normalize(event, &mut Normalized::default()) {
            return Verdict::Rejected(error.into());
        }
        self.seen.insert(id, content);
        Verdict::Accepted
    }

    /// An event that breaks a rule. What it says of its owners still counts.
    fn undecodable(&mut self, index: usize, line: &Line, reject: Reject) {
        let (mut value, content_type) = (Cow::Borrowed(&*line.value), line.content_type.as_deref());
        let peeked = self.decoder.peek(&self.record(&value, content_type));
        match self.owners_of_rejected(reject.reason, peeked.customer.as_deref(), peeked.team.as_deref()) {
            Err(refusal) => return self.refuse(index, peeked.event_id, &refusal),
            Ok(missing) if missing.is_empty() => {}
            Ok(missing) => {
                if let Some(filled) = missing.fill(&value) {
                    value = filled.into();
                }
                if value.len() > BYTES_MAX {
                    return self.oversized(index, &value, content_type);
                }
            }
        }
        let is_secret = reject.reason == Reason::Secret;
        if is_secret {
            value = self.decoder.redact(&self.record(&value, content_type)).into_owned().into();
        }
        let mut record = new_record(value.into_owned(), content_type);
        if is_secret {
            record.headers.push(flag(REDACTED_HEADER));
        }
        self.judged.records.push(record);
        self.reject(index, peeked.event_id, reject.reason.name(), reject.detail);
    }

    fn oversized(&mut self, index: usize, value: &[u8], content_type: Option<&str>) {
        let kept = oversized::cut(self.decoder, value);
        let peeked = self.decoder.peek(&self.record(&kept.value, content_type));
        let owners =
            self.owners_of_rejected(Reason::TooLarge, peeked.customer.as_deref(), peeked.team.as_deref());
        if let Err(refusal) = owners {
            return self.refuse(index, peeked.event_id, &refusal);
        }
        let mut record = new_record(kept.value, content_type);
        record.headers.push((TRUNCATED_HEADER.to_owned(), kept.header.into_bytes()));
        let (reason, detail) = if kept.has_secret {
            record.headers.push(flag(REDACTED_HEADER));
            (
                Reason::Secret,
                "it holds what looks like a live credential: send a label or a hash of it, and revoke it"
                    .to_owned(),
            )
        } else {
            (Reason::TooLarge, format!("it has {} bytes, an event at most {BYTES_MAX}", value.len()))
        };
        self.judged.records.push(record);
        self.reject(index, peeked.event_id, reason.name(), detail);
    }

    /// What a rejected event lacks. One that cannot be read to its end may name nobody.
    fn owners_of_rejected(
        &self,
        reason: Reason,
        customer: Option<&str>,
        team: Option<&str>,
    ) -> Result<Missing<'a>, Refusal> {
        let Some(bounds) = self.bounds else { return Ok(Missing::default()) };
        match bounds.judge(customer, team) {
            Err(Refusal::Unnamed { .. }) if matches!(reason, Reason::Decode | Reason::TooLarge) => {
                Ok(Missing::default())
            }
            judged => judged,
        }
    }

    fn refuse(&mut self, index: usize, event_id: Option<String>, refusal: &Refusal) {
        self.reject(index, event_id, FORBIDDEN, refusal.to_string());
    }

    fn reject(&mut self, index: usize, event_id: Option<String>, reason: &'static str, detail: String) {
        self.judged.answer.rejected.push(Rejected { index, event_id, reason: reason.into(), detail });
    }

    fn record<'r>(&self, value: &'r [u8], content_type: Option<&'r str>) -> Record<'r> {
        Record { value: Some(value), content_type, log_time: self.now }
    }
}

fn new_record(value: Vec<u8>, content_type: Option<&str>) -> NewRecord {
    let header = |content_type: &str| (CONTENT_TYPE_HEADER.to_owned(), content_type.as_bytes().to_vec());
    NewRecord { key: None, value: Some(value), headers: content_type.map(header).into_iter().collect() }
}

fn flag(name: &str) -> (String, Vec<u8>) {
    (name.to_owned(), b"1".to_vec())
}

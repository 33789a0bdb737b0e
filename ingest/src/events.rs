//! Turns a batch of records into ledger entries: decode, look for a repeat, normalize and price, post. Does no IO
//! of its own, so any batch can be run again anywhere and makes the same rows.

use std::sync::Arc;

use ledger::entry::{Scratch, entries_for};
use ledger::event::UsageEvent;
use ledger::in_force::InForce;
use ledger::reject::{Reason, Reject};
use schemas::columns::Table;
use schemas::entries::{Entries, Posting};
use schemas::event::{Arena, Decoder, Error as DecodeError, content_hash, id_hash};
use schemas::tables::{Origin, Quarantine};

use crate::batch::{Batch, Chosen, Held, MakeError, Maker, QUARANTINE, Summary};
use crate::book::Books;
use crate::dedup::{Verdict, Window};
use crate::quarantine;
use crate::registry::Registry;
use crate::source::{Partition, Record};
use crate::store::{Rows, Store};

const TABLES: &[&str] = &["quarantine", "entries"];

/// Makes rows of usage events.
pub struct EventMaker {
    store: Store,
    books: Arc<Books>,
    registry: Arc<Registry>,
}

/// What became of one record.
enum Fate {
    Posted,
    Duplicate,
}

/// The rows of a batch as they grow.
struct Making<'a> {
    chosen: &'a Chosen,
    held: &'a Held,
    in_force: InForce<'a>,
    window: &'a mut Window,
    scratch: Scratch,
    entries: Entries,
    quarantine: Quarantine,
    summary: Summary,
}

impl EventMaker {
    /// Prices with those books, and rebuilds windows of recent ids from that store.
    #[must_use]
    pub fn new(store: Store, books: Arc<Books>, registry: Arc<Registry>) -> Self {
        Self { store, books, registry }
    }

    /// Decodes a record; a schema that is not known yet is fetched first.
    fn decode<'a>(
        &self,
        decoder: &mut Arc<Decoder>,
        record: &Record<'a>,
        arena: &'a Arena,
    ) -> Result<Result<UsageEvent<'a>, Reject>, MakeError> {
        if let Some(reject) = told_by_intake(record) {
            return Ok(Err(reject));
        }
        let wire = schemas::event::Record {
            value: record.value,
            content_type: record.content_type,
            log_time: record.log_time,
        };
        loop {
            match decoder.decode(wire, arena) {
                Ok(event) => return Ok(Ok(event)),
                Err(DecodeError::Reject(reject)) => return Ok(Err(reject)),
                Err(DecodeError::UnknownSchema(id)) => *decoder = self.registry.fetch(id)?,
            }
        }
    }
}

impl Maker for EventMaker {
    type State = Window;

    fn tables(&self) -> &'static [&'static str] {
        TABLES
    }

    fn prepare(&self, partition: &Partition, first: u64, window: u64) -> Result<Window, MakeError> {
        let mut ids = Window::new(window);
        for recent in self.store.recent_ids(partition, first.saturating_sub(window), first)? {
            ids.remember(recent.offset, recent.event_hash, recent.content_hash);
        }
        Ok(ids)
    }

    fn make(&self, window: &mut Window, chosen: &Chosen, held: &Held) -> Result<Batch, MakeError> {
        let book = self.books.at(chosen.intent.commands_through)?;
        let mut decoder = self.registry.decoder();
        let mut arena = Arena::new();
        let mut making = Making {
            chosen,
            held,
            in_force: InForce::from(&*book),
            window,
            scratch: Scratch::default(),
            entries: Entries::with_capacity(chosen.records.len()),
            quarantine: Quarantine::default(),
            summary: Summary::default(),
        };
        for record in chosen.records.iter() {
            let decoded = self.decode(&mut decoder, &record, &arena)?;
            making.record(&decoder, &record, decoded);
            arena.reset();
        }
        let Making { entries, quarantine, summary, .. } = making;
        let tables: Vec<Box<dyn Rows>> = vec![Box::new(quarantine), Box::new(entries)];
        Ok(Batch {
            partition: chosen.partition.clone(),
            epoch: chosen.epoch,
            intent: chosen.intent.clone(),
            summary,
            tables,
        })
    }
}

impl Making<'_> {
    /// Ends one record: as entries, as a dropped repeat, or in quarantine with exactly one reason.
    fn record(&mut self, decoder: &Decoder, record: &Record<'_>, decoded: Result<UsageEvent<'_>, Reject>) {
        self.summary.received += 1;
        self.summary.log_time_max = self.summary.log_time_max.max(Some(record.log_time));
        match decoded.and_then(|event| self.post(record, &event)) {
            Ok(Fate::Posted) => self.summary.posted += 1,
            Ok(Fate::Duplicate) => self.summary.duplicates_at.push(record.offset),
            Err(reject) => self.reject(decoder, record, &reject),
        }
    }

    fn post(&mut self, record: &Record<'_>, event: &UsageEvent<'_>) -> Result<Fate, Reject> {
        let (event_hash, content_hash) = (id_hash(event.event_id), content_hash(event));
        match self.window.look(record.offset, event_hash, content_hash) {
            Verdict::New if self.held.is_refused(record.offset) => {
                return Err(Reject::new(
                    Reason::Unpostable,
                    "the store refuses its row; the worker's log has the answer",
                ));
            }
            Verdict::New => {}
            Verdict::Duplicate { .. } => return Ok(Fate::Duplicate),
            Verdict::Conflict { with } => {
                return Err(Reject::new(
                    Reason::Conflict,
                    format!(
                        "the id was posted from offset {with} with other content; send it under a new id"
                    ),
                ));
            }
        }
        let Self { chosen, held, in_force, scratch, entries, summary, .. } = self;
        let Partition { topic, number } = &chosen.partition;
        entries_for(event, *in_force, scratch, |entry| {
            let ordinal = u32::from(entry.ordinal);
            summary.entries += 1;
            summary.unpriced += u64::from(entry.is_unpriced());
            if held.is_held("entries", record.offset, ordinal) {
                return;
            }
            let posting = Posting {
                origin: Origin { topic, partition: *number, offset: record.offset, ordinal },
                log_time: record.log_time,
                recorded_at: chosen.intent.recorded_at,
                event_hash,
                content_hash,
                book: chosen.intent.commands_through,
            };
            entries.push(entry, &posting);
        })?;
        self.window.remember(record.offset, event_hash, content_hash);
        Ok(Fate::Posted)
    }

    fn reject(&mut self, decoder: &Decoder, record: &Record<'_>, reject: &Reject) {
        *self.summary.quarantined.entry(reject.reason.name()).or_default() += 1;
        if self.held.is_held(QUARANTINE, record.offset, 0) {
            return;
        }
        let Partition { topic, number } = &self.chosen.partition;
        let origin = Origin { topic, partition: *number, offset: record.offset, ordinal: 0 };
        let recorded_at = self.chosen.intent.recorded_at;
        let rows = &mut self.quarantine;
        quarantine::push(rows, decoder, origin, record, recorded_at, reject.reason, &reject.detail);
    }
}

/// What the intake saw before it redacted the record or cut it short.
fn told_by_intake(record: &Record<'_>) -> Option<Reject> {
    if record.redacted {
        return Some(Reject::new(
            Reason::Secret,
            "the event carried what looks like a live credential, which was redacted before it was logged: revoke it",
        ));
    }
    let truncated = record.truncated?;
    Some(Reject::new(
        Reason::TooLarge,
        format!("the event has {} bytes, more than {}", truncated.length, schemas::event::BYTES_MAX),
    ))
}

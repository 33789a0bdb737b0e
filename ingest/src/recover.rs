//! Brings one partition to a state from which it can go on: at assignment, and after any answer that was not a
//! clean one. Reads what was announced and what the ledger holds, and completes the batch between them; the same
//! code whoever left it open. Never sends before reading back.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use ledger::event::Millis;
use schemas::log::COMMANDS_TOPIC;

use crate::batch::{Chosen, Held, MakeError, Maker};
use crate::fault;
use crate::intent::{self, Intent, Mark};
use crate::repair::{REMEDY_STORE, remedy_recreated};
use crate::source::{
    self, AnnounceError, Announcement, Announcer, Bounds, Committed, Partition, Records, Source, digest,
};
use crate::store::{self, Closed, Refusal, Rows, Scope, Store};
use crate::worker::chain;

/// Where a partition goes on.
pub struct Ready<State> {
    /// The first offset of the next batch.
    pub next: u64,
    /// The last record before it.
    pub before: Option<Mark>,
    /// What the maker carries on with.
    pub state: State,
}

/// Why a partition cannot go on yet, or not at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something did not answer; to be tried again.
    #[error("{partition} cannot be recovered yet")]
    Again {
        /// The partition.
        partition: Partition,
        /// What did not answer.
        #[source]
        source: Cause,
    },
    /// The group has to be left and joined anew.
    #[error("{0}: the intent has no answer")]
    Rejoin(Partition),
    /// The partition went to another worker meanwhile.
    #[error("{0} was revoked during recovery")]
    Revoked(Partition),
    /// Log and ledger disagree in a way that going on would lose or double something.
    #[error("{partition}: {what}; nothing was changed. {remedy}")]
    Refused {
        /// The partition.
        partition: Partition,
        /// What was seen.
        what: String,
        /// The way out.
        remedy: Remedy,
    },
}

/// The way out where log and ledger disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A repair sets the group to where the ledger ends, or closes what is lost.
    Repair,
    /// The log is another one.
    OtherLog {
        /// Whether it is the command log, whose name is fixed.
        is_of_commands: bool,
        /// Where the ledger, or the announced batch, ends.
        reaches: u64,
    },
    /// The store is another one.
    OtherStore,
    /// The version is not the one that wrote the intent.
    OtherVersion,
}

impl fmt::Display for Remedy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Repair => {
                "Stop the workers and run `tollbook audit --repair`, which shows what group, ledger and log say, \
                 proposes what to do, and records it"
            }
            Self::OtherLog { is_of_commands, reaches } => {
                let remedy = remedy_recreated(*is_of_commands, Some(*reaches));
                return write!(formatter, "The way out: {remedy}");
            }
            Self::OtherStore => return write!(formatter, "The way out: {REMEDY_STORE}"),
            Self::OtherVersion => "Start the version that wrote it, or a later one",
        };
        formatter.write_str(text)
    }
}

/// What did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The source.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The announcement.
    #[error(transparent)]
    Announce(AnnounceError),
    /// The maker.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// An insert of the partition still runs in the store.
    #[error("an insert of the partition still runs in the store")]
    Unsettled,
    /// A part of the batch was sent, which stays; the rest follows.
    #[error("a part of the batch is in, the rest follows")]
    NotWhole,
    /// What the group has committed is not what this recovery began with: another owner is at work.
    #[error("another owner has gone on meanwhile")]
    Moved,
    /// A test made it fail.
    #[error("{0}")]
    Injected(String),
}

/// What recovery works with.
pub struct Recovery<'a, M: Maker> {
    /// The store.
    pub store: &'a Store,
    /// The maker of the topic's rows.
    pub maker: &'a M,
    /// Keeps the intents.
    pub announcer: &'a dyn Announcer,
    /// How long a lease is.
    pub lease: Duration,
    /// Name of this worker.
    pub worker: &'a str,
    /// The window of duplicates of new batches.
    pub window: u64,
    /// The partition.
    pub partition: &'a Partition,
    /// Epoch of its assignment.
    pub epoch: u64,
    /// The store's time when it was assigned; `None` where no old writer can be running.
    pub assigned_at: Option<Millis>,
}

/// What earlier attempts at an open batch have taught: how much to send at once, and which record the store refuses.
#[derive(Debug, Default)]
pub struct Lessons {
    /// Records whose rows are sent in one attempt; `None` for all.
    records_max: Option<usize>,
    /// Records that were refused alone.
    refused: BTreeSet<u64>,
    /// Records that make no row, because they repeat another: they are never missing.
    rowless: BTreeSet<u64>,
}

impl Lessons {
    /// After a refusal that more time would not change, the next attempt sends half of what this one sent of the
    /// `missing` records; a record that was refused alone goes to quarantine.
    fn learn(&mut self, error: &store::Error, missing: &[u64]) {
        let sent = self.records_max.unwrap_or(usize::MAX).min(missing.len());
        match (error.refusal(), missing.first()) {
            (Refusal::Other, _) | (_, None) => return,
            (Refusal::Row, Some(first)) if sent == 1 => {
                tracing::error!(
                    "The store refuses the record at offset {first}, which goes to quarantine: {}",
                    chain(error)
                );
                self.refused.insert(*first);
            }
            (Refusal::Row | Refusal::Lease, Some(_)) => {}
        }
        self.records_max = Some((sent / 2).max(1));
    }

    /// After an attempt that was taken, the next one sends a quarter more: to double it would have every other attempt
    /// refused where the store is slow, and each refusal costs a lease.
    fn grow(&mut self) {
        self.records_max = self.records_max.map(|max| max.saturating_add(max / 4).saturating_add(1));
    }
}

/// The lease that an announcement began.
struct Lease {
    since: Instant,
    write_before: Millis,
}

/// What log and ledger say of a partition, taken together.
enum Position {
    /// Everything announced is in the ledger.
    Closed { next: u64, before: Option<Mark> },
    /// That intent may be in the ledger in part.
    Open(Intent),
}

impl<M: Maker> Recovery<'_, M> {
    /// Recovers the partition.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self, source: &mut dyn Source, lessons: &mut Lessons) -> Result<Ready<M::State>, Error> {
        let _span = tracing::info_span!("recover", kafka.partition = %self.partition).entered();
        let committed = source.committed(self.partition).map_err(|error| self.again(error))?;
        match self.recover(source, committed.clone(), lessons) {
            // A worker that lost the partition without knowing it sees what its successor does: nothing is wrong.
            Err(refused @ Error::Refused { .. }) => {
                let now = source.committed(self.partition).map_err(|error| self.again(error))?;
                Err(if now == committed { refused } else { self.again(Cause::Moved) })
            }
            recovered => recovered,
        }
    }

    fn recover(
        &self,
        source: &mut dyn Source,
        committed: Option<Committed>,
        lessons: &mut Lessons,
    ) -> Result<Ready<M::State>, Error> {
        match self.position(source, committed)? {
            Position::Closed { next, before } => self.ready(next, before),
            Position::Open(intent) => {
                tracing::info!(
                    kafka.partition = %self.partition, first = intent.first, next = intent.next,
                    "Completing the announced batch [{}, {}) of {}", intent.first, intent.next, self.partition
                );
                self.complete(source, intent, lessons)
            }
        }
    }

    /// Compares what is announced with what is posted.
    fn position(&self, source: &dyn Source, committed: Option<Committed>) -> Result<Position, Error> {
        let closed = self.store.closed(self.partition).map_err(|error| self.again(error))?;
        let Some(Committed { offset, metadata }) = committed else {
            return self.never_announced(source, closed);
        };
        let intent =
            Intent::parse(offset, &metadata).map_err(|error| self.unreadable(offset, closed, &error))?;
        let bounds = source.bounds(self.partition).map_err(|error| self.again(error))?;
        if bounds.end < intent.next {
            let what = format!(
                "the log ends at offset {}, but the batch [{offset}, {}) was announced: the topic was recreated or has lost records",
                bounds.end, intent.next
            );
            return Err(self.refused(what, self.other_log(intent.next)));
        }
        let posted = closed.map(|closed| closed.reaches);
        self.nothing_beyond(&intent)?;
        let is_closed = intent.is_empty() || posted == Some(intent.next);
        match posted {
            Some(next) if next != intent.next && next != intent.first => Err(self.refused(format!(
                "the ledger's batches reach offset {next}, the announced batch is [{offset}, {}): the committed offset was reset or overwritten",
                intent.next
            ), Remedy::Repair)),
            None if intent.before.is_some() => Err(self.refused(format!(
                "offset {offset} is committed with records before it, and the ledger has no batch of this partition: the store was emptied or is another one"
            ), Remedy::OtherStore)),
            _ if is_closed => {
                let before = intent.mark_after();
                self.same_log(source, bounds, before)?;
                Ok(Position::Closed { next: intent.next, before })
            }
            _ => {
                self.same_log(source, bounds, intent.before)?;
                Ok(Position::Open(intent))
            }
        }
    }

    /// The ledger must hold no row after the announced batch.
    fn nothing_beyond(&self, intent: &Intent) -> Result<(), Error> {
        let highest = self.store.highest(self.partition, intent.next).map_err(|error| self.again(error))?;
        if highest > intent.next {
            let what = format!(
                "the ledger holds offset {}, beyond the announced batch [{}, {})",
                highest - 1,
                intent.first,
                intent.next
            );
            return Err(self.refused(what, Remedy::Repair));
        }
        Ok(())
    }

    /// A partition without a committed offset is new, unless the ledger knows it.
    fn never_announced(&self, source: &dyn Source, closed: Option<Closed>) -> Result<Position, Error> {
        let highest = self.store.highest(self.partition, 0).map_err(|error| self.again(error))?;
        let known = closed.map_or(0, |closed| closed.reaches).max(highest);
        let Bounds { low, end } = source.bounds(self.partition).map_err(|error| self.again(error))?;
        if known > end {
            let what = format!(
                "the ledger holds records up to offset {}, but the log ends at {end} and no offset is committed: the topic was recreated",
                known - 1
            );
            return Err(self.refused(what, self.other_log(known)));
        }
        if known > 0 {
            let what = format!(
                "the ledger holds records up to offset {}, but no offset is committed: the topic was recreated, the group is another one, or its offsets expired",
                known - 1
            );
            return Err(self.refused(what, Remedy::Repair));
        }
        Ok(Position::Closed { next: low, before: None })
    }

    /// The record before the batch must still be the one that the intent names, wherever the log still has it.
    fn same_log(&self, source: &dyn Source, bounds: Bounds, before: Option<Mark>) -> Result<(), Error> {
        let Some(mark) = before.filter(|mark| mark.offset >= bounds.low) else { return Ok(()) };
        let records =
            source.read(self.partition, mark.offset, mark.offset).map_err(|error| self.again(error))?;
        match records.last() {
            Some(record) if record.offset == mark.offset && digest(record.value) == mark.digest => Ok(()),
            found => Err(self.refused(format!(
                "the log's record at offset {} is {}, not the one that was posted: the topic was recreated and has grown past the committed offset",
                mark.offset,
                if found.is_some() { "another one" } else { "gone" }
            ), self.other_log(mark.offset.saturating_add(1)))),
        }
    }

    /// Completes an open batch: announce it again, let everything settle, read back, send only what is missing.
    fn complete(
        &self,
        source: &mut dyn Source,
        intent: Intent,
        lessons: &mut Lessons,
    ) -> Result<Ready<M::State>, Error> {
        self.point("recover.open")?;
        self.wait_for_old_writers(&intent)?;
        self.point("recover.waited")?;
        let chosen = self.read_again(source, intent)?;
        let intent = &chosen.intent;
        let scope =
            |attempt| Scope { partition: self.partition, first: intent.first, next: intent.next, attempt };

        self.point("recover.read")?;
        let mut lease = self.announce_again(intent)?;
        self.point("recover.announced")?;
        if !self.store.settled(self.partition, self.lease).map_err(|error| self.again(error))? {
            return Err(self.again(Cause::Unsettled));
        }
        // Only now is everything visible that an old writer sent: none of it may belong to another intent.
        self.nothing_beyond(intent)?;
        self.point("recover.settled")?;
        let mut held = self.held(intent, lessons)?;
        self.point("recover.read_back")?;
        let mut missing: Vec<u64> = chosen.records.iter().map(|record| record.offset).collect();
        missing.retain(|offset| held.lacks(*offset) && !lessons.rowless.contains(offset));
        held.later_from = lessons.records_max.and_then(|max| missing.get(max)).copied();
        let mut state = self
            .maker
            .prepare(self.partition, intent.first, intent.dedup_window)
            .map_err(|error| self.again(error))?;
        let mut batch = self.maker.make(&mut state, &chosen, &held).map_err(|error| self.again(error))?;
        lessons.rowless.extend(&batch.summary.duplicates_at);
        missing.retain(|offset| !lessons.rowless.contains(offset));
        let attempt = u64::try_from(lease.write_before.0).unwrap_or(1).max(1);
        let mut sent = false;
        for rows in &mut batch.tables {
            if rows.rows() > 0 {
                sent = true;
                self.renew(&mut lease, intent)?;
                self.insert_point(rows.table())?;
            }
            self.store.insert(rows.as_mut(), scope(attempt), lease.write_before).map_err(|error| {
                lessons.learn(&error, &missing);
                self.again(error)
            })?;
        }
        if held.later_from.is_some() {
            lessons.grow();
            return Err(self.again(Cause::NotWhole));
        }
        if sent && self.missing(&chosen, lessons)? {
            return Err(self.again(Cause::NotWhole));
        }
        match self.posted()? {
            Some(reaches) if reaches == intent.next => {}
            // Another owner found the batch closed and has gone on: the closing row of an earlier attempt was late.
            Some(reaches) if reaches > intent.next => return Err(self.again(Cause::Moved)),
            _ => {
                let mut closing = batch.closing(self.worker, true);
                self.renew(&mut lease, intent)?;
                self.insert_point(closing.table())?;
                self.store
                    .insert(&mut closing, scope(attempt), lease.write_before)
                    .map_err(|error| self.again(error))?;
            }
        }
        self.point("recover.closed")?;
        let (next, before) = (intent.next, intent.mark_after());
        // The batches to come are decided by the window that their intents will name.
        if intent.dedup_window == self.window {
            Ok(Ready { next, before, state })
        } else {
            self.ready(next, before)
        }
    }

    /// Whether the tables still lack rows of the batch.
    fn missing(&self, chosen: &Chosen, lessons: &Lessons) -> Result<bool, Error> {
        let intent = &chosen.intent;
        let held = self.held(intent, lessons)?;
        let mut state = self
            .maker
            .prepare(self.partition, intent.first, intent.dedup_window)
            .map_err(|error| self.again(error))?;
        let batch = self.maker.make(&mut state, chosen, &held).map_err(|error| self.again(error))?;
        Ok(batch.tables.iter().any(|rows| rows.rows() > 0))
    }

    fn held(&self, intent: &Intent, lessons: &Lessons) -> Result<Held, Error> {
        let present = self
            .maker
            .tables()
            .iter()
            .map(|table| {
                let present = self.store.present(table, self.partition, intent.first, intent.next)?;
                Ok((*table, present))
            })
            .collect::<Result<_, store::Error>>()
            .map_err(|error| self.again(error))?;
        Ok(Held { present, refused: lessons.refused.clone(), later_from: None })
    }

    fn posted(&self) -> Result<Option<u64>, Error> {
        let closed = self.store.closed(self.partition).map_err(|error| self.again(error))?;
        Ok(closed.map(|closed| closed.reaches))
    }

    /// One lease after the assignment, by the store's clock, every insert of an old owner is refused. The lease is the
    /// old owner's, which its intent names, or ours, where that is longer.
    fn wait_for_old_writers(&self, intent: &Intent) -> Result<(), Error> {
        let Some(assigned_at) = self.assigned_at else { return Ok(()) };
        let wait_ms = i64::try_from(lease_ms(self.lease).max(intent.lease_ms)).unwrap_or(i64::MAX);
        loop {
            let now = self.store.now().map_err(|error| self.again(error))?;
            let left_ms = assigned_at.0.saturating_add(wait_ms).saturating_sub(now.0);
            let Ok(left_ms) = u64::try_from(left_ms) else { return Ok(()) };
            std::thread::sleep(Duration::from_millis(left_ms.clamp(1, 1_000)));
        }
    }

    fn read_again(&self, source: &dyn Source, intent: Intent) -> Result<Chosen, Error> {
        if intent.count == 0 {
            // Nothing but holes: whoever announced it has read past them.
            let records = Records::default();
            return Ok(Chosen { partition: self.partition.clone(), epoch: self.epoch, intent, records });
        }
        let last = intent.last.map_or(intent.next.saturating_sub(1), |mark| mark.offset);
        let records = source.read(self.partition, intent.first, last).map_err(|error| match error {
            source::Error::Overtaken { low, .. } => self.refused(
                format!("of the announced batch [{}, {}), the log has nothing before offset {low} any more: retention overtook it", intent.first, intent.next),
                Remedy::Repair,
            ),
            error => self.again(error),
        })?;
        let found = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let same_last = match (records.last(), intent.last) {
            (Some(record), Some(mark)) => record.offset == mark.offset && digest(record.value) == mark.digest,
            _ => false,
        };
        if found != intent.count || !same_last {
            let partition = self.partition.clone();
            let error = source::Error::Changed { partition, last, wanted: intent.count, found };
            return Err(self.refused(error.to_string(), self.other_log(intent.next)));
        }
        Ok(Chosen { partition: self.partition.clone(), epoch: self.epoch, intent, records })
    }

    /// Announces the same intent again, which renews the lease: it counts from before the commit was sent.
    fn announce_again(&self, intent: &Intent) -> Result<Lease, Error> {
        let since = Instant::now();
        let now = self.store.now().map_err(|error| self.again(error))?;
        let announcement = Announcement {
            partition: self.partition.clone(),
            epoch: self.epoch,
            offset: intent.first,
            // From here on it is our lease that a successor waits for.
            metadata: Intent { lease_ms: lease_ms(self.lease), ..intent.clone() }.metadata(),
        };
        match self.announcer.announce(&[announcement]) {
            Ok(()) => Ok(Lease { since, write_before: lease_end(now, self.lease) }),
            Err(AnnounceError::Revoked(partition)) => Err(Error::Revoked(partition)),
            Err(AnnounceError::NoAnswer(_)) => Err(Error::Rejoin(self.partition.clone())),
            Err(error @ (AnnounceError::Refused(_) | AnnounceError::TooLarge(_))) => {
                Err(self.again(Cause::Announce(error)))
            }
        }
    }

    /// Reading back may take a good part of a lease where the store is slow: rows are sent under one that is fresh.
    fn renew(&self, lease: &mut Lease, intent: &Intent) -> Result<(), Error> {
        if lease.since.elapsed() > self.lease / 2 {
            *lease = self.announce_again(intent)?;
        }
        Ok(())
    }

    fn ready(&self, next: u64, before: Option<Mark>) -> Result<Ready<M::State>, Error> {
        let state =
            self.maker.prepare(self.partition, next, self.window).map_err(|error| self.again(error))?;
        Ok(Ready { next, before, state })
    }

    fn point(&self, name: &str) -> Result<(), Error> {
        fault::point(&self.partition.topic, name).map_err(|told| self.again(Cause::Injected(told)))
    }

    fn insert_point(&self, table: &str) -> Result<(), Error> {
        fault::insert(&self.partition.topic, "recover.insert", table)
            .map_err(|told| self.again(Cause::Injected(told)))
    }

    fn unreadable(&self, offset: u64, closed: Option<Closed>, error: &intent::Error) -> Error {
        let reach = closed.map_or("has no batch of this partition".to_owned(), |closed| {
            format!("reaches offset {}", closed.reaches)
        });
        let remedy = match error {
            intent::Error::Foreign(_) => Remedy::Repair,
            intent::Error::Later(_) => Remedy::OtherVersion,
        };
        self.refused(format!("offset {offset} is committed and the ledger {reach}, but {error}"), remedy)
    }

    fn refused(&self, what: String, remedy: Remedy) -> Error {
        Error::Refused { partition: self.partition.clone(), what, remedy }
    }

    fn other_log(&self, reaches: u64) -> Remedy {
        Remedy::OtherLog { is_of_commands: &*self.partition.topic == COMMANDS_TOPIC, reaches }
    }

    fn again(&self, cause: impl Into<Cause>) -> Error {
        Error::Again { partition: self.partition.clone(), source: cause.into() }
    }
}

/// A lease in milliseconds.
#[must_use]
pub fn lease_ms(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
}

/// The end of a lease that begins at that time of the store.
#[must_use]
pub fn lease_end(now: Millis, lease: Duration) -> Millis {
    Millis(now.0.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)))
}

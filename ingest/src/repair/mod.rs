//! Puts group, ledger and log together again where they have come apart, offline: looks at each partition, says what
//! is seen, and carries out the one action that `verdict` finds. Never guesses: the ledger says what is posted, and
//! what the log does not have any more is closed as lost, in the open.

mod record;
mod verdict;

use std::fmt;
use std::time::Duration;

use schemas::log::COMMANDS_TOPIC;

pub use record::{Repair, record, unrecorded};
pub use verdict::{
    Action, Beyond, Group, Ledger, REMEDY_STORE, Sameness, Seen, Verdict, judge, remedy_recreated,
};

use crate::book::{Sight, wall_clock};
use crate::dedup::WINDOW_DEFAULT;
use crate::intent::{self, DECODER, Intent, Mark};
use crate::recover::lease_end;
use crate::source::{self, Outside, Partition, digest};
use crate::store::{self, Store};

const LEDGER: &str = include_str!("../../../schemas/clickhouse/queries/repair_ledger.sql");
const PARTITIONS: &str = include_str!("../../../schemas/clickhouse/queries/repair_partitions.sql");
const ROWS: &str = include_str!("../../../schemas/clickhouse/queries/repair_rows.sql");
const SIGHT: &str = include_str!("../../../schemas/clickhouse/queries/commands_sight.sql");

/// The tables that have rows of usage; the last one those that a record makes.
pub const USAGE_TABLES: &[&str] = &["quarantine", "entries"];

/// Why a repair could not be made. What it has done so far is seen by the next one, which goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer, or refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store did not answer, or refused.
    #[error("the store failed {what}")]
    Asked {
        /// What was asked.
        what: &'static str,
        /// What it said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// The log did not answer, or refused.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// An insert of the partition runs in the store all the time.
    #[error("an insert of {0} still runs in the store: stop who sends it")]
    Unsettled(Partition),
    /// The records that are to be announced are not there.
    #[error("{partition}: the log has no record at offset {offset}, of which the ledger has rows")]
    Missing {
        /// The partition.
        partition: Partition,
        /// The offset.
        offset: u64,
    },
}

/// What is seen of a partition, and what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The partition.
    pub partition: Partition,
    /// What is seen.
    pub seen: Seen,
    /// What is to be done.
    pub verdict: Verdict,
    /// The window of duplicates of its last batch.
    window: u64,
}

impl Finding {
    /// Whether both are of one state; records may have come to the log meanwhile.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let state =
            |finding: &Self| (finding.verdict.clone(), finding.seen.group.clone(), finding.seen.ledger);
        self.partition == other.partition && state(self) == state(other)
    }
}

/// Who repairs, and why.
#[derive(Clone, Debug)]
pub struct Note {
    /// Who.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
}

/// Repairs the partitions of one topic.
pub struct Repairer<'a> {
    /// The store.
    pub store: &'a Store,
    /// Log and group.
    pub log: &'a dyn Outside,
    /// The topic.
    pub topic: &'a str,
    /// The tables that its records make rows of, as the maker names them.
    pub tables: &'a [&'static str],
    /// The lease of the workers.
    pub lease: Duration,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct ClosedBatches {
    batch_count: u64,
    reaches: u64,
    last_record_offset: u64,
    last_record_digest: u64,
    last_window: u64,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct TableRows {
    row_count: u64,
    record_count: u64,
    first_offset: u64,
    last_offset: u64,
}

impl Repairer<'_> {
    /// All partitions that the log has or the ledger knows.
    ///
    /// # Errors
    /// Where log or store do not answer.
    pub fn partitions(&self) -> Result<Vec<Partition>, Error> {
        let known: u64 = self
            .store
            .block_on(self.store.sequential(PARTITIONS).param("topic", self.topic).fetch_one())
            .map_err(asked("telling the partitions of a topic"))?;
        let count = self.log.partitions()?.max(u32::try_from(known).unwrap_or(u32::MAX));
        Ok((0..count).map(|number| Partition { topic: self.topic.into(), number }).collect())
    }

    /// Looks at one partition.
    ///
    /// # Errors
    /// Where log or store do not answer.
    pub fn examine(&self, partition: &Partition) -> Result<Finding, Error> {
        let group = match self.log.committed(partition)? {
            None => Group::Nothing,
            Some(committed) => match Intent::parse(committed.offset, &committed.metadata) {
                Ok(intent) => Group::Intent(intent),
                Err(intent::Error::Later(format)) => Group::Later { format },
                Err(intent::Error::Foreign(_)) => Group::Foreign { offset: committed.offset },
            },
        };
        let closed: ClosedBatches = self
            .store
            .block_on(
                self.store
                    .sequential(LEDGER)
                    .param("topic", self.topic)
                    .param("partition", partition.number)
                    .fetch_one(),
            )
            .map_err(asked("reading the batches of a partition"))?;
        let reaches = (closed.batch_count > 0).then_some(closed.reaches);
        let last = Mark { offset: closed.last_record_offset, digest: closed.last_record_digest };
        let ledger = Ledger {
            reaches,
            uncovered: self.uncovered(partition, reaches.unwrap_or(0))?,
            last: (reaches.is_some() && last != Mark { offset: 0, digest: 0 }).then_some(last),
        };
        let is_there = partition.number < self.log.partitions()?;
        let log = if is_there { Some(self.log.bounds(partition)?) } else { None };
        let same = match (ledger.last, log) {
            (Some(mark), Some(log)) if mark.offset >= log.low && mark.offset < log.end => {
                self.compare(partition, mark)?
            }
            _ => Sameness::Unknown,
        };
        let seen = Seen { group, ledger, log, same };
        let verdict = self.judge(partition, &seen)?;
        let window = if closed.last_window > 0 { closed.last_window } else { WINDOW_DEFAULT };
        Ok(Finding { partition: partition.clone(), seen, verdict, window })
    }

    /// The first and the last offset from `base` on that a table has rows of.
    fn uncovered(&self, partition: &Partition, base: u64) -> Result<Option<(u64, u64)>, Error> {
        let mut range: Option<(u64, u64)> = None;
        for table in self.tables {
            let rows = self.rows(table, partition, base, u64::MAX)?;
            if rows.row_count > 0 {
                let (first, last) = range.unwrap_or((rows.first_offset, rows.last_offset));
                range = Some((first.min(rows.first_offset), last.max(rows.last_offset)));
            }
        }
        Ok(range)
    }

    fn rows(&self, table: &str, partition: &Partition, first: u64, next: u64) -> Result<TableRows, Error> {
        self.store
            .block_on(
                self.store
                    .sequential(ROWS)
                    .param("table", table)
                    .param("topic", self.topic)
                    .param("partition", partition.number)
                    .param("first", first)
                    .param("next", next)
                    .fetch_one(),
            )
            .map_err(asked("counting the rows of a range of offsets"))
    }

    fn compare(&self, partition: &Partition, mark: Mark) -> Result<Sameness, Error> {
        let records = self.log.read(partition, mark.offset, mark.offset)?;
        let is_same = records
            .last()
            .is_some_and(|record| record.offset == mark.offset && digest(record.value) == mark.digest);
        Ok(if is_same { Sameness::Same } else { Sameness::Other })
    }

    /// The verdict; a batch that is announced and open must still be what its intent says, too.
    fn judge(&self, partition: &Partition, seen: &Seen) -> Result<Verdict, Error> {
        let verdict = judge(seen);
        let (Verdict::Agrees, Group::Intent(intent)) = (&verdict, &seen.group) else { return Ok(verdict) };
        let Some(last) = intent.last.filter(|_| seen.ledger.reaches != Some(intent.next)) else {
            return Ok(verdict);
        };
        let records = self.log.read(partition, intent.first, last.offset)?;
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let is_same = records.last().is_some_and(|record| {
            count == intent.count && record.offset == last.offset && digest(record.value) == last.digest
        });
        Ok(if is_same { verdict } else { Verdict::Beyond(Beyond::Recreated { reaches: intent.next }) })
    }

    /// Waits until nothing can reach the store any more that a worker sent before it was stopped: one lease by the
    /// store's clock, and until no insert runs. What is examined afterwards stays as it is.
    ///
    /// # Errors
    /// Where the store does not answer, or an insert does not end.
    pub fn settle(&self, partitions: &[&Partition]) -> Result<(), Error> {
        if self.log.may_have_zombies() {
            let until = lease_end(self.store.now()?, self.lease);
            loop {
                let left_ms = u64::try_from(until.0.saturating_sub(self.store.now()?.0)).unwrap_or(0);
                if left_ms == 0 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(left_ms.min(1_000)));
            }
        }
        for partition in partitions {
            if !self.store.settled(partition, self.lease)? {
                return Err(Error::Unsettled((*partition).clone()));
            }
        }
        Ok(())
    }

    /// Carries out an action: writes down that it does, closes what is lost, and sets the group.
    ///
    /// # Errors
    /// Where log or store refuse; the next repair goes on from there.
    pub fn carry_out(
        &self,
        finding: &Finding,
        action: Action,
        id: &str,
        note: &Note,
    ) -> Result<Repair, Error> {
        let partition = &finding.partition;
        let (first, next) = action.announces();
        // What is to be announced is read before anything is written.
        let intent = self.intent(finding, first, next)?;
        // What is committed, once more: a group with a member that did not show refuses it, and nothing is written.
        if let Some(committed) = self.log.committed(partition)? {
            self.log.commit(partition, committed.offset, &committed.metadata)?;
        }
        let mut repair = Repair {
            repair_id: id.to_owned(),
            repaired_ms: self.store.now()?.0,
            actor: note.actor.clone(),
            reason: note.reason.clone(),
            topic_name: self.topic.to_owned(),
            partition_number: partition.number,
            action_name: action.name().to_owned(),
            first,
            next,
            lost: 0,
            seen: finding.seen.to_json(),
        };
        match action {
            Action::Point { .. } | Action::Complete { .. } => repair.write(self.store)?,
            Action::Lose { first, next, .. } => {
                (repair.first, repair.next) = (first, next);
                let rows = self.kept(partition, first, next)?;
                repair.lost = (next - first).saturating_sub(rows.received());
                repair.write(self.store)?;
                self.close(finding, &repair, &rows)?;
            }
        }
        self.log.commit(partition, first, &intent.metadata())?;
        Ok(repair)
    }

    /// The intent that says where a worker goes on: empty, or over records of which the ledger has rows.
    fn intent(&self, finding: &Finding, first: u64, next: u64) -> Result<Intent, Error> {
        let partition = &finding.partition;
        let mut intent = Intent {
            first,
            next,
            count: 0,
            last: None,
            before: finding.seen.ledger.last,
            commands_through: if self.topic == COMMANDS_TOPIC { first } else { self.sight()?.through },
            recorded_at: wall_clock(),
            dedup_window: finding.window,
            decoder: DECODER,
            lease_ms: 0,
        };
        if let Some(last) = next.checked_sub(1).filter(|_| next > first) {
            let records = self.log.read(partition, first, last)?;
            let mark =
                records.last().map(|record| Mark { offset: record.offset, digest: digest(record.value) });
            if mark.is_none_or(|mark| mark.offset != last) {
                return Err(Error::Missing { partition: partition.clone(), offset: last });
            }
            intent.count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            intent.last = mark;
        }
        Ok(intent)
    }

    fn sight(&self) -> Result<Sight, Error> {
        self.store
            .block_on(self.store.sequential(SIGHT).param("topic", COMMANDS_TOPIC).fetch_one())
            .map_err(asked("telling how far commands are carried out"))
    }

    fn kept(&self, partition: &Partition, first: u64, next: u64) -> Result<Kept, Error> {
        let posted_table = self.tables.last().copied().unwrap_or("entries");
        let posted = self.rows(posted_table, partition, first, next)?;
        let quarantined = self.rows("quarantine", partition, first, next)?;
        Ok(Kept {
            posted: posted.record_count,
            entries: posted.row_count,
            quarantined: quarantined.record_count,
        })
    }

    /// The row that closes a lost range: holes, but for the records whose rows are there.
    fn close(&self, finding: &Finding, repair: &Repair, kept: &Kept) -> Result<(), Error> {
        let write_before = lease_end(self.store.now()?, self.lease);
        let before = finding.seen.ledger.last;
        let row = serde_json::json!({
            "topic": repair.topic_name,
            "partition": repair.partition_number,
            "first": repair.first,
            "next": repair.next,
            "received": kept.received(),
            "posted": kept.posted,
            "entries": kept.entries,
            "duplicates": 0,
            "quarantined": kept.quarantined,
            "holes": repair.lost,
            "duplicates_at": [],
            "last_offset": before.map_or(0, |mark| mark.offset),
            "last_digest": before.map_or(0, |mark| mark.digest),
            "log_time_max": record::decimal_seconds(repair.repaired_ms),
            "recorded_at": record::decimal_seconds(repair.repaired_ms),
            "commands_through": 0,
            "dedup_window": finding.window,
            "decoder": DECODER,
            "decoder_closed": DECODER,
            "worker": format!("repair {}", repair.repair_id),
            "healed": 1,
            "write_before": record::decimal_seconds(write_before.0),
        });
        record::insert(self.store, "batches", &row)
    }
}

/// Records of a lost range whose rows the ledger has.
struct Kept {
    posted: u64,
    entries: u64,
    quarantined: u64,
}

impl Kept {
    const fn received(&self) -> u64 {
        self.posted.saturating_add(self.quarantined)
    }
}

fn asked(what: &'static str) -> impl Fn(clickhouse::error::Error) -> Error {
    move |source| Error::Asked { what, source }
}

impl Seen {
    /// What is seen, for the record.
    #[must_use]
    pub fn to_json(&self) -> String {
        let [group, ledger, log] = self.lines();
        serde_json::json!({ "group": group, "ledger": ledger, "log": log }).to_string()
    }

    /// What group, ledger and log say, each in one line.
    #[must_use]
    pub fn lines(&self) -> [String; 3] {
        let group = match &self.group {
            Group::Nothing => "has no offset".to_owned(),
            Group::Foreign { offset } => {
                format!(
                    "is at offset {offset}, with nothing of Tollbook's beside it: reset, or set by something else"
                )
            }
            Group::Later { format } => {
                format!("has an intent of format {format}, which a later version wrote")
            }
            Group::Intent(intent) if intent.is_empty() => format!("is at offset {}", intent.first),
            Group::Intent(intent) => format!("has announced [{}, {})", intent.first, intent.next),
        };
        let reach =
            self.ledger.reaches.map_or("has no batch".to_owned(), |reaches| format!("ends at {reaches}"));
        let ledger = match self.ledger.uncovered {
            None => reach,
            Some((first, last)) => {
                format!("{reach}, and has rows of offsets {first} to {last} that no batch covers")
            }
        };
        let log = match (self.log, self.same) {
            (None, _) => "is not there".to_owned(),
            (Some(log), Sameness::Other) => format!(
                "has offsets [{}, {}), and not the record that the ledger read last",
                log.low, log.end
            ),
            (Some(log), _) => format!("has offsets [{}, {})", log.low, log.end),
        };
        [group, ledger, log]
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [group, ledger, log] = self.seen.lines();
        writeln!(formatter, "{}", self.partition)?;
        writeln!(formatter, "  group   {group}")?;
        writeln!(formatter, "  ledger  {ledger}")?;
        writeln!(formatter, "  log     {log}")?;
        match &self.verdict {
            Verdict::Agrees => write!(formatter, "  they agree"),
            Verdict::Repair(action) => write!(formatter, "  repair: {action}"),
            Verdict::Beyond(beyond) => {
                write!(
                    formatter,
                    "  beyond repair: {}",
                    beyond.explain(&*self.partition.topic == COMMANDS_TOPIC)
                )
            }
        }
    }
}

//! The state of everything at one instant: the log, the group's coordinator, the store, the workers, and what is on
//! its way between them. Offsets of a partition are bits, so a state is small and quickly copied.

use crate::check::{Kind, Violation};
use crate::way::Way;

/// Offsets of a partition's log at most.
pub(crate) const OFFSETS_MAX: u8 = 6;

/// A set of offsets of one partition.
pub(crate) type Offsets = u16;
/// The store's time. What else counts time, counts it by this clock.
pub(crate) type Time = u16;

/// What lies at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Record {
    /// Nothing.
    Hole,
    /// An event of the one month or the other; a batch of both makes two parts.
    Entry { month: u8 },
    /// A record for quarantine.
    Bad,
    /// An event whose row the store refuses.
    Unpostable,
    /// A repeat within the window: it makes no row.
    Duplicate,
}

/// What does not change while a simulation runs.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) way: Option<Way>,
    /// What the run looks for; anything where it is `None`.
    pub(crate) sought: Option<Kind>,
    /// Whether the log is the embedded one: its lock proves that there is one worker, and the store dies with it.
    pub(crate) is_embedded: bool,
    pub(crate) logs: Vec<Vec<Record>>,
    /// The lease of each worker; all the same, but in one of the ways.
    pub(crate) leases: Vec<Time>,
    /// Faults that happen at most.
    pub(crate) faults: u16,
    /// Where time ends.
    pub(crate) time_max: Time,
}

impl Scenario {
    pub(crate) fn goes(&self, way: Way) -> bool {
        self.way == Some(way)
    }

    pub(crate) fn seeks(&self, violation: &Violation) -> bool {
        self.sought.is_none_or(|kind| kind == violation.kind())
    }

    /// The offsets of `[first, next)` whose record is one of those.
    pub(crate) fn find(&self, partition: u8, range: Intent, wanted: impl Fn(Record) -> bool) -> Offsets {
        let log = &self.logs[usize::from(partition)];
        let offsets = (range.first..range.next).filter(|offset| wanted(log[usize::from(*offset)]));
        offsets.fold(0, |set, offset| set | bit(offset))
    }

    /// Where the log of a partition ends: after its last record.
    pub(crate) fn end(&self, partition: u8) -> u8 {
        let log = &self.logs[usize::from(partition)];
        let records = (0_u8..).zip(log).filter(|(_, record)| **record != Record::Hole);
        records.map(|(offset, _)| offset + 1).last().unwrap_or(0)
    }
}

pub(crate) fn bit(offset: u8) -> Offsets {
    1 << offset
}

/// The offsets of a set in order.
pub(crate) fn each(set: Offsets) -> impl Iterator<Item = u8> {
    (0..OFFSETS_MAX).filter(move |offset| set & bit(*offset) != 0)
}

/// A batch `[first, next)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Intent {
    pub(crate) first: u8,
    pub(crate) next: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Table {
    Quarantine,
    Entries,
    Batches,
}

/// Which offsets the two tables of rows hold of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Rows {
    pub(crate) quarantine: Offsets,
    pub(crate) entries: Offsets,
}

impl Rows {
    pub(crate) fn all(self) -> Offsets {
        self.quarantine | self.entries
    }

    pub(crate) fn of(&mut self, table: Table) -> &mut Offsets {
        match table {
            Table::Quarantine => &mut self.quarantine,
            _ => &mut self.entries,
        }
    }
}

/// A partition as the coordinator and the store know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    pub(crate) owner: Option<u8>,
    pub(crate) committed: Option<Intent>,
    pub(crate) rows: Rows,
    /// What the lagging replica shows.
    pub(crate) replica: Rows,
    pub(crate) batches: Vec<Intent>,
}

impl Partition {
    pub(crate) fn reaches(&self) -> Option<u8> {
        self.batches.iter().map(|batch| batch.next).max()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Up,
    /// By a signal, or a machine that is suspended: nothing of it runs, and it may go on at any time.
    Stopped,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) life: Life,
    /// Whether the coordinator counts it as a member.
    pub(crate) is_member: bool,
    /// Whether it takes itself for one.
    pub(crate) has_joined: bool,
    /// Whether it knows the present generation.
    pub(crate) is_current: bool,
    /// The commit under way. While there is one, the lock is held.
    pub(crate) commit: Option<Pending>,
    pub(crate) lanes: Vec<Lane>,
}

/// A commit as the worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub(crate) partition: u8,
    pub(crate) intent: Intent,
    pub(crate) is_sent: bool,
    pub(crate) answer: Option<Answer>,
    /// The store's time before it was sent.
    pub(crate) since: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Yes,
    /// Refused, the lease being over.
    TooLate,
    /// Refused for a value of a row.
    BadRow,
    /// Any other error.
    Error,
}

/// What a worker does next with a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Nothing: it is not its own.
    #[default]
    Away,
    /// Asks what is committed.
    Look,
    /// Compares it with the ledger.
    Compare,
    /// Lets the old owner's lease end.
    Wait,
    /// Chooses the next batch.
    Choose,
    /// Announces the intent.
    Announce,
    Announcing,
    /// Waits until no insert of the partition runs.
    Settle,
    ReadBack,
    Send,
    Sending,
    /// Reads back what was sent.
    Verify,
    Close,
    Closing,
}

/// A partition as one worker knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) phase: Phase,
    /// The store's time at the assignment, or when the last batch became uncertain.
    pub(crate) since: Time,
    /// Where the next batch begins.
    pub(crate) next: u8,
    pub(crate) intent: Intent,
    pub(crate) is_healing: bool,
    pub(crate) write_before: Time,
    /// Sets this try's tokens apart from others.
    pub(crate) attempt: u16,
    /// Rows still to be sent.
    pub(crate) to_send: Rows,
    /// Records of which rows are missing.
    pub(crate) missing: Offsets,
    /// Some of these are left for a later try.
    pub(crate) some_wait: bool,
    pub(crate) has_sent: bool,
    /// Missing records whose rows are sent in one try; 0 for all.
    pub(crate) records_max: u8,
    /// Records that the store refused alone.
    pub(crate) refused: Offsets,
    /// The store's answer to the insert under way.
    pub(crate) answer: Option<Answer>,
}

/// A commit on its way to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Commit {
    pub(crate) worker: u8,
    /// Tells the commits of a worker apart.
    pub(crate) number: u8,
    pub(crate) partition: u8,
    pub(crate) intent: Intent,
    /// Whether it is of the present generation.
    pub(crate) is_current: bool,
    /// Whether the worker waits for the answer.
    pub(crate) is_awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// On its way to the store.
    Sent,
    /// Its query has begun at that time, its rows are not there.
    Begun(Time),
    /// It has passed the lease's check; its parts become visible one by one.
    Checked,
}

/// An insert on its way to the store, or in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Insert {
    pub(crate) worker: u8,
    pub(crate) partition: u8,
    /// Tells the inserts of a worker into a partition apart.
    pub(crate) number: u8,
    pub(crate) intent: Intent,
    pub(crate) table: Table,
    pub(crate) attempt: u16,
    /// What is not visible yet; one bit for a row of `batches`.
    pub(crate) rows: Offsets,
    pub(crate) write_before: Time,
    pub(crate) stage: Stage,
    pub(crate) is_awaited: bool,
}

/// A deduplication token that the store remembers: one for each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token {
    pub(crate) partition: u8,
    pub(crate) intent: Intent,
    pub(crate) table: Table,
    pub(crate) attempt: u16,
    pub(crate) month: u8,
}

/// Everything at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) time: Time,
    pub(crate) faults_left: u16,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) commits: Vec<Commit>,
    pub(crate) inserts: Vec<Insert>,
    pub(crate) tokens: Vec<Token>,
    /// The last rows that became visible, while a loss of power can still take them.
    pub(crate) unsynced: Option<(u8, Table, Offsets)>,
}

impl World {
    /// Nothing has happened: the group is empty, and so is the ledger.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let worker = Worker {
            life: Life::Up,
            is_member: false,
            has_joined: false,
            is_current: false,
            commit: None,
            lanes: vec![Lane::default(); scenario.logs.len()],
        };
        Self {
            time: 0,
            faults_left: scenario.faults,
            partitions: vec![Partition::default(); scenario.logs.len()],
            workers: vec![worker; scenario.leases.len()],
            commits: Vec::new(),
            inserts: Vec::new(),
            tokens: Vec::new(),
            unsynced: None,
        }
    }

    /// Whether everything is posted and nothing is on its way.
    pub(crate) fn is_done(&self, scenario: &Scenario) -> bool {
        self.commits.is_empty()
            && self.inserts.is_empty()
            && (0_u8..).zip(&self.partitions).all(|(partition, state)| {
                let end = scenario.end(partition);
                end == 0 || state.reaches() == Some(end)
            })
    }

    pub(crate) fn partition(&mut self, partition: u8) -> &mut Partition {
        &mut self.partitions[usize::from(partition)]
    }

    pub(crate) fn worker(&mut self, worker: u8) -> &mut Worker {
        &mut self.workers[usize::from(worker)]
    }

    pub(crate) fn lane(&mut self, worker: u8, partition: u8) -> &mut Lane {
        &mut self.worker(worker).lanes[usize::from(partition)]
    }
}

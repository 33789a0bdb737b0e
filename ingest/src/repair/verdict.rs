//! What is to be done about one partition, from what group, ledger and log say of it. Asks nobody.

use std::fmt;

use crate::intent::{Intent, Mark};
use crate::source::Bounds;

/// What the group keeps for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// No offset: never begun, expired, or gone with the topic.
    Nothing,
    /// An intent of ours.
    Intent(Intent),
    /// An offset whose metadata is wiped or foreign.
    Foreign {
        /// The offset.
        offset: u64,
    },
    /// An intent of a later version.
    Later {
        /// Its format.
        format: u32,
    },
}

/// What the ledger holds of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Where its closed batches end; `None` where it has none.
    pub reaches: Option<u64>,
    /// The first and the last offset of rows that no closed batch covers.
    pub uncovered: Option<(u64, u64)>,
    /// The last record that it names as read.
    pub last: Option<Mark>,
}

/// What the log has at the offset of the last record that the ledger names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// The same record.
    Same,
    /// Another one, or none: it is another log.
    Other,
    /// The log does not reach back so far, or the ledger names none.
    Unknown,
}

/// All that is seen of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The group.
    pub group: Group,
    /// The ledger.
    pub ledger: Ledger,
    /// The log; `None` where it has no such partition.
    pub log: Option<Bounds>,
    /// Whether the log is the one that was posted.
    pub same: Sameness,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: a worker goes on by itself.
    Agrees,
    /// That.
    Repair(Action),
    /// What no repair can do.
    Beyond(Beyond),
}

/// A repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets the group to that offset, where the ledger ends.
    Point {
        /// The offset.
        next: u64,
    },
    /// Announces `[first, next)`, of which the ledger has rows but no closed batch: the next worker completes it.
    Complete {
        /// First offset.
        first: u64,
        /// Where it ends.
        next: u64,
    },
    /// Closes `[first, next)`, which the log does not have any more, as lost but for the rows that are there.
    Lose {
        /// First offset.
        first: u64,
        /// The first offset that the log still has.
        next: u64,
        /// Where rows beyond it end that no batch covers; at most `next` where there are none.
        rows_to: u64,
    },
}

/// Why no repair can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The topic was deleted.
    Gone,
    /// The topic was deleted and made anew, or has lost records at its end.
    Recreated {
        /// Where the ledger, or the announced batch, ends.
        reaches: u64,
    },
    /// The group has come far and the ledger is empty.
    EmptyStore,
    /// The intent is of a later version.
    Later {
        /// Its format.
        format: u32,
    },
}

impl Action {
    /// Its name in the record of repairs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Point { .. } => "point",
            Self::Complete { .. } => "complete",
            Self::Lose { .. } => "lose",
        }
    }

    /// Where the group stands afterwards, and up to where it announces what rows are there of.
    #[must_use]
    pub fn announces(self) -> (u64, u64) {
        match self {
            Self::Point { next } => (next, next),
            Self::Complete { first, next } => (first, next),
            Self::Lose { next, rows_to, .. } => (next, rows_to.max(next)),
        }
    }
}

/// Decides about one partition.
#[must_use]
pub fn judge(seen: &Seen) -> Verdict {
    let Seen { group, ledger, log, same } = seen;
    let Some(log) = log else {
        let is_known = *group != Group::Nothing || ledger.reaches.is_some() || ledger.uncovered.is_some();
        return if is_known { Verdict::Beyond(Beyond::Gone) } else { Verdict::Agrees };
    };
    if let Group::Later { format } = group {
        return Verdict::Beyond(Beyond::Later { format: *format });
    }
    let Some(base) = base(group, ledger, *log) else {
        // Whatever offset a stranger left: nothing is posted, so all that the log has is still to be posted.
        return match group {
            Group::Foreign { .. } => Verdict::Repair(Action::Point { next: log.low }),
            _ => Verdict::Agrees,
        };
    };
    let rows_to = ledger.uncovered.map_or(base, |(_, last)| base.max(last.saturating_add(1)));
    let announced = match group {
        Group::Intent(intent) => intent.next,
        _ => 0,
    };
    if log.end < rows_to || log.end < announced || *same == Sameness::Other {
        return Verdict::Beyond(Beyond::Recreated { reaches: rows_to.max(announced) });
    }
    if ledger.reaches.is_none() && matches!(group, Group::Intent(intent) if intent.before.is_some()) {
        return Verdict::Beyond(Beyond::EmptyStore);
    }
    if log.low > base {
        return Verdict::Repair(Action::Lose { first: base, next: log.low, rows_to });
    }
    if let Group::Intent(intent) = group {
        let is_closed = intent.next == base && rows_to == base;
        let is_open = intent.first == base && intent.next > base && rows_to <= intent.next;
        if is_closed || is_open {
            return Verdict::Agrees;
        }
    }
    Verdict::Repair(if rows_to > base {
        Action::Complete { first: base, next: rows_to }
    } else {
        Action::Point { next: base }
    })
}

/// Where what is still to be posted begins; `None` where nobody has begun.
fn base(group: &Group, ledger: &Ledger, log: Bounds) -> Option<u64> {
    let intended = match group {
        Group::Intent(intent) => Some(intent.first),
        _ => None,
    };
    let from_rows = ledger.uncovered.map(|(first, _)| first.min(log.low));
    ledger.reaches.or(intended).or(from_rows)
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Point { next } => {
                write!(formatter, "set the group to offset {next}, where the ledger ends")
            }
            Self::Complete { first, next } => write!(
                formatter,
                "announce [{first}, {next}), of which the ledger has rows but no closed batch, so that the next worker completes it"
            ),
            Self::Lose { first, next, .. } => write!(
                formatter,
                "close [{first}, {next}), which the log does not have any more, as lost but for the rows that are in the ledger, and set the group to offset {next}"
            ),
        }
    }
}

impl Beyond {
    /// What it is, and the way out, for a partition of that topic.
    #[must_use]
    pub fn explain(self, is_of_commands: bool) -> String {
        match self {
            Self::Gone => format!(
                "the topic does not exist any more, or has fewer partitions; {}",
                remedy_recreated(is_of_commands, None)
            ),
            Self::Recreated { reaches } => format!(
                "the log is not the one that was posted: the topic was recreated or has lost records; {}",
                remedy_recreated(is_of_commands, Some(reaches))
            ),
            Self::EmptyStore => format!(
                "the group has come far but the ledger is empty: the store was emptied or is another one; {REMEDY_STORE}"
            ),
            Self::Later { format } => {
                format!("the intent has format {format}, which a later version wrote; use that version")
            }
        }
    }
}

/// The way out where the store is not the one that was posted to.
pub const REMEDY_STORE: &str =
    "name the store that has the batches, or read everything anew into the empty one under another --group";

/// The way out where the log is not the one that was posted.
#[must_use]
pub fn remedy_recreated(is_of_commands: bool, reaches: Option<u64>) -> String {
    if is_of_commands {
        let reaches = reaches.map_or("where the ledger ends".to_owned(), |offset| format!("offset {offset}"));
        return format!(
            "restore the topic from a copy, or append records to it up to {reaches}, have them deleted \
             (kafka-delete-records) and run `tollbook audit --repair`"
        );
    }
    "rows name their topic and offset for ever, so what is in this log cannot be posted under the same name: have it \
     written to a topic of another name, and start the workers with --topic NAME"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use ledger::event::Millis;

    use super::*;

    fn intent(first: u64, next: u64) -> Group {
        let count = next - first;
        Group::Intent(Intent {
            first,
            next,
            count,
            last: (count > 0).then(|| Mark { offset: next - 1, digest: 1 }),
            before: first.checked_sub(1).map(|offset| Mark { offset, digest: 1 }),
            commands_through: 0,
            recorded_at: Millis(0),
            dedup_window: 0,
            decoder: 1,
            lease_ms: 0,
        })
    }

    fn seen(group: Group, reaches: Option<u64>, uncovered: Option<(u64, u64)>, log: (u64, u64)) -> Seen {
        let ledger = Ledger { reaches, uncovered, last: None };
        let log = Some(Bounds { low: log.0, end: log.1 });
        Seen { group, ledger, log, same: Sameness::Unknown }
    }

    #[track_caller]
    fn check(seen: &Seen, expected: &Verdict) {
        assert_eq!(judge(seen), *expected, "{seen:?}");
    }

    const FOREIGN: Group = Group::Foreign { offset: 3 };

    #[test]
    fn what_a_worker_goes_on_from_by_itself_is_left_alone() {
        check(&seen(Group::Nothing, None, None, (5, 9)), &Verdict::Agrees);
        check(&seen(intent(0, 0), None, None, (0, 9)), &Verdict::Agrees);
        check(&seen(intent(0, 10), None, Some((0, 9)), (0, 10)), &Verdict::Agrees);
        check(&seen(intent(10, 20), Some(10), Some((12, 14)), (0, 30)), &Verdict::Agrees);
        check(&seen(intent(10, 20), Some(20), None, (20, 30)), &Verdict::Agrees);
        check(&seen(intent(20, 20), Some(20), None, (20, 20)), &Verdict::Agrees);
    }

    #[test]
    fn a_group_that_is_not_where_the_ledger_ends_is_set_there() {
        let point = Verdict::Repair(Action::Point { next: 20 });
        check(&seen(Group::Nothing, Some(20), None, (0, 30)), &point);
        check(&seen(FOREIGN, Some(20), None, (0, 30)), &point);
        check(&seen(intent(5, 10), Some(20), None, (0, 30)), &point);
        check(&seen(intent(25, 25), Some(20), None, (0, 30)), &point);
        check(&seen(FOREIGN, None, None, (4, 30)), &Verdict::Repair(Action::Point { next: 4 }));
    }

    /// Whoever announced them is forgotten: were the group set before them, they would be posted again.
    #[test]
    fn rows_that_no_batch_covers_are_announced_again() {
        let complete = Verdict::Repair(Action::Complete { first: 20, next: 25 });
        check(&seen(Group::Nothing, Some(20), Some((22, 24)), (0, 30)), &complete);
        check(&seen(FOREIGN, Some(20), Some((22, 24)), (0, 30)), &complete);
        check(&seen(intent(20, 23), Some(20), Some((22, 24)), (0, 30)), &complete);
        check(&seen(intent(20, 20), Some(20), Some((22, 24)), (0, 30)), &complete);
        let first = Verdict::Repair(Action::Complete { first: 2, next: 5 });
        check(&seen(FOREIGN, None, Some((3, 4)), (2, 30)), &first);
    }

    #[test]
    fn what_retention_removed_unposted_is_lost_and_said_to_be() {
        let lose = Action::Lose { first: 20, next: 26, rows_to: 20 };
        check(&seen(intent(20, 20), Some(20), None, (26, 30)), &Verdict::Repair(lose));
        assert_eq!(lose.announces(), (26, 26));
        // The announced batch is gone in part, and rows of both parts are there.
        let lose = Action::Lose { first: 20, next: 26, rows_to: 29 };
        check(&seen(intent(20, 30), Some(20), Some((21, 28)), (26, 30)), &Verdict::Repair(lose));
        assert_eq!(lose.announces(), (26, 29));
    }

    #[test]
    fn a_log_that_is_another_one_is_beyond_repair() {
        let recreated = |reaches| Verdict::Beyond(Beyond::Recreated { reaches });
        check(&seen(Group::Nothing, Some(20), None, (0, 15)), &recreated(20));
        check(&seen(intent(20, 40), Some(20), None, (0, 35)), &recreated(40));
        let grown = Seen { same: Sameness::Other, ..seen(Group::Nothing, Some(20), None, (0, 50)) };
        check(&grown, &recreated(20));
        let gone = Seen { log: None, ..seen(FOREIGN, Some(20), None, (0, 0)) };
        check(&gone, &Verdict::Beyond(Beyond::Gone));
        check(&Seen { log: None, ..seen(Group::Nothing, None, None, (0, 0)) }, &Verdict::Agrees);
    }

    #[test]
    fn an_empty_store_and_a_later_version_are_beyond_repair() {
        check(&seen(intent(20, 20), None, None, (0, 30)), &Verdict::Beyond(Beyond::EmptyStore));
        let later = Group::Later { format: 9 };
        check(&seen(later, Some(20), None, (0, 30)), &Verdict::Beyond(Beyond::Later { format: 9 }));
    }
}

//! All that can happen next, in whatever state the world is.

use crate::check::Violation;
use crate::way::Way;
use crate::world::{Insert, Life, OFFSETS_MAX, Phase, Record, Scenario, Stage, Table, World};

/// Names a commit, or an insert into a partition, among those of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) worker: u8,
    pub(crate) partition: u8,
    pub(crate) number: u8,
}

/// Something that happens. Names stay the same when other steps are left out, so a trace can be cut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Time passes.
    Tick,
    /// A worker does what is next for a partition.
    Work {
        worker: u8,
        partition: u8,
    },
    Choose {
        worker: u8,
        partition: u8,
        next: u8,
    },
    /// The commit whose epoch was checked is sent; apart from the check only where no lock keeps them together.
    SendCommit {
        worker: u8,
    },
    /// A commit reaches the coordinator, which answers.
    Land(Name),
    /// The coordinator answers with an error, and the commit is applied all the same.
    LandWithError(Name),
    /// A commit never arrives.
    LoseCommit(Name),
    /// The client library sends a commit again; the first copy is still on its way.
    Resend(Name),
    /// The worker gets no answer to its commit.
    Unanswered {
        worker: u8,
    },
    /// The store begins an insert.
    Begin(Name),
    /// The store has the block and checks it.
    Check(Name),
    /// The rows of one month become visible.
    Part {
        insert: Name,
        month: u8,
    },
    /// An insert ends with an error.
    Fail(Name),
    /// An insert ends with an error between the token and the part.
    FailBetween {
        insert: Name,
        month: u8,
    },
    /// The worker gets no answer to its insert.
    GiveUp {
        worker: u8,
        partition: u8,
    },
    /// The store dies and comes back.
    Crash,
    /// It dies between an insert's token and its part.
    CrashBetween {
        insert: Name,
        month: u8,
    },
    /// The power fails: tokens were not synced.
    PowerLoss,
    /// Others' inserts push all tokens out of the window.
    ForgetTokens,
    /// The last rows reach the disk.
    Sync,
    /// The replica catches up.
    Replicate {
        partition: u8,
    },
    Join {
        worker: u8,
    },
    Assign {
        worker: u8,
        partition: u8,
    },
    /// The coordinator takes a partition from a worker, whose callback agrees.
    Revoke {
        worker: u8,
        partition: u8,
    },
    /// The coordinator takes a worker for dead.
    Evict {
        worker: u8,
    },
    /// A worker learns that it was taken for dead.
    Notice {
        worker: u8,
    },
    Kill {
        worker: u8,
    },
    Restart {
        worker: u8,
    },
    Stop {
        worker: u8,
    },
    Continue {
        worker: u8,
    },
}

/// What can happen: the ordinary course, and faults, of which there are only so many.
#[derive(Debug, Default)]
pub(crate) struct Enabled {
    pub(crate) ordinary: Vec<Step>,
    pub(crate) faults: Vec<Step>,
}

impl Step {
    /// Whether it can happen where log, worker and store are one process and its child: there is no group, a commit is
    /// always answered, and an insert is given up only once the store has it or its lease is over.
    fn befalls_embedded(&self, world: &World) -> bool {
        match self {
            Self::Evict { .. } | Self::Revoke { .. } | Self::Unanswered { .. } | Self::LoseCommit(_) => false,
            Self::GiveUp { worker, partition } => world
                .inserts
                .iter()
                .filter(|insert| insert.worker == *worker && insert.partition == *partition)
                .filter(|insert| insert.is_awaited)
                .all(|insert| insert.stage == Stage::Checked || world.time >= insert.write_before),
            _ => true,
        }
    }

    /// Whether it is a fault that matters for that way. Where a way is tried, there are no others: it is to be found out
    /// soon, and by its own fault.
    fn provokes(&self, way: Way) -> bool {
        match way {
            Way::EpochCheckedWithoutLock => matches!(self, Self::Revoke { .. }),
            Way::GoOnUnanswered | Way::AnotherBatchAfterError => {
                matches!(self, Self::Unanswered { .. } | Self::Kill { .. })
            }
            Way::CleanAnswerIsProof => matches!(self, Self::FailBetween { .. } | Self::Evict { .. }),
            Way::LeaseRenewedByLocalEpoch | Way::WaitByOwnLease | Way::OldOwnerRefuses => {
                matches!(self, Self::Evict { .. })
            }
            Way::SendBeforeReadBack => {
                matches!(self, Self::ForgetTokens | Self::Kill { .. } | Self::GiveUp { .. })
            }
            Way::CommitSentAgain => matches!(self, Self::Resend(_) | Self::Kill { .. }),
            Way::RowsNotSynced => matches!(self, Self::PowerLoss),
            Way::TokensInsteadOfWait
            | Way::NoLease
            | Way::NoWait
            | Way::LeaseCheckedAtQueryStart
            | Way::RunningInsertsIgnored
            | Way::SmallerRangeOnRefusal
            | Way::LaggingReplica
            | Way::ClosedUnlessLast
            | Way::DuplicatesCountAsMissing => matches!(self, Self::GiveUp { .. } | Self::Evict { .. }),
        }
    }
}

/// Records of a batch at most.
const BATCH_RECORDS_MAX: usize = 3;
/// Inserts and commits of one worker that may be on their way at once; beyond that none is given up.
const ON_THE_WAY_MAX: usize = 3;

impl Enabled {
    /// Looks what can happen now; what was found before is forgotten.
    pub(crate) fn look(&mut self, world: &World, scenario: &Scenario) {
        self.ordinary.clear();
        self.faults.clear();
        if world.time < scenario.time_max {
            self.ordinary.push(Step::Tick);
        }
        for worker in 0..u8::try_from(world.workers.len()).unwrap_or(u8::MAX) {
            self.look_at_worker(world, scenario, worker);
        }
        self.look_at_commits(world, scenario);
        for insert in &world.inserts {
            self.look_at_insert(scenario, insert);
        }
        self.look_at_store(world, scenario);
        if world.faults_left == 0 {
            self.faults.clear();
        } else if let Some(way) = scenario.way {
            self.faults.retain(|step| step.provokes(way));
        } else if scenario.is_embedded {
            self.faults.retain(|step| step.befalls_embedded(world));
        }
    }

    pub(crate) fn has(&self, step: Step) -> bool {
        self.ordinary.contains(&step) || self.faults.contains(&step)
    }

    fn look_at_worker(&mut self, world: &World, scenario: &Scenario, worker: u8) {
        let state = &world.workers[usize::from(worker)];
        if state.is_member {
            match state.life {
                // Its session runs out.
                Life::Dead => self.ordinary.push(Step::Evict { worker }),
                _ => self.faults.push(Step::Evict { worker }),
            }
        }
        match state.life {
            Life::Dead if !state.is_member => self.ordinary.push(Step::Restart { worker }),
            Life::Dead => {}
            Life::Stopped => self.ordinary.push(Step::Continue { worker }),
            Life::Up => {
                self.faults.extend([Step::Stop { worker }, Step::Kill { worker }]);
                self.look_at_group(world, scenario, worker);
                for partition in 0..u8::try_from(world.partitions.len()).unwrap_or(u8::MAX) {
                    self.look_at_lane(world, scenario, worker, partition);
                }
            }
        }
    }

    fn look_at_group(&mut self, world: &World, scenario: &Scenario, worker: u8) {
        let state = &world.workers[usize::from(worker)];
        // The callback of the revocation takes the lock that is held while a commit is under way.
        let may_lose = state.commit.is_none() || scenario.goes(Way::EpochCheckedWithoutLock);
        match (state.is_member, state.has_joined) {
            (false, false) => self.ordinary.push(Step::Join { worker }),
            (false, true) if may_lose => self.ordinary.push(Step::Notice { worker }),
            (true, true) => {
                for (partition, known) in (0..).zip(&world.partitions) {
                    match known.owner {
                        None => self.ordinary.push(Step::Assign { worker, partition }),
                        Some(owner) if owner == worker && may_lose => {
                            self.faults.push(Step::Revoke { worker, partition });
                        }
                        Some(_) => {}
                    }
                }
            }
            _ => {}
        }
        if let Some(commit) = &state.commit {
            if !commit.is_sent {
                self.ordinary.push(Step::SendCommit { worker });
            } else if commit.answer.is_none() {
                let lost = !world.commits.iter().any(|commit| commit.worker == worker && commit.is_awaited);
                // A commit that was lost is never answered.
                let steps = if lost { &mut self.ordinary } else { &mut self.faults };
                steps.push(Step::Unanswered { worker });
            }
        }
    }

    fn look_at_lane(&mut self, world: &World, scenario: &Scenario, worker: u8, partition: u8) {
        let state = &world.workers[usize::from(worker)];
        let lane = &state.lanes[usize::from(partition)];
        let work = Step::Work { worker, partition };
        match lane.phase {
            Phase::Away => {}
            Phase::Choose => self.look_at_choices(scenario, worker, partition, lane.next),
            Phase::Announce if state.commit.is_some() => {}
            // A short pause before each try, so that no two have the same tokens.
            Phase::Announce if lane.is_healing && world.time <= lane.since => {}
            Phase::Announcing => {
                if state.commit.is_some_and(|commit| commit.partition == partition && commit.answer.is_some())
                {
                    self.ordinary.push(work);
                }
            }
            Phase::Wait => {
                let lease = world.wait(scenario, worker);
                if world.time > lane.since + lease {
                    self.ordinary.push(work);
                }
            }
            Phase::Settle => {
                let runs = |insert: &Insert| insert.partition == partition && insert.stage == Stage::Checked;
                if scenario.goes(Way::RunningInsertsIgnored) || !world.inserts.iter().any(runs) {
                    self.ordinary.push(work);
                }
            }
            Phase::Sending | Phase::Closing => match lane.answer {
                Some(_) => self.ordinary.push(work),
                None if world.inserts.iter().filter(|insert| insert.worker == worker).count()
                    <= ON_THE_WAY_MAX =>
                {
                    self.faults.push(Step::GiveUp { worker, partition });
                }
                None => {}
            },
            _ => self.ordinary.push(work),
        }
    }

    /// A batch ends after one of the records that are left.
    fn look_at_choices(&mut self, scenario: &Scenario, worker: u8, partition: u8, first: u8) {
        let log = &scenario.logs[usize::from(partition)];
        let left = (0_u8..).zip(log).skip(usize::from(first));
        let records = left.filter(|(_, record)| **record != Record::Hole).take(BATCH_RECORDS_MAX);
        self.ordinary.extend(records.map(|(offset, _)| Step::Choose { worker, partition, next: offset + 1 }));
    }

    fn look_at_commits(&mut self, world: &World, scenario: &Scenario) {
        for commit in &world.commits {
            let name = Name { worker: commit.worker, partition: commit.partition, number: commit.number };
            self.ordinary.push(Step::Land(name));
            self.faults.push(Step::LoseCommit(name));
            if !commit.is_awaited {
                continue;
            }
            self.faults.push(Step::LandWithError(name));
            if scenario.goes(Way::CommitSentAgain) && world.commits.len() <= ON_THE_WAY_MAX {
                self.faults.push(Step::Resend(name));
            }
        }
    }

    fn look_at_insert(&mut self, scenario: &Scenario, insert: &Insert) {
        let name = insert.name();
        self.faults.push(Step::Fail(name));
        match insert.stage {
            Stage::Sent if scenario.goes(Way::LeaseCheckedAtQueryStart) => {
                self.ordinary.push(Step::Begin(name));
            }
            Stage::Sent | Stage::Begun(_) => self.ordinary.push(Step::Check(name)),
            Stage::Checked => {
                for month in 0..2 {
                    if insert.part(scenario, month) != 0 {
                        self.ordinary.push(Step::Part { insert: name, month });
                        self.faults.extend([
                            Step::FailBetween { insert: name, month },
                            Step::CrashBetween { insert: name, month },
                        ]);
                    }
                }
            }
        }
    }

    fn look_at_store(&mut self, world: &World, scenario: &Scenario) {
        if world.inserts.iter().any(|insert| insert.stage != Stage::Sent) {
            self.faults.push(Step::Crash);
        }
        if !world.tokens.is_empty() {
            self.faults.push(Step::ForgetTokens);
        }
        if !world.tokens.is_empty() || world.unsynced.is_some() {
            self.faults.push(Step::PowerLoss);
        }
        if world.unsynced.is_some() {
            self.ordinary.push(Step::Sync);
        }
        if scenario.goes(Way::LaggingReplica) {
            for (partition, state) in (0..).zip(&world.partitions) {
                if state.rows != state.replica {
                    self.ordinary.push(Step::Replicate { partition });
                }
            }
        }
    }
}

impl Insert {
    pub(crate) fn name(&self) -> Name {
        Name { worker: self.worker, partition: self.partition, number: self.number }
    }

    /// What of its rows lies in that month; what is not parted by month lies in the first.
    pub(crate) fn part(&self, scenario: &Scenario, month: u8) -> u16 {
        if self.table != Table::Entries {
            return if month == 0 { self.rows } else { 0 };
        }
        let whole = crate::world::Intent { first: 0, next: scenario.end(self.partition).min(OFFSETS_MAX) };
        let of_month = scenario.find(self.partition, whole, |record| match record {
            Record::Entry { month: of } => of == month,
            _ => month == 0,
        });
        self.rows & of_month
    }
}

impl World {
    /// How long a worker waits for old owners.
    pub(crate) fn wait(&self, scenario: &Scenario, worker: u8) -> u16 {
        match scenario.goes(Way::WaitByOwnLease) {
            true => scenario.leases[usize::from(worker)],
            false => scenario.leases.iter().copied().max().unwrap_or(0),
        }
    }

    /// Lets a step happen.
    pub(crate) fn take(&mut self, scenario: &Scenario, step: Step, is_fault: bool) -> Result<(), Violation> {
        if is_fault {
            self.faults_left = self.faults_left.saturating_sub(1);
        }
        match step {
            Step::Tick => self.time += 1,
            Step::Work { worker, partition } => return self.work(scenario, worker, partition),
            Step::Choose { worker, partition, next } => self.choose(worker, partition, next),
            Step::SendCommit { worker } => self.send_commit(worker),
            Step::Land(name) => self.land(scenario, name, None),
            Step::LandWithError(name) => self.land(scenario, name, Some(crate::world::Answer::Error)),
            Step::LoseCommit(name) => self.lose_commit(name),
            Step::Resend(name) => self.resend(name),
            Step::Unanswered { worker } => self.unanswered(scenario, worker),
            Step::Begin(name) => self.begin(name),
            Step::Check(name) => self.check_block(scenario, name),
            Step::Part { insert, month } => return self.show_part(scenario, insert, month),
            Step::Fail(name) => self.fail(name),
            Step::FailBetween { insert, month } => self.fail_between(insert, month),
            Step::GiveUp { worker, partition } => self.give_up(worker, partition),
            Step::Crash => self.crash(),
            Step::CrashBetween { insert, month } => {
                self.fail_between(insert, month);
                self.crash();
            }
            Step::PowerLoss => return self.lose_power(scenario),
            Step::ForgetTokens => self.tokens.clear(),
            Step::Sync => self.unsynced = None,
            Step::Replicate { partition } => {
                let state = self.partition(partition);
                state.replica = state.rows;
            }
            Step::Join { worker } => self.join(worker),
            Step::Assign { worker, partition } => self.assign(worker, partition),
            Step::Revoke { worker, partition } => self.revoke(worker, partition),
            Step::Evict { worker } => self.evict(worker),
            Step::Notice { worker } => self.forget_all(worker),
            Step::Kill { worker } => self.kill(scenario, worker),
            Step::Restart { worker } => self.worker(worker).life = Life::Up,
            Step::Stop { worker } => self.worker(worker).life = Life::Stopped,
            Step::Continue { worker } => self.go_on(worker),
        }
        Ok(())
    }
}

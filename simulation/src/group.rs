//! The group and its coordinator: members, generations, and commits on their way.

use crate::step::Name;
use crate::way::Way;
use crate::world::{Answer, Commit, Lane, Life, Phase, Scenario, World};

impl World {
    /// What is under way is of an old generation from now on, and so is a member that does not hear of the new one.
    fn next_generation(&mut self) {
        for commit in &mut self.commits {
            commit.is_current = false;
        }
        for worker in &mut self.workers {
            worker.is_current = worker.is_member && worker.life == Life::Up;
        }
    }

    pub(crate) fn join(&mut self, worker: u8) {
        let state = self.worker(worker);
        state.is_member = true;
        state.has_joined = true;
        self.next_generation();
    }

    pub(crate) fn assign(&mut self, worker: u8, partition: u8) {
        self.partition(partition).owner = Some(worker);
        self.next_generation();
        let since = self.time;
        *self.lane(worker, partition) = Lane { phase: Phase::Look, since, ..Lane::default() };
    }

    /// The callback of the revocation. What the worker has sent to the store goes on.
    pub(crate) fn revoke(&mut self, worker: u8, partition: u8) {
        self.partition(partition).owner = None;
        *self.lane(worker, partition) = Lane::default();
        for insert in &mut self.inserts {
            insert.is_awaited &= insert.worker != worker || insert.partition != partition;
        }
    }

    /// The coordinator counts a worker out, which may not know.
    pub(crate) fn evict(&mut self, worker: u8) {
        self.worker(worker).is_member = false;
        for partition in &mut self.partitions {
            if partition.owner == Some(worker) {
                partition.owner = None;
            }
        }
        self.next_generation();
    }

    /// A worker gives up all that it has: the process is new, or it was counted out.
    pub(crate) fn forget_all(&mut self, worker: u8) {
        let state = self.worker(worker);
        state.has_joined = false;
        state.commit = None;
        state.lanes.fill(Lane::default());
        for commit in &mut self.commits {
            commit.is_awaited &= commit.worker != worker;
        }
        for insert in &mut self.inserts {
            insert.is_awaited &= insert.worker != worker;
        }
    }

    pub(crate) fn kill(&mut self, scenario: &Scenario, worker: u8) {
        self.forget_all(worker);
        self.worker(worker).life = Life::Dead;
        if scenario.is_embedded {
            self.commits.clear();
            self.inserts.clear();
        }
    }

    pub(crate) fn go_on(&mut self, worker: u8) {
        let state = self.worker(worker);
        state.life = Life::Up;
        state.is_current = state.is_member;
    }

    /// Sends the commit whose epoch was checked.
    pub(crate) fn send_commit(&mut self, worker: u8) {
        let state = self.worker(worker);
        let is_current = state.is_current;
        let Some(pending) = state.commit.as_mut() else { return };
        pending.is_sent = true;
        let (partition, intent) = (pending.partition, pending.intent);
        let number = self.free_commit(worker);
        self.commits.push(Commit { worker, number, partition, intent, is_current, is_awaited: true });
    }

    fn free_commit(&self, worker: u8) -> u8 {
        let taken =
            |number| self.commits.iter().any(|commit| commit.worker == worker && commit.number == number);
        (0..).find(|number| !taken(*number)).unwrap_or(u8::MAX)
    }

    fn take_commit(&mut self, name: Name) -> Option<Commit> {
        let is_it = |commit: &Commit| commit.worker == name.worker && commit.number == name.number;
        let index = self.commits.iter().position(is_it)?;
        Some(self.commits.remove(index))
    }

    /// A commit reaches the coordinator, which takes those of the present generation. `answer` takes the place of its yes.
    pub(crate) fn land(&mut self, scenario: &Scenario, name: Name, answer: Option<Answer>) {
        let Some(commit) = self.take_commit(name) else { return };
        if commit.is_current {
            self.partition(commit.partition).committed = Some(commit.intent);
        }
        if !commit.is_awaited {
            return;
        }
        let answer = if commit.is_current { answer.unwrap_or(Answer::Yes) } else { Answer::Error };
        let worker = self.worker(commit.worker);
        let phase = worker.lanes[usize::from(commit.partition)].phase;
        if phase != Phase::Announcing && scenario.goes(Way::EpochCheckedWithoutLock) {
            // The partition was revoked while the commit was under way.
            worker.commit = None;
        } else if let Some(pending) = worker.commit.as_mut() {
            pending.answer = Some(answer);
        }
    }

    pub(crate) fn lose_commit(&mut self, name: Name) {
        self.take_commit(name);
    }

    /// The client library has lost the connection and sends the same again, in the generation that it knows now.
    pub(crate) fn resend(&mut self, name: Name) {
        let number = self.free_commit(name.worker);
        let is_current = self.worker(name.worker).is_current;
        let is_it = |commit: &&mut Commit| commit.worker == name.worker && commit.number == name.number;
        let Some(first) = self.commits.iter_mut().find(is_it) else { return };
        let again = Commit { number, is_current, ..*first };
        first.is_awaited = false;
        self.commits.push(again);
    }

    /// No answer: the worker leaves the group, so that what may still land is of an old generation.
    pub(crate) fn unanswered(&mut self, scenario: &Scenario, worker: u8) {
        for commit in &mut self.commits {
            commit.is_awaited &= commit.worker != worker;
        }
        if scenario.goes(Way::AnotherBatchAfterError) {
            if let Some(pending) = self.worker(worker).commit.as_mut() {
                pending.answer = Some(Answer::Error);
            }
        } else if scenario.goes(Way::GoOnUnanswered) {
            let Some(pending) = self.worker(worker).commit.take() else { return };
            let lane = self.lane(worker, pending.partition);
            if lane.phase == Phase::Announcing {
                lane.phase = if lane.is_healing { Phase::Announce } else { Phase::Choose };
            }
        } else {
            self.forget_all(worker);
            self.evict(worker);
        }
    }
}

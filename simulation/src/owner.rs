//! What a worker does with a partition, one exchange with the world at a time.

use crate::check::Violation;
use crate::way::Way;
use crate::world::{
    Answer, Insert, Intent, Lane, Offsets, Pending, Phase, Record, Rows, Scenario, Stage, Table, World, each,
};

/// The attempt of a healer whose tokens are made of what is missing.
const GAP_ATTEMPTS: u16 = 0x1000;

impl World {
    pub(crate) fn work(&mut self, scenario: &Scenario, worker: u8, partition: u8) -> Result<(), Violation> {
        match self.lane(worker, partition).phase {
            Phase::Look => self.look(worker, partition),
            Phase::Compare => return self.compare(scenario, worker, partition),
            Phase::Wait => self.lane(worker, partition).phase = Phase::Announce,
            Phase::Announce => self.announce(scenario, worker, partition),
            Phase::Announcing => self.announced(scenario, worker, partition),
            Phase::Settle if scenario.goes(Way::SendBeforeReadBack) => {
                let lane = self.lane(worker, partition);
                lane.to_send = wanted(scenario, partition, lane.intent, lane.refused);
                lane.phase = Phase::Send;
            }
            Phase::Settle => self.lane(worker, partition).phase = Phase::ReadBack,
            Phase::ReadBack => return self.read_back(scenario, worker, partition),
            Phase::Send => self.send(scenario, worker, partition),
            Phase::Sending => self.sent(scenario, worker, partition),
            Phase::Verify => self.verify(scenario, worker, partition),
            Phase::Close => self.close(scenario, worker, partition),
            Phase::Closing => self.closed(worker, partition),
            Phase::Away | Phase::Choose => {}
        }
        Ok(())
    }

    pub(crate) fn choose(&mut self, worker: u8, partition: u8, next: u8) {
        let lane = self.lane(worker, partition);
        let intent = Intent { first: lane.next, next };
        *lane = Lane { phase: Phase::Announce, intent, next: lane.next, ..Lane::default() };
    }

    /// Asks what is committed; an empty batch stands for nothing.
    fn look(&mut self, worker: u8, partition: u8) {
        let committed = self.partition(partition).committed;
        let lane = self.lane(worker, partition);
        lane.intent = committed.unwrap_or_default();
        lane.phase = Phase::Compare;
    }

    /// Compares what is committed with what is posted.
    fn compare(&mut self, scenario: &Scenario, worker: u8, partition: u8) -> Result<(), Violation> {
        let state = self.partition(partition);
        let reaches = state.reaches().unwrap_or(0);
        let rows = state.rows.all();
        let intent = self.lane(worker, partition).intent;
        let is_closed = reaches == intent.next;
        if rows >> intent.next != 0 || !is_closed && reaches != intent.first {
            return self.refuse(scenario, worker, partition);
        }
        let no_wait = [Way::NoWait, Way::CleanAnswerIsProof, Way::TokensInsteadOfWait];
        let waits = !scenario.is_embedded && !no_wait.into_iter().any(|way| scenario.goes(way));
        let lane = self.lane(worker, partition);
        lane.next = reaches;
        lane.is_healing = !is_closed;
        lane.phase = match is_closed {
            true => Phase::Choose,
            false if waits => Phase::Wait,
            false => Phase::Announce,
        };
        Ok(())
    }

    /// Log and ledger disagree, or the partition has another owner, who has gone on.
    fn refuse(&mut self, scenario: &Scenario, worker: u8, partition: u8) -> Result<(), Violation> {
        if self.partition(partition).owner == Some(worker) || scenario.goes(Way::OldOwnerRefuses) {
            return Err(Violation::DeadEnd { worker, partition });
        }
        self.uncertain(worker, partition);
        Ok(())
    }

    /// Checks the epoch and commits, under one lock.
    fn announce(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let since = self.time;
        let intent = self.lane(worker, partition).intent;
        self.lane(worker, partition).phase = Phase::Announcing;
        self.worker(worker).commit = Some(Pending { partition, intent, is_sent: false, answer: None, since });
        if !scenario.goes(Way::EpochCheckedWithoutLock) {
            self.send_commit(worker);
        }
    }

    fn announced(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let Some(Pending { answer, since, .. }) = self.worker(worker).commit.take() else { return };
        if answer != Some(Answer::Yes) {
            return self.uncertain(worker, partition);
        }
        let lease = scenario.leases[usize::from(worker)];
        let lane = self.lane(worker, partition);
        lane.write_before = since + lease;
        lane.has_sent = false;
        lane.some_wait = false;
        if lane.is_healing {
            let first_try = [Way::CleanAnswerIsProof, Way::SendBeforeReadBack];
            lane.attempt =
                if first_try.into_iter().any(|way| scenario.goes(way)) { 0 } else { lane.write_before };
            lane.phase = Phase::Settle;
        } else {
            lane.attempt = 0;
            lane.to_send = wanted(scenario, partition, lane.intent, 0);
            lane.phase = Phase::Send;
        }
    }

    /// Whatever was not a clean answer: begin again with looking, after a wait for what may be on its way.
    fn uncertain(&mut self, worker: u8, partition: u8) {
        let since = self.time;
        let lane = self.lane(worker, partition);
        let Lane { records_max, refused, .. } = *lane;
        *lane = Lane { phase: Phase::Look, since, records_max, refused, ..Lane::default() };
    }

    pub(crate) fn give_up(&mut self, worker: u8, partition: u8) {
        for insert in &mut self.inserts {
            insert.is_awaited &= insert.worker != worker || insert.partition != partition;
        }
        self.uncertain(worker, partition);
    }

    fn read_back(&mut self, scenario: &Scenario, worker: u8, partition: u8) -> Result<(), Violation> {
        let state = self.partition(partition);
        let there = if scenario.goes(Way::LaggingReplica) { state.replica } else { state.rows };
        if there.all() >> self.lane(worker, partition).intent.next != 0 {
            return self.refuse(scenario, worker, partition);
        }
        let lane = self.lane(worker, partition);
        // What the store refused in an earlier run is in quarantine.
        lane.refused |= there.quarantine;
        let missing = missing(scenario, partition, lane, there);
        lane.missing = missing.all();
        if scenario.goes(Way::DuplicatesCountAsMissing) {
            let duplicates = scenario.find(partition, lane.intent, |record| record == Record::Duplicate);
            lane.missing |= duplicates;
        }
        let later = match lane.records_max {
            0 => None,
            max => each(lane.missing).nth(usize::from(max)),
        };
        lane.some_wait = later.is_some();
        let now: Offsets = later.map_or(Offsets::MAX, |offset| (1 << offset) - 1);
        lane.to_send = Rows { quarantine: missing.quarantine & now, entries: missing.entries & now };
        if scenario.goes(Way::TokensInsteadOfWait) {
            lane.attempt = GAP_ATTEMPTS | lane.to_send.all();
        }
        lane.phase = Phase::Send;
        Ok(())
    }

    /// Sends what is to be sent, one table after the other.
    fn send(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let time = self.time;
        let lane = self.lane(worker, partition);
        let (table, rows) = match lane.to_send {
            Rows { quarantine, .. } if quarantine != 0 => (Table::Quarantine, quarantine),
            Rows { entries, .. } if entries != 0 => (Table::Entries, entries),
            _ => return self.all_sent(scenario, worker, partition),
        };
        if scenario.goes(Way::LeaseRenewedByLocalEpoch) {
            lane.write_before = time + scenario.leases[usize::from(worker)];
        }
        lane.has_sent = true;
        lane.phase = Phase::Sending;
        self.send_insert(worker, partition, table, rows);
    }

    fn send_insert(&mut self, worker: u8, partition: u8, table: Table, rows: Offsets) {
        let Lane { intent, attempt, write_before, .. } = *self.lane(worker, partition);
        let of_lane = |insert: &&Insert| insert.worker == worker && insert.partition == partition;
        let taken = |number| self.inserts.iter().filter(of_lane).any(|insert| insert.number == number);
        let number = (0..).find(|number| !taken(*number)).unwrap_or(u8::MAX);
        self.inserts.push(Insert {
            worker,
            partition,
            number,
            intent,
            table,
            attempt,
            rows,
            write_before,
            stage: Stage::Sent,
            is_awaited: true,
        });
    }

    fn all_sent(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let time = self.time;
        let lane = self.lane(worker, partition);
        if !lane.is_healing {
            lane.phase = Phase::Close;
        } else if lane.some_wait {
            // What was sent was answered well: the rest follows without another wait.
            lane.records_max = lane.records_max.saturating_mul(2);
            lane.since = time;
            lane.phase = Phase::Announce;
        } else if lane.has_sent || scenario.goes(Way::SendBeforeReadBack) {
            lane.phase = Phase::Verify;
        } else {
            lane.phase = Phase::Close;
        }
    }

    fn sent(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let lane = self.lane(worker, partition);
        match lane.answer.take() {
            Some(Answer::Yes) => {
                let table = if lane.to_send.quarantine != 0 { Table::Quarantine } else { Table::Entries };
                *lane.to_send.of(table) = 0;
                lane.phase = Phase::Send;
            }
            Some(Answer::TooLate | Answer::BadRow)
                if scenario.goes(Way::SmallerRangeOnRefusal) && announce_less(scenario, partition, lane) => {}
            refusal => {
                if lane.is_healing {
                    learn(lane, refusal);
                }
                self.uncertain(worker, partition);
            }
        }
    }

    fn verify(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let time = self.time;
        let there = self.partition(partition).rows;
        let lane = self.lane(worker, partition);
        lane.since = time;
        let is_whole = missing(scenario, partition, lane, there).all() == 0;
        if scenario.goes(Way::SendBeforeReadBack) {
            lane.phase = if is_whole { Phase::Close } else { Phase::ReadBack };
            lane.attempt = lane.write_before;
        } else {
            lane.phase = if is_whole { Phase::Close } else { Phase::Announce };
        }
    }

    /// Another owner may have gone on meanwhile: what reaches farther is closed, too.
    fn close(&mut self, scenario: &Scenario, worker: u8, partition: u8) {
        let reaches = self.partition(partition).reaches();
        let lane = self.lane(worker, partition);
        let next = Some(lane.intent.next);
        let is_closed = if scenario.goes(Way::ClosedUnlessLast) { reaches == next } else { reaches >= next };
        if lane.is_healing && is_closed {
            return self.finish(worker, partition);
        }
        lane.phase = Phase::Closing;
        self.send_insert(worker, partition, Table::Batches, 1);
    }

    fn closed(&mut self, worker: u8, partition: u8) {
        match self.lane(worker, partition).answer.take() {
            Some(Answer::Yes) => self.finish(worker, partition),
            _ => self.uncertain(worker, partition),
        }
    }

    fn finish(&mut self, worker: u8, partition: u8) {
        let lane = self.lane(worker, partition);
        *lane = Lane { phase: Phase::Choose, next: lane.intent.next, ..Lane::default() };
    }
}

/// The rows that a batch makes.
fn wanted(scenario: &Scenario, partition: u8, intent: Intent, refused: Offsets) -> Rows {
    let entries = scenario
        .find(partition, intent, |record| matches!(record, Record::Entry { .. } | Record::Unpostable));
    let bad = scenario.find(partition, intent, |record| record == Record::Bad);
    Rows { quarantine: bad | (entries & refused), entries: entries & !refused }
}

/// The rows of a batch that are not there.
fn missing(scenario: &Scenario, partition: u8, lane: &Lane, there: Rows) -> Rows {
    let all = wanted(scenario, partition, lane.intent, lane.refused);
    Rows { quarantine: all.quarantine & !there.quarantine, entries: all.entries & !there.entries }
}

/// After a refusal, the next try sends half of what this one sent; a record that was refused alone goes to quarantine.
fn learn(lane: &mut Lane, refusal: Option<Answer>) {
    let count = u8::try_from(lane.missing.count_ones()).unwrap_or(u8::MAX);
    let sent = if lane.records_max == 0 { count } else { lane.records_max.min(count) };
    let Some(first) = each(lane.missing).next() else { return };
    match refusal {
        Some(Answer::BadRow) if sent == 1 => lane.refused |= 1 << first,
        Some(Answer::BadRow | Answer::TooLate) => {}
        _ => return,
    }
    lane.records_max = (sent / 2).max(1);
}

/// Announces the first half of the batch instead; answers whether there is one.
fn announce_less(scenario: &Scenario, partition: u8, lane: &mut Lane) -> bool {
    let records = scenario.find(partition, lane.intent, |record| record != Record::Hole);
    let count = usize::try_from(records.count_ones()).unwrap_or(0);
    let Some(last) = (count / 2).checked_sub(1).and_then(|index| each(records).nth(index)) else {
        return false;
    };
    lane.intent.next = last + 1;
    lane.is_healing = true;
    lane.phase = Phase::Announce;
    true
}

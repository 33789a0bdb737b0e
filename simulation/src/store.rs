//! The store: blocks are checked, parts become visible one by one, tokens are remembered for a while.

use crate::check::Violation;
use crate::step::Name;
use crate::way::Way;
use crate::world::{Answer, Insert, Intent, Record, Scenario, Stage, Table, Token, World};

impl World {
    fn insert(&mut self, name: Name) -> Option<&mut Insert> {
        self.inserts.iter_mut().find(|insert| insert.name() == name)
    }

    /// An insert ends, and its worker, where it still waits, gets the answer.
    fn end(&mut self, name: Name, answer: Answer) {
        let Some(index) = self.inserts.iter().position(|insert| insert.name() == name) else { return };
        let insert = self.inserts.remove(index);
        if insert.is_awaited {
            self.lane(insert.worker, insert.partition).answer = Some(answer);
        }
    }

    pub(crate) fn begin(&mut self, name: Name) {
        let time = self.time;
        if let Some(insert) = self.insert(name) {
            insert.stage = Stage::Begun(time);
        }
    }

    /// The block is there: its lease and its values are checked, and it counts as running from here on. That an insert
    /// whose block is still on its way is listed as running is not relied on.
    pub(crate) fn check_block(&mut self, scenario: &Scenario, name: Name) {
        let now = self.time;
        let Some(insert) = self.insert(name) else { return };
        let time = match insert.stage {
            Stage::Begun(time) => time,
            _ => now,
        };
        let unpostable =
            scenario.find(insert.partition, insert.intent, |record| record == Record::Unpostable);
        if insert.write_before <= time && !scenario.goes(Way::NoLease) {
            self.end(name, Answer::TooLate);
        } else if insert.table == Table::Entries && insert.rows & unpostable != 0 {
            self.end(name, Answer::BadRow);
        } else {
            insert.stage = Stage::Checked;
        }
    }

    /// One part becomes visible, unless its token is known.
    pub(crate) fn show_part(&mut self, scenario: &Scenario, name: Name, month: u8) -> Result<(), Violation> {
        let Some(insert) = self.insert(name) else { return Ok(()) };
        let rows = insert.part(scenario, month);
        insert.rows &= !rows;
        let insert = *insert;
        if insert.rows == 0 {
            self.end(name, Answer::Yes);
        }
        if self.remember(insert, month) { self.show(scenario, insert, rows) } else { Ok(()) }
    }

    /// Remembers an insert's token; answers whether it is new.
    fn remember(&mut self, insert: Insert, month: u8) -> bool {
        let Insert { partition, intent, table, attempt, .. } = insert;
        let token = Token { partition, intent, table, attempt, month };
        match self.tokens.binary_search(&token) {
            Ok(_) => false,
            Err(place) => {
                self.tokens.insert(place, token);
                true
            }
        }
    }

    fn show(&mut self, scenario: &Scenario, insert: Insert, rows: u16) -> Result<(), Violation> {
        let Insert { partition, table, intent, .. } = insert;
        if table == Table::Batches {
            let reaches = self.partition(partition).reaches().unwrap_or(0);
            self.partition(partition).batches.push(intent);
            return self.check_new_batch(scenario, partition, intent, reaches);
        }
        if scenario.goes(Way::RowsNotSynced) {
            self.unsynced = Some((partition, table, rows));
        }
        let doubled = self.check_new_rows(partition, rows);
        *self.partition(partition).rows.of(table) |= rows;
        doubled
    }

    pub(crate) fn fail(&mut self, name: Name) {
        self.end(name, Answer::Error);
    }

    /// The token is written, the part is not.
    pub(crate) fn fail_between(&mut self, name: Name, month: u8) {
        let Some(insert) = self.insert(name) else { return };
        let insert = *insert;
        self.remember(insert, month);
        self.end(name, Answer::Error);
    }

    /// What runs ends. What is on its way may still arrive.
    pub(crate) fn crash(&mut self) {
        let running = self.inserts.iter().filter(|insert| insert.stage != Stage::Sent);
        let names: Vec<Name> = running.map(Insert::name).collect();
        for name in names {
            self.end(name, Answer::Error);
        }
    }

    pub(crate) fn lose_power(&mut self, scenario: &Scenario) -> Result<(), Violation> {
        self.crash();
        self.tokens.clear();
        let Some((partition, table, rows)) = self.unsynced.take() else { return Ok(()) };
        *self.partition(partition).rows.of(table) &= !rows;
        let batches: Vec<Intent> = self.partition(partition).batches.clone();
        batches.into_iter().try_for_each(|batch| self.check_rows(scenario, partition, batch))
    }
}

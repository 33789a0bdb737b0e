//! How far operations are, from the commands that began them and brought them on.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Outcome, Started, Stepped};

/// One command of an operation, as `operations.sql` answers it.
#[derive(Clone, Debug, clickhouse::Row, Deserialize)]
#[expect(missing_docs, reason = "fields are the columns, which 0005_commands.sql explains")]
pub struct HistoryRow {
    pub command_name: String,
    pub command_offset: u64,
    pub command_id: String,
    pub actor: String,
    pub log_ms: i64,
    pub recorded_ms: i64,
    pub result: String,
}

/// An operation so far.
#[derive(Clone, Debug)]
pub struct Known {
    /// Id of the start's command, by which the API names the operation.
    pub id: String,
    /// Who asked for it.
    pub actor: String,
    /// When it was logged, in milliseconds since 1970.
    pub logged_at: i64,
    /// When the last of its commands was carried out.
    pub moved_at: i64,
    /// The result of its start.
    pub started: Started,
    /// Steps that are carried out.
    pub steps_done: u32,
    /// The offset of its last step, where that is carried out.
    pub finished_at: Option<u64>,
    /// What the steps did.
    pub outcome: Outcome,
    /// The operation that took it back.
    pub reverted_by: Option<u64>,
}

/// All operations, in order.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<Known>);

impl History {
    /// Puts operations together from the rows of their commands, in order.
    ///
    /// # Errors
    /// A result that cannot be read.
    pub fn read(rows: Vec<HistoryRow>) -> Result<Self, String> {
        let mut all = BTreeMap::<u64, Known>::new();
        for row in rows {
            let failed = |error: &dyn std::fmt::Display| {
                format!("the result of command {} cannot be read: {error}", row.command_offset)
            };
            if row.command_name == "start_operation" {
                let started: Started = serde_json::from_str(&row.result).map_err(|error| failed(&error))?;
                let known = Known {
                    id: row.command_id,
                    actor: row.actor,
                    logged_at: row.log_ms,
                    moved_at: row.recorded_ms,
                    steps_done: 0,
                    finished_at: None,
                    outcome: Outcome::default(),
                    reverted_by: None,
                    started,
                };
                all.insert(known.started.operation, known);
                continue;
            }
            let stepped: Stepped = serde_json::from_str(&row.result).map_err(|error| failed(&error))?;
            let Some(known) = all.get_mut(&stepped.operation) else { continue };
            known.steps_done += 1;
            known.moved_at = row.recorded_ms;
            known.outcome.add(&stepped.outcome);
            if stepped.last {
                known.finished_at = Some(row.command_offset);
            }
        }
        let reverts: Vec<(u64, u64)> = all
            .values()
            .filter(|known| known.started.call.reverts != 0)
            .map(|known| (known.started.call.reverts, known.started.operation))
            .collect();
        for (reverted, by) in reverts {
            if let Some(known) = all.get_mut(&reverted) {
                known.reverted_by = Some(by);
            }
        }
        Ok(Self(all.into_values().collect()))
    }

    /// Usage, which is 0, and all operations that were finished: what a reader counts.
    #[must_use]
    pub fn counted(&self) -> Vec<u64> {
        let finished = self.0.iter().filter(|known| known.finished_at.is_some());
        std::iter::once(0).chain(finished.map(|known| known.started.operation)).collect()
    }

    /// The operation of that number.
    #[must_use]
    pub fn get(&self, operation: u64) -> Option<&Known> {
        self.0.iter().find(|known| known.started.operation == operation)
    }

    /// The first operation that is not finished and whose period has a part in `[from, to)`.
    #[must_use]
    pub fn open_in(&self, from: i64, to: i64) -> Option<&Known> {
        self.0.iter().find(|known| {
            known.finished_at.is_none() && known.started.call.from < to && from < known.started.call.to
        })
    }
}

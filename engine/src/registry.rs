//! The statements that run now, by the query id that their client gave them. The engine cannot be told a
//! query id, so this is what `system.processes` and KILL QUERY are answered from.

use crate::{
    exception::{Exception, code},
    sql,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How much of a statement's text is shown.
const SHOWN_BYTES_MAX: usize = 1024;

/// All running statements, from the arrival of the request until the engine is done with it.
#[derive(Debug)]
pub(crate) struct Registry {
    state: Mutex<State>,
    ended: Notify,
    kills: mpsc::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    running: BTreeMap<u64, Arc<Entry>>,
}

/// One running statement.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its number in this process, by which the engine's own list is matched.
    pub(crate) number: u64,
    pub(crate) query_id: String,
    text: Vec<u8>,
    kind: &'static str,
    since: Instant,
    pub(crate) cancelled: CancellationToken,
}

/// Keeps a statement in the registry; its last owner is the thread that runs it.
#[derive(Debug)]
pub(crate) struct Running {
    registry: Arc<Registry>,
    pub(crate) entry: Arc<Entry>,
}

/// Cancels the statement when the answer is given up: its client has gone.
#[derive(Debug)]
pub(crate) struct CancelOnDrop {
    registry: Arc<Registry>,
    number: u64,
}

impl Registry {
    /// `kills` receives the numbers of statements that the engine shall cancel.
    pub(crate) fn new(kills: mpsc::Sender<u64>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), ended: Notify::new(), kills })
    }

    /// Enters a statement; refused while another one runs under the same id.
    pub(crate) fn enter(
        self: &Arc<Self>,
        query_id: &str,
        text: &[u8],
        kind: &'static str,
    ) -> Result<Running, Exception> {
        let mut state = self.state();
        if state.running.values().any(|entry| entry.query_id == query_id) {
            return Err(Exception::new(
                code::QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                format_args!("Query with id = {query_id} is already running"),
            ));
        }
        state.last_number += 1;
        let entry = Arc::new(Entry {
            number: state.last_number,
            query_id: query_id.to_owned(),
            text: text[..text.len().min(SHOWN_BYTES_MAX)].to_vec(),
            kind,
            since: Instant::now(),
            cancelled: CancellationToken::new(),
        });
        state.running.insert(entry.number, Arc::clone(&entry));
        Ok(Running { registry: Arc::clone(self), entry })
    }

    /// Cancels one statement, wherever it is: waiting, reading its body, or in the engine.
    pub(crate) fn cancel(&self, number: u64) -> Option<Arc<Entry>> {
        let entry = self.state().running.get(&number).cloned()?;
        entry.cancelled.cancel();
        // The other end lives as long as the process; without it there is no engine left to ask.
        let _ = self.kills.send(number);
        Some(entry)
    }

    pub(crate) fn entry(&self, number: u64) -> Option<Arc<Entry>> {
        self.state().running.get(&number).cloned()
    }

    pub(crate) fn cancel_all(&self) {
        let numbers: Vec<u64> = self.state().running.keys().copied().collect();
        for number in numbers {
            self.cancel(number);
        }
    }

    pub(crate) fn runs(&self, number: u64) -> bool {
        self.state().running.contains_key(&number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().running.is_empty()
    }

    /// Waits until `done` holds, looking again whenever a statement ends; `false` when time ran out.
    pub(crate) async fn wait(&self, done: impl Fn(&Self) -> bool, at_most: Duration) -> bool {
        let wait = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if done(self) {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(at_most, wait).await.is_ok()
    }

    /// A subquery with the columns of `system.processes`, one row for each running statement. What only
    /// the engine knows (memory, rows read …) is joined from its own list by the statement's number.
    pub(crate) fn processes(&self) -> Vec<u8> {
        self.subquery("")
    }

    /// As [`Self::processes`], with the column `number` and without the statement `asking`.
    pub(crate) fn processes_with_number(&self, asking: u64) -> Vec<u8> {
        let mut subquery = b"(SELECT * FROM ".to_vec();
        subquery.extend(self.subquery("running.number AS number, "));
        subquery.extend(format!(" WHERE number != {asking})").into_bytes());
        subquery
    }

    fn subquery(&self, more_columns: &str) -> Vec<u8> {
        let mut rows = Vec::new();
        for entry in self.state().running.values() {
            rows.extend(format!(", ({}, ", entry.number).into_bytes());
            rows.extend(sql::quote(entry.query_id.as_bytes()));
            rows.extend(b", ");
            rows.extend(sql::quote(&entry.text));
            rows.extend(
                format!(", '{}', {:.6})", entry.kind, entry.since.elapsed().as_secs_f64()).into_bytes(),
            );
        }
        let mut subquery = format!(
            "(SELECT {more_columns}1::UInt8 AS is_initial_query, 'default' AS user, running.id AS query_id, \
             'default' AS initial_user, running.id AS initial_query_id, running.seconds AS elapsed, \
             running.text AS query, running.kind AS query_kind, process.* EXCEPT(is_initial_query, user, \
             query_id, initial_user, initial_query_id, elapsed, query, query_kind) FROM \
             values('number UInt64, id String, text String, kind String, seconds Float64'"
        )
        .into_bytes();
        subquery.extend(rows);
        subquery.extend(
            format!(
                ") AS running LEFT JOIN system.processes AS process ON running.number = \
                 toUInt64OrZero(extract(process.query, '^{MARK_START}([0-9]+) '))) "
            )
            .into_bytes(),
        );
        subquery
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub(crate) fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop { registry: Arc::clone(&self.registry), number: self.entry.number }
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.registry.state().running.remove(&self.entry.number);
        self.registry.ended.notify_waiters();
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.registry.cancel(self.number);
    }
}

// `.` stands for the star, which would need escaping in the regular expression.
const MARK_START: &str = "/. statement ";

/// The comment in front of a statement by which the engine's own list can be matched.
pub(crate) fn mark(number: u64) -> String {
    format!("/* statement {number} */ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_id_runs_once_at_a_time_and_is_free_again_afterwards() {
        let registry = Registry::new(mpsc::channel().0);
        let running = registry.enter("a", b"SELECT 1", "Select").unwrap();
        assert_eq!(registry.enter("a", b"SELECT 2", "Select").unwrap_err().code, 216);
        drop(running);
        assert!(registry.is_empty());
        registry.enter("a", b"SELECT 2", "Select").unwrap();
    }

    #[test]
    fn giving_up_the_answer_cancels_the_statement() {
        let (kills, killed) = mpsc::channel();
        let registry = Registry::new(kills);
        let running = registry.enter("a", b"SELECT 1", "Select").unwrap();
        drop(running.cancel_on_drop());
        assert!(running.entry.cancelled.is_cancelled());
        assert_eq!(killed.try_recv().unwrap(), running.entry.number);
    }
}

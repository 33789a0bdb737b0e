//! What a test sets to break a request, and how it learns that one was caught.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;

use super::Traps;
use crate::support::process::lock;

/// What happens to a request that a trap catches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The request is read to its end and kept from the server until [`Trap::release`], which sends it even if the client
    /// is gone by then: a request that arrives late. [`Trap::discard`] throws it away.
    Hold,
    /// The server answers, and its whole answer is kept from the client until [`Trap::release`]. [`Trap::discard`] closes
    /// the connection instead.
    HoldAnswer,
    /// The server answers, and the connection is closed in place of passing the answer on.
    LoseAnswer,
    /// The request is kept from the server for this long, then passed on.
    Delay(Duration),
    /// The whole request is passed on and the connection is closed at once, while the server works on it.
    Abandon,
    /// The server gets the first half of the body, then both connections are closed.
    CutInHalf,
    /// The server never sees the request; the client gets this as the answer, head and body.
    Answer(&'static str),
    /// The connection is closed; the server never sees the request.
    Refuse,
}

/// A trap that is set. Dropping it removes it; requests that it still holds are thrown away.
#[must_use = "dropping a trap removes it"]
pub struct Trap {
    armed: Arc<Armed>,
    traps: Traps,
}

impl Trap {
    pub(super) fn new(armed: Arc<Armed>, traps: Traps) -> Self {
        Self { armed, traps }
    }

    /// Waits until a request is caught: held, refused, delayed, or its answer complete. Fails after `within`.
    pub fn wait(&self, within: Duration) -> Result<()> {
        self.wait_for(1, within)
    }

    /// Waits until `requests` of them are caught in all.
    pub fn wait_for(&self, requests: usize, within: Duration) -> Result<()> {
        let caught = lock(&self.armed.caught);
        let waited = self.armed.changed.wait_timeout_while(caught, within, |caught| *caught < requests);
        let (caught, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            bail!(
                "waited {within:?} in vain for request {requests} with {:?}: {} came",
                self.armed.needle,
                *caught
            );
        }
        Ok(())
    }

    /// How many requests it has caught.
    #[must_use]
    pub fn caught(&self) -> usize {
        *lock(&self.armed.caught)
    }

    /// Lets every request and answer pass that it holds now or catches later.
    pub fn release(&self) {
        self.armed.verdict.send_replace(Some(Verdict::Release));
    }

    /// Throws away every request and answer that it holds now or catches later, and closes their connections.
    pub fn discard(&self) {
        self.armed.verdict.send_replace(Some(Verdict::Discard));
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        lock(&self.traps).retain(|other| !Arc::ptr_eq(other, &self.armed));
        self.armed.verdict.send_if_modified(|verdict| {
            let undecided = verdict.is_none();
            verdict.get_or_insert(Verdict::Discard);
            undecided
        });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Release,
    Discard,
}

/// The side of a trap that connections see.
pub(super) struct Armed {
    needle: String,
    pub(super) action: Action,
    /// How many more requests it takes.
    left: Mutex<usize>,
    caught: Mutex<usize>,
    changed: Condvar,
    verdict: watch::Sender<Option<Verdict>>,
}

impl Armed {
    pub(super) fn new(needle: &str, action: Action, left: usize) -> Self {
        Self {
            needle: needle.to_owned(),
            action,
            left: Mutex::new(left),
            caught: Mutex::new(0),
            changed: Condvar::new(),
            verdict: watch::Sender::new(None),
        }
    }

    /// Takes the request with this text if it matches and the trap is not used up.
    pub(super) fn takes(&self, text: &str) -> bool {
        let mut left = lock(&self.left);
        let taken = *left > 0 && text.contains(&self.needle);
        if taken {
            *left -= 1;
        }
        taken
    }

    /// Tells the test that a request is caught.
    pub(super) fn notify(&self) {
        *lock(&self.caught) += 1;
        self.changed.notify_all();
    }

    /// What the test decides about what is held.
    pub(super) async fn verdict(&self) -> Verdict {
        let mut verdict = self.verdict.subscribe();
        let decided = verdict.wait_for(Option::is_some).await;
        decided.ok().and_then(|verdict| *verdict).unwrap_or(Verdict::Discard)
    }
}

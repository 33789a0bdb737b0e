//! How many statements of each kind run at a time; the others wait in line.

use crate::{
    exception::{Exception, code},
    registry::Running,
    sql::Lane,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const CHANGES_MAX: usize = 2;
const CONTROLS_MAX: usize = 4;
const WAITING_MAX: usize = 256;

/// The places of each kind.
pub(crate) struct Lanes {
    select: Arc<Semaphore>,
    insert: Arc<Semaphore>,
    change: Arc<Semaphore>,
    control: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Lanes {
    pub(crate) fn new(selects_max: usize, inserts_max: usize) -> Self {
        let places = |max: usize| Arc::new(Semaphore::new(max.max(1)));
        Self {
            select: places(selects_max),
            insert: places(inserts_max),
            change: places(CHANGES_MAX),
            control: places(CONTROLS_MAX),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for a place, which is free again when the permit is dropped.
    pub(crate) async fn enter(
        &self,
        lane: Lane,
        running: &Running,
    ) -> Result<OwnedSemaphorePermit, Exception> {
        let places = match lane {
            Lane::Select => &self.select,
            Lane::Insert => &self.insert,
            Lane::Change => &self.change,
            Lane::Control => &self.control,
        };
        if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(&self.waiting)?;
        tokio::select! {
            permit = Arc::clone(places).acquire_owned() => permit.map_err(|_| Exception::stopping()),
            () = running.entry.cancelled.cancelled() => Err(Exception::cancelled()),
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self, Exception> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::SeqCst) < WAITING_MAX {
            return Ok(waiting);
        }
        Err(Exception::new(
            code::TOO_MANY_SIMULTANEOUS_QUERIES,
            "TOO_MANY_SIMULTANEOUS_QUERIES",
            format_args!("Too many simultaneous queries: {WAITING_MAX} are waiting already"),
        ))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

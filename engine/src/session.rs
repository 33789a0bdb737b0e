//! Connections to the engine: a fresh one for each request, or one that is kept for a client's session.

use crate::{
    exception::{Exception, code},
    library::{Connection, Error, Library},
    request::Session,
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

const SESSIONS_MAX: usize = 64;

/// Opens connections to the one data folder.
pub(crate) struct Connector {
    pub(crate) library: Arc<Library>,
    pub(crate) folder: PathBuf,
    pub(crate) config: PathBuf,
}

impl Connector {
    pub(crate) fn connect(&self) -> Result<Connection, Error> {
        self.library.connect(&self.folder, &self.config)
    }
}

/// The kept connections, by session id.
#[derive(Default)]
pub(crate) struct Sessions {
    slots: Mutex<HashMap<String, Slot>>,
}

enum Slot {
    Busy,
    Idle { connection: Connection, until: Instant },
}

/// A session while one request uses it.
pub(crate) struct Lease {
    sessions: Arc<Sessions>,
    id: String,
    timeout: Duration,
    close: bool,
    connection: Option<Connection>,
}

impl Sessions {
    /// Takes the session for one request; its connection is opened by the first.
    pub(crate) fn take(self: &Arc<Self>, session: &Session) -> Result<Lease, Exception> {
        let mut slots = self.slots();
        let now = Instant::now();
        slots.retain(|_, slot| !matches!(slot, Slot::Idle { until, .. } if *until < now));
        let connection = match slots.remove(&session.id) {
            Some(Slot::Idle { connection, .. }) => Some(connection),
            Some(Slot::Busy) => {
                slots.insert(session.id.clone(), Slot::Busy);
                let text = format_args!("Session {} is locked by a concurrent client", session.id);
                return Err(Exception::new(code::SESSION_IS_LOCKED, "SESSION_IS_LOCKED", text));
            }
            None if session.must_exist => {
                let text = format_args!("Session {} not found", session.id);
                return Err(Exception::new(code::SESSION_NOT_FOUND, "SESSION_NOT_FOUND", text));
            }
            None => {
                make_room(&mut slots)?;
                None
            }
        };
        slots.insert(session.id.clone(), Slot::Busy);
        Ok(Lease {
            sessions: Arc::clone(self),
            id: session.id.clone(),
            timeout: session.timeout,
            close: session.close,
            connection,
        })
    }

    /// Closes the connections that no request uses.
    pub(crate) fn close_idle(&self) {
        self.slots().retain(|_, slot| matches!(slot, Slot::Busy));
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(slots: &mut HashMap<String, Slot>) -> Result<(), Exception> {
    if slots.len() < SESSIONS_MAX {
        return Ok(());
    }
    let idle = slots.iter().filter_map(|(id, slot)| match slot {
        Slot::Idle { until, .. } => Some((*until, id.clone())),
        Slot::Busy => None,
    });
    let Some((_, oldest)) = idle.min() else {
        return Err(Exception::new(
            code::TOO_MANY_SIMULTANEOUS_QUERIES,
            "TOO_MANY_SIMULTANEOUS_QUERIES",
            format_args!("All {SESSIONS_MAX} sessions are in use"),
        ));
    };
    slots.remove(&oldest);
    Ok(())
}

impl Lease {
    /// The session's connection, if it has one yet.
    pub(crate) fn take(&mut self) -> Option<Connection> {
        self.connection.take()
    }

    /// Keeps the connection for the session's next request.
    pub(crate) fn keep(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut slots = self.sessions.slots();
        slots.remove(&self.id);
        if let Some(connection) = self.connection.take().filter(|_| !self.close) {
            let until = Instant::now() + self.timeout;
            slots.insert(self.id.clone(), Slot::Idle { connection, until });
        }
    }
}

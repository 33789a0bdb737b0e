//! The thread that makes the engine cancel statements: KILL QUERY over a connection of its own, repeated
//! until the statement has ended, because it may not have begun when it is first asked for.

use crate::{
    registry::{Registry, mark},
    session::Connector,
    sql,
};
use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Starts the thread; it ends with the sender of `numbers`.
pub(crate) fn start(
    numbers: Receiver<u64>,
    registry: Arc<Registry>,
    connector: Arc<Connector>,
) -> io::Result<()> {
    thread::Builder::new().name("kill".into()).spawn(move || run(&numbers, &registry, &connector))?;
    Ok(())
}

fn run(numbers: &Receiver<u64>, registry: &Registry, connector: &Connector) {
    let mut pending = BTreeSet::new();
    loop {
        let next = match pending.is_empty() {
            true => numbers.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => numbers.recv_timeout(AGAIN_AFTER),
        };
        match next {
            Ok(number) => {
                pending.insert(number);
                pending.extend(numbers.try_iter());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        pending.retain(|&number| registry.runs(number));
        if !pending.is_empty() {
            kill(&pending, connector);
        }
    }
}

fn kill(numbers: &BTreeSet<u64>, connector: &Connector) {
    let conditions: Vec<Vec<u8>> = numbers
        .iter()
        .map(|&number| [b"startsWith(query, ", &sql::quote(mark(number).as_bytes())[..], b")"].concat())
        .collect();
    let statement = [b"KILL QUERY WHERE ", &conditions.join(&b" OR "[..])[..], b" ASYNC"].concat();
    let killed = connector.connect().map(|connection| connection.query(&statement, "Null", &[]).err());
    match killed {
        Ok(None) => {}
        Ok(Some(failure)) => tracing::warn!("Cannot cancel statements, trying again: {failure}"),
        Err(error) => tracing::warn!("Cannot cancel statements, trying again: {error}"),
    }
}

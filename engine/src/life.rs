//! When the process shall end: on SIGTERM, at the end of its standard input, and with its parent.

use nix::sys::{prctl, signal::Signal};
use std::{
    io::{self, Read},
    os::unix::{fs::FileTypeExt, process::parent_id},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// The reasons to end that the system tells.
pub(crate) struct End {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// Where standard input is a pipe, its end is the parent's.
    input: Option<oneshot::Receiver<()>>,
    is_orphan: bool,
}

impl End {
    /// Watches from now on; `parent` is who the process was started by. Must be called in the runtime.
    pub(crate) fn watch(parent: u32) -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let input = watch_input()?;
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        // A parent that died before that is not told any more.
        let is_orphan = parent_id() != parent;
        Ok(Self { terminate, interrupt, input, is_orphan })
    }

    /// Waits for the first reason and names it.
    pub(crate) async fn wait(self) -> &'static str {
        let Self { mut terminate, mut interrupt, input, is_orphan } = self;
        if is_orphan {
            return "death of the parent";
        }
        match input {
            // A terminal interrupts parent and child alike; the parent then ends the child in its order.
            Some(input) => tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = input => "end of standard input",
            },
            None => tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            },
        }
    }
}

/// Reads a piped standard input to its end. A terminal or `/dev/null` tells nothing of a parent: `None`.
fn watch_input() -> io::Result<Option<oneshot::Receiver<()>>> {
    let is_pipe = std::fs::metadata("/dev/stdin")
        .is_ok_and(|metadata| metadata.file_type().is_fifo() || metadata.file_type().is_socket());
    if !is_pipe {
        return Ok(None);
    }
    let (ended, input) = oneshot::channel();
    std::thread::Builder::new().name("input".into()).spawn(move || {
        let mut buffer = [0; 256];
        let mut input = io::stdin().lock();
        while matches!(input.read(&mut buffer), Ok(1..)) {}
        // Nobody listens only when the process is ending anyway.
        let _ = ended.send(());
    })?;
    Ok(Some(input))
}

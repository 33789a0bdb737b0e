//! When the process shall end: on SIGTERM or SIGINT, at the end of its standard input, and with its parent.

use nix::sys::{prctl, signal::Signal};
use std::{
    io::{self, Read},
    os::unix::fs::FileTypeExt,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// The reasons to end that the system tells.
pub(crate) struct End {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    input: oneshot::Receiver<()>,
}

impl End {
    /// Watches from now on. Must be called in the runtime.
    pub(crate) fn watch() -> io::Result<Self> {
        let end = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            input: watch_input()?,
        };
        // The handlers stand: a parent that dies between here and there is seen by its closed pipe.
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        Ok(end)
    }

    /// Waits for the first of them and names it.
    pub(crate) async fn wait(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            Ok(()) = &mut self.input => "end of standard input",
        }
    }
}

/// The parent holds the other end of our standard input: where that is a pipe, its end is the parent's.
/// A terminal or `/dev/null` tells nothing of a parent and is left alone.
fn watch_input() -> io::Result<oneshot::Receiver<()>> {
    let (ended, input) = oneshot::channel();
    let is_pipe = std::fs::metadata("/dev/stdin")
        .is_ok_and(|metadata| metadata.file_type().is_fifo() || metadata.file_type().is_socket());
    if !is_pipe {
        return Ok(input);
    }
    std::thread::Builder::new().name("input".into()).spawn(move || {
        let mut buffer = [0; 256];
        let mut input = io::stdin().lock();
        while matches!(input.read(&mut buffer), Ok(1..)) {}
        // Nobody listens only when the process is ending anyway.
        let _ = ended.send(());
    })?;
    Ok(input)
}

//! Stands between a client and an HTTP server and breaks things between them: holds a request, loses an answer, delays,
//! refuses. What no trap matches passes as it is.
//!
//! It runs on a thread of its own, so a test that blocks does not stop it.

mod connection;
mod message;
mod trap;

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::{io, thread};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub use trap::{Action, Trap};

use super::process::lock;
use trap::Armed;

/// The traps that are set, in the order in which they were.
type Traps = Arc<Mutex<Vec<Arc<Armed>>>>;

/// A proxy that runs. Dropping it closes all its connections.
pub struct Proxy {
    address: SocketAddr,
    traps: Traps,
    _stop: oneshot::Sender<()>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes everything on to `server`. Fails when it cannot listen.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let traps = Traps::default();
        let (stop, stopped) = oneshot::channel();
        let (listening, address) = channel();
        let seen = Arc::clone(&traps);
        thread::spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(listening.send(Err(error))),
            };
            runtime.block_on(async {
                let listener = match listen().await {
                    Ok((listener, address)) => {
                        let _proxy_waits = listening.send(Ok(address));
                        listener
                    }
                    Err(error) => return drop(listening.send(Err(error))),
                };
                tokio::select! {
                    () = accept(&listener, server, &seen) => {}
                    _ = stopped => {}
                }
            });
        });
        let address =
            address.recv().context("the proxy's thread is gone")?.context("the proxy cannot listen")?;
        Ok(Self { address, traps, _stop: stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does `action` to the next request that has `needle` in it, then lets everything pass again.
    ///
    /// A request's text is its first line with the escapes of its URL undone (`INSERT INTO entries`, not
    /// `INSERT+INTO+entries`) followed by the first bytes of its body.
    pub fn once(&self, needle: &str, action: Action) -> Trap {
        self.set(Armed::new(needle, action, 1))
    }

    /// Does `action` to every request that has `needle` in it (see [`Self::once`]) until the trap is dropped. An empty
    /// needle matches all.
    pub fn always(&self, needle: &str, action: Action) -> Trap {
        self.set(Armed::new(needle, action, usize::MAX))
    }

    fn set(&self, armed: Armed) -> Trap {
        let armed = Arc::new(armed);
        lock(&self.traps).push(Arc::clone(&armed));
        Trap::new(armed, Arc::clone(&self.traps))
    }
}

async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(listener: &TcpListener, server: SocketAddr, traps: &Traps) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection::serve(client, server, Arc::clone(traps)));
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests;

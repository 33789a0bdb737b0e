//! The ClickHouse engine as a library (libchdb), served over ClickHouse's own HTTP interface on loopback,
//! so that any ClickHouse HTTP client works with it unmodified. One process, one data folder.
//!
//! A query flows: `http` reads the request and its statement, the `registry` enters it under its query id, a
//! thread runs it on a connection of its own (`worker`, `library`), and its result streams back as it comes.

mod blocks;
mod body;
mod exception;
mod folder;
mod format;
mod http;
mod kill;
mod lanes;
mod library;
mod life;
mod registry;
mod request;
mod session;
mod sql;
mod statement;
mod worker;

use axum::serve::ListenerExt;
use folder::Folder;
use http::Service;
use lanes::Lanes;
use library::{Connection, Library};
use life::End;
use registry::Registry;
use secrecy::SecretString;
use session::Connector;
use std::{
    io,
    net::SocketAddr,
    os::unix::process::parent_id,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::net::TcpListener;

pub use folder::Error as FolderError;
pub use library::{Error as LibraryError, PACKAGE};

/// How long statements under way may go on when the process stops.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long a killed statement may take to end.
const KILL_MAX: Duration = Duration::from_secs(2);
const SERVING_THREADS: usize = 2;
/// As the main thread's: the engine's parser and planner recurse.
const STACK_BYTES: usize = 8 << 20;

/// What the engine is started with.
#[derive(Debug)]
pub struct Config {
    /// The file `libchdb.so`, of the package [`PACKAGE`].
    pub library: PathBuf,
    /// The data folder; created where it does not exist.
    pub path: PathBuf,
    /// A loopback address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The password of the user `default`, which every request must carry.
    pub secret: SecretString,
    /// Bound of the engine's memory in bytes; one statement may take three quarters of it.
    pub memory_bytes_max: u64,
    /// Statements that read at a time; more wait.
    pub selects_max: usize,
    /// Inserts at a time; more wait.
    pub inserts_max: usize,
}

/// Why the engine did not start or broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library is missing or unfit.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The data folder is in use or cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The engine is for this machine only.
    #[error("{0} is not a loopback address; listen on 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; is the port taken?")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused threads or signals.
    #[error("cannot start the engine's threads")]
    Start(#[source] io::Error),
}

/// Starts the engine, calls `on_ready` with the address once it serves, and runs until it is told to stop:
/// by SIGTERM, at the end of a piped standard input, or with the death of the parent. SIGINT ends it only
/// where standard input is no pipe: a terminal sends it to parent and child, and a parent ends in its own order. Must be
/// called on the main thread of a process that does nothing else: after a clean stop it **ends the
/// process** with code 0, because the engine's static destructors can hang. Prints nothing.
///
/// # Errors
/// When it cannot start, see [`Error`]; nothing is served then.
pub fn run(config: Config, on_ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    if !config.listen.ip().is_loopback() {
        return Err(Error::NotLoopback(config.listen));
    }
    let parent = parent_id();
    let library = Library::load(&config.library)?;
    let folder = Folder::open(&config.path, config.memory_bytes_max)?;
    let connector =
        Arc::new(Connector { library, folder: folder.path.clone(), config: folder.config.clone() });
    // The last connection that closes stops the engine: this one stays open.
    let anchor = connector.connect()?;
    tracing::info!(version = connector.library.version(), "The engine is open");
    let (kills, killed) = mpsc::channel();
    let registry = Registry::new(kills);
    kill::start(killed, Arc::clone(&registry), Arc::clone(&connector)).map_err(Error::Start)?;
    let lanes = Lanes::new(config.selects_max, config.inserts_max);
    let service = Service::new(connector, Arc::clone(&registry), config.secret, timezone(&anchor), lanes);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(SERVING_THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    let all_ended = runtime.block_on(serve(&service, &registry, config.listen, parent, on_ready))?;
    if all_ended {
        // Closing waits for statements, so it is left out where one did not end.
        drop(anchor);
    }
    library::exit_now(0)
}

fn timezone(connection: &Connection) -> String {
    let output = connection.query(b"SELECT timezone()", "TSVRaw", &[]);
    output.map_or_else(|_| "UTC".into(), |output| String::from_utf8_lossy(output.as_ref()).trim().to_owned())
}

/// Serves until the end is told; returns whether every statement has ended.
async fn serve(
    service: &Arc<Service>,
    registry: &Registry,
    address: SocketAddr,
    parent: u32,
    on_ready: impl FnOnce(SocketAddr),
) -> Result<bool, Error> {
    let listen = |source| Error::Listen { address, source };
    let end = End::watch(parent).map_err(Error::Start)?;
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!("A connection stays without TCP_NODELAY: {error}");
        }
    });
    let server = axum::serve(listener, service.router());
    tokio::spawn(async move { server.await });
    on_ready(bound);
    let reason = end.wait().await;
    tracing::info!(reason, "The engine stops");
    service.refuse_new();
    if registry.wait(Registry::is_empty, DRAIN_MAX).await {
        return Ok(true);
    }
    registry.cancel_all();
    Ok(registry.wait(Registry::is_empty, KILL_MAX).await)
}

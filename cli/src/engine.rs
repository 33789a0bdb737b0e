//! `tollbook engine`: the embedded ClickHouse alone. `up` runs it as a child; by hand it serves any ClickHouse client.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

/// Options of `tollbook engine`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The library libchdb.so; `make setup` installs it into .tollbook/engine
    #[arg(long, env = "TOLLBOOK_LIBRARY", value_name = "FILE")]
    library: Option<PathBuf>,
    /// Folder of the data
    #[arg(long, env = "TOLLBOOK_PATH", value_name = "FOLDER")]
    path: PathBuf,
    /// Address to serve ClickHouse's HTTP interface on; loopback only
    #[arg(long, default_value = "127.0.0.1:8123", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Memory that the engine may use, in MiB
    #[arg(long, env = "TOLLBOOK_ENGINE_MEMORY_MIB", default_value_t = 4096, value_name = "MIB")]
    memory_mib: u64,
    /// Queries that run at once
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    selects: usize,
    /// Inserts that run at once
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    inserts: usize,
    /// How long to wait for a process that still holds the folder, such as the engine of a killed parent
    #[arg(long, default_value = "0s", value_parser = crate::options::duration, value_name = "DURATION")]
    wait_for_folder: Duration,
}

/// Pause between two looks at a folder that is held.
const LOOK: Duration = Duration::from_millis(50);

/// The variable that holds the password of the user `default`.
pub(crate) const SECRET_VARIABLE: &str = "TOLLBOOK_ENGINE_SECRET";

/// Serves until stopped.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let secret = std::env::var(SECRET_VARIABLE).with_context(|| {
        format!("set {SECRET_VARIABLE}: every request must carry it as the password of `default`")
    })?;
    let library = options.library.map_or_else(find_library, Ok)?;
    let deadline = Instant::now() + options.wait_for_folder;
    loop {
        let config = engine::Config {
            library: library.clone(),
            path: options.path.clone(),
            listen: options.listen,
            secret: secret.clone().into(),
            memory_bytes_max: options.memory_mib << 20,
            selects_max: options.selects,
            inserts_max: options.inserts,
        };
        match engine::run(config, ready) {
            Err(engine::Error::Folder(engine::FolderError::InUse { .. })) if Instant::now() < deadline => {
                std::thread::sleep(LOOK);
            }
            ended => return Ok(ended?),
        }
    }
}

/// Says that the engine serves. A parent that no longer listens is noticed by the end of standard input.
fn ready(address: SocketAddr) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "ready {address}").and_then(|()| out.flush());
}

/// The library where set-up puts it: in `.tollbook/engine` of this folder or one above it, or beside the binary.
pub(crate) fn find_library() -> anyhow::Result<PathBuf> {
    let below = PathBuf::from(".tollbook/engine/libchdb.so");
    let here = std::env::current_dir()?;
    let binary = std::env::current_exe()?;
    let places = here
        .ancestors()
        .map(|folder| folder.join(&below))
        .chain(binary.ancestors().map(|folder| folder.join(&below)))
        .chain(binary.parent().map(|folder| folder.join("libchdb.so")));
    places.into_iter().find(|place| place.is_file()).with_context(|| {
        format!(
            "the engine library {} is neither under {} nor beside {}: run `make setup`, or name it with --library",
            below.display(),
            here.display(),
            binary.display()
        )
    })
}

//! Serves a ClickHouse engine: `cargo run -p engine --example engine -- --library FILE --path FOLDER`.
//! The secret comes from the environment variable `ENGINE_SECRET`; prints `ready ADDRESS` once it serves.

use anyhow::Context;
use clap::Parser;
use engine::Config;
use std::{io::Write, net::SocketAddr, path::PathBuf};

#[derive(Debug, Parser)]
struct Arguments {
    /// The file libchdb.so.
    #[arg(long)]
    library: PathBuf,
    /// The data folder.
    #[arg(long)]
    path: PathBuf,
    /// A loopback address; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Bound of the engine's memory in MiB.
    #[arg(long, default_value_t = 2048)]
    memory_mib_max: u64,
    /// Statements that read at a time.
    #[arg(long, default_value_t = 3)]
    selects_max: usize,
    /// Inserts at a time.
    #[arg(long, default_value_t = 2)]
    inserts_max: usize,
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let secret = std::env::var("ENGINE_SECRET").context("set ENGINE_SECRET to the password of `default`")?;
    let config = Config {
        library: arguments.library,
        path: arguments.path,
        listen: arguments.listen,
        secret: secret.into(),
        memory_bytes_max: arguments.memory_mib_max << 20,
        selects_max: arguments.selects_max,
        inserts_max: arguments.inserts_max,
    };
    engine::run(config, |address| {
        let mut output = std::io::stdout();
        // A parent that has gone is told by its end of our standard input.
        let _ = writeln!(output, "ready {address}").and_then(|()| output.flush());
    })?;
    Ok(())
}

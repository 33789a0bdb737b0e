//! Goal: clients that know nothing of this project work: `clickhouse-connect` (Python) and
//! `@clickhouse/client` (Node). Method: their own scripts, against an engine of this test.

use crate::support::{Engine, SECRET};
use anyhow::{Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::tempdir;

fn run(interpreter: &str, script: &str) -> Result<()> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let clients: PathBuf = crate_folder.join("../.tollbook/clients");
    let program = if interpreter == "node" { interpreter.into() } else { clients.join(interpreter) };
    ensure!(
        clients.join("node_modules").is_dir() && clients.join("venv").is_dir(),
        "the foreign clients are missing in {}; run engine/tests/clients/setup.sh",
        clients.display()
    );
    let folder = tempdir()?;
    let engine = Engine::start(&folder)?;
    let output = Command::new(program)
        .arg(crate_folder.join("tests/clients").join(script))
        .arg(engine.address.ip().to_string())
        .arg(engine.address.port().to_string())
        .env("ENGINE_SECRET", SECRET)
        .env("CLIENTS", clients.canonicalize()?)
        .output()?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn clickhouse_connect_works_unmodified() -> Result<()> {
    run("venv/bin/python", "connect.py")
}

#[test]
fn the_node_client_works_unmodified() -> Result<()> {
    run("node", "client.mjs")
}

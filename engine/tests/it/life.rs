//! Goal: the process starts, ends and breaks as a store must. Method: signals, closed pipes, dead parents.

use crate::support::{Engine, SECRET, command, library, program, read_ready};
use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{BufReader, Read},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::tempdir;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() -> Result<()> {
    let folder = tempdir()?;
    for round in 0..3_u64 {
        let mut engine = Engine::start(&folder)?;
        let client = engine.client();
        client
            .query("CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a")
            .execute()
            .await?;
        assert_eq!(client.query("SELECT count() FROM t").fetch_one::<u64>().await?, round * 10);
        for number in 0..10 {
            client.query("INSERT INTO t VALUES (?)").bind(round * 10 + number).execute().await?;
        }
        engine.kill()?;
    }
    Ok(())
}

#[test]
fn a_second_process_on_the_folder_is_told_who_has_it() -> Result<()> {
    let folder = tempdir()?;
    let first = Engine::start(&folder)?;
    let second = command(folder.path(), &[])?.stderr(Stdio::piped()).output()?;
    assert!(!second.status.success());
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(message.contains(&format!("is in use by process {}", first.child.id())), "{message}");
    Ok(())
}

#[test]
fn a_missing_library_is_named_with_the_remedy() -> Result<()> {
    let folder = tempdir()?;
    let output = Command::new(program()?)
        .args(["--library", "/nowhere/libchdb.so", "--path"])
        .arg(folder.path())
        .env("ENGINE_SECRET", SECRET)
        .output()?;
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("/nowhere/libchdb.so") && message.contains("npm pack"), "{message}");
    Ok(())
}

#[test]
fn only_a_loopback_address_is_served() -> Result<()> {
    let folder = tempdir()?;
    let output = command(folder.path(), &["--listen", "0.0.0.0:0"])?.stderr(Stdio::piped()).output()?;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a loopback address"));
    Ok(())
}

#[tokio::test]
async fn sigterm_and_the_end_of_input_stop_it_cleanly() -> Result<()> {
    let folder = tempdir()?;
    for by_signal in [true, false] {
        let mut engine = Engine::start(&folder)?;
        engine.client().query("CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = Log").execute().await?;
        match by_signal {
            true => kill(Pid::from_raw(engine.child.id().try_into()?), Signal::SIGTERM)?,
            false => drop(engine.child.stdin.take()),
        }
        assert!(engine.child.wait()?.success());
    }
    Ok(())
}

#[tokio::test]
async fn an_endless_statement_does_not_hold_up_the_end() -> Result<()> {
    let folder = tempdir()?;
    let mut engine = Engine::start(&folder)?;
    let client = engine.client();
    let endless = client.query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 7");
    let endless = tokio::spawn(async move { endless.with_setting("query_id", "x").fetch_one::<u64>().await });
    crate::support::eventually(async || Ok(crate::support::running(&client, "x").await? == 1)).await?;
    kill(Pid::from_raw(engine.child.id().try_into()?), Signal::SIGTERM)?;
    assert!(engine.child.wait()?.success());
    assert!(endless.await?.is_err());
    Ok(())
}

#[test]
fn it_dies_with_its_parent() -> Result<()> {
    let folder = tempdir()?;
    // The shell starts the engine in the background with /dev/null for input and stays.
    let mut shell = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" --library \"$1\" --path \"$2\" & wait")
        .arg(program()?)
        .arg(library()?)
        .arg(folder.path())
        .env("ENGINE_SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let address = read_ready(&mut BufReader::new(shell.stdout.take().context("no output")?))?;
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(20)))?;
    shell.kill()?;
    shell.wait()?;
    // The system closes the engine's connections when it has ended.
    assert!(matches!(connection.read(&mut [0]), Ok(0)) || TcpStream::connect(address).is_err());
    Ok(())
}

//! Starts engines for tests. Each belongs to the test's own thread, since an engine dies with its parent.

use anyhow::{Context, Result, bail, ensure};
use clickhouse::Client;
use std::{
    future::Future,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const SECRET: &str = "test secret";
const PATIENCE: Duration = Duration::from_secs(30);

/// A running engine; killed when the test ends.
pub(crate) struct Engine {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Engine {
    pub(crate) fn start(folder: &TempDir) -> Result<Self> {
        Self::start_with(folder, &[])
    }

    pub(crate) fn start_with(folder: &TempDir, arguments: &[&str]) -> Result<Self> {
        let mut child = command(folder.path(), arguments)?.spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
        let address = read_ready(&mut output)?;
        Ok(Self { child, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::default().with_url(self.url()).with_user("default").with_password(SECRET)
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The command that starts an engine, with pipes on all sides.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .arg("--library")
        .arg(library()?)
        .arg("--path")
        .arg(folder)
        .args(arguments)
        .env("ENGINE_SECRET", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

/// Reads the line `ready ADDRESS`.
pub(crate) fn read_ready(output: &mut impl BufRead) -> Result<SocketAddr> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    let address = line.trim().strip_prefix("ready ").with_context(|| format!("not ready: {line:?}"))?;
    Ok(address.parse()?)
}

/// The example program, which `cargo test` builds beside the tests.
pub(crate) fn program() -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let target = tests.parent().and_then(Path::parent).context("the test program stands in no folder")?;
    let program = target.join("examples/engine");
    ensure!(
        program.is_file(),
        "{} is missing; build it with `cargo build -p engine --example engine`",
        program.display()
    );
    Ok(program)
}

pub(crate) fn library() -> Result<PathBuf> {
    let path = match std::env::var_os("TOLLBOOK_LIBCHDB") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tollbook/engine/libchdb.so"),
    };
    ensure!(
        path.is_file(),
        "the engine library is missing at {}: these tests need it; unpack libchdb.so of {} there, or name \
         another place in TOLLBOOK_LIBCHDB",
        path.display(),
        engine::PACKAGE
    );
    Ok(path)
}

/// Asks until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = Result<bool>>>(condition: impl Fn() -> F) -> Result<()> {
    let start = Instant::now();
    while !condition().await? {
        ensure!(start.elapsed() < PATIENCE, "did not come true in {PATIENCE:?}");
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// How many statements run whose query id begins so, as a client asks any ClickHouse server.
pub(crate) async fn running(client: &Client, prefix: &str) -> Result<u64> {
    Ok(client
        .query("SELECT count() FROM system.processes WHERE startsWith(query_id, {prefix:String})")
        .param("prefix", prefix)
        .fetch_one()
        .await?)
}

/// The error of ClickHouse that a call must end in.
#[track_caller]
pub(crate) fn assert_code<T: std::fmt::Debug>(result: &clickhouse::error::Result<T>, code: u32) {
    let message = match result {
        Ok(value) => panic!("must fail with code {code}: {value:?}"),
        Err(error) => error.to_string(),
    };
    assert!(message.contains(&format!("Code: {code}.")), "not code {code}: {message}");
}

/// An answer, read from the wire.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request by hand and reads the whole answer.
pub(crate) fn http(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut connection = TcpStream::connect(address)?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    connection.write_all(request.as_bytes())?;
    connection.write_all(body)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("no answer: {answer:?}") };
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// The same, as the user with the right secret.
pub(crate) fn post(engine: &Engine, path: &str, body: &[u8]) -> Result<Answer> {
    http(engine.address, path, &[("X-ClickHouse-User", "default"), ("X-ClickHouse-Key", SECRET)], body)
}

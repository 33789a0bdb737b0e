//! The engine's process: this test program again, told by the environment to serve instead of to test. So the
//! tests need nothing that is built apart from them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

const FOLDER: &str = "TOLLBOOK_TEST_ENGINE_FOLDER";
const SECRET: &str = "test secret";

/// A running engine; killed when the test ends.
pub(crate) struct Engine {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Engine {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "engine_process::serves_where_the_environment_says_so", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let address = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("ready ").map(|(_, address)| address.trim().to_owned()))
            .context("the engine did not start")?;
        Ok(Self { child, url: format!("http://{address}"), _folder: folder })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn client(&self) -> clickhouse::Client {
        Self::client_of(&self.url)
    }

    pub(crate) fn client_of(url: &str) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(url)
            .with_user("default")
            .with_password(SECRET)
            .with_database("tollbook")
            .with_setting("async_insert", "0")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn library() -> Result<PathBuf> {
    let path = std::env::var_os("TOLLBOOK_LIBCHDB").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tollbook/engine/libchdb.so"),
        PathBuf::from,
    );
    ensure!(
        path.is_file(),
        "the engine library is missing at {}: unpack libchdb.so of {} there, or name another place in \
         TOLLBOOK_LIBCHDB",
        path.display(),
        engine::PACKAGE
    );
    Ok(path)
}

#[test]
fn serves_where_the_environment_says_so() -> Result<()> {
    let Some(folder) = std::env::var_os(FOLDER) else { return Ok(()) };
    let config = engine::Config {
        library: library()?,
        path: folder.into(),
        listen: "127.0.0.1:0".parse()?,
        secret: SECRET.to_owned().into(),
        memory_bytes_max: 1 << 30,
        selects_max: 4,
        inserts_max: 2,
    };
    engine::run(config, |address| {
        let mut output = std::io::stdout();
        let _ = writeln!(output, "\nready {address}").and_then(|()| output.flush());
    })?;
    Ok(())
}

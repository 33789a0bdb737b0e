//! The ClickHouse engine in a process of its own: `tollbook engine` on a folder and a port that outlive a kill.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clickhouse::Client;
use tempfile::TempDir;

use super::failures::Failures;
use super::process::{Process, Recipe, ensure_fetched};
use super::{folder, ports, wait};

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
const USER: &str = "default";

/// An engine that runs. Dropping it kills it and removes its data.
pub struct Engine {
    recipe: Recipe,
    process: Process,
    address: SocketAddr,
    secret: String,
    data: PathBuf,
    _folder: TempDir,
}

/// A database that no other test uses.
pub struct Database {
    /// Its name, for a command line.
    pub name: String,
    /// A client whose queries run in it.
    pub client: Client,
}

impl Engine {
    /// An engine of its own, for tests that stop, freeze or kill it. Fails with its log when it does not get ready.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// [`Self::start`] with further arguments of `tollbook engine`.
    pub fn start_with(arguments: &[&str]) -> Result<Self> {
        let folder = folder::fresh("engine")?;
        let data = folder.path().join("data");
        Self::start_in(&data, folder, arguments, |recipe| recipe)
    }

    /// [`Self::start`] with renames of files that can be made to fail.
    pub fn start_under(failures: &Failures) -> Result<Self> {
        let folder = folder::fresh("engine")?;
        let data = folder.path().join("data");
        Self::start_in(&data, folder, &[], |recipe| failures.over(recipe))
    }

    /// [`Self::start`] with the data in that folder, which may be on another disk.
    pub fn start_on(data: &Path) -> Result<Self> {
        Self::start_in(data, folder::fresh("engine")?, &[], |recipe| recipe)
    }

    fn start_in(
        data: &Path,
        folder: TempDir,
        arguments: &[&str],
        adapt: impl FnOnce(Recipe) -> Recipe,
    ) -> Result<Self> {
        let library = folder::fetched().join("engine/libchdb.so");
        ensure_fetched(&library, "engine")?;
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let secret = format!("secret-{}-{}", process::id(), address.port());
        let recipe = Recipe::tollbook("engine")?
            .argument("--library")
            .argument(library)
            .argument("--path")
            .argument(data)
            .arguments(["--listen", &address.to_string()])
            .arguments(arguments)
            .variable("TOLLBOOK_ENGINE_SECRET", &secret)
            .log_to(folder.path().join("engine.log"))
            .hold_stdin();
        let recipe = adapt(recipe);
        let process = recipe.start()?;
        let mut engine = Self { recipe, process, address, secret, data: data.to_owned(), _folder: folder };
        engine.wait_until_ready()?;
        Ok(engine)
    }

    /// One engine for all tests of this process that only need a database of their own. Started at the first call, gone
    /// with the process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Engine>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref().map_err(|error| anyhow!("the shared engine: {error:#}"))
    }

    /// Where it listens. The same after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The user of every client.
    #[must_use]
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The password of every client: the secret that each request must carry.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.secret
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// A client without a database.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_through(&self.url())
    }

    /// A client that goes to another address, such as a proxy's, with this engine's password.
    #[must_use]
    pub fn client_through(&self, url: &str) -> Client {
        Client::default().with_url(url).with_user(USER).with_password(&self.secret)
    }

    /// Creates a database with a name that no other test of this process has.
    pub async fn fresh_database(&self) -> Result<Database> {
        static NAMED: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NAMED.fetch_add(1, Ordering::Relaxed));
        let create =
            self.client().query("CREATE DATABASE ?").bind(clickhouse::sql::Identifier(&name)).execute().await;
        create.with_context(|| format!("could not create database {name}"))?;
        let client = self.client().with_database(&name);
        Ok(Database { name, client })
    }

    /// Kills the engine. Its data stays for [`Self::restart`].
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stops the engine in order. Its data stays for [`Self::restart`].
    pub fn stop(&mut self) -> Result<()> {
        self.process.terminate()?;
        self.process.wait(STOPPED_WITHIN)?;
        Ok(())
    }

    /// Starts the engine again on the same data and port, killing it first where it runs, and waits until it is ready.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.recipe.start()?;
        self.wait_until_ready()
    }

    /// Starts the engine again and kills it before it is ready, once its folder is its own.
    pub fn kill_at_start(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.recipe.start()?;
        let held = wait::until("the engine to begin", READY_WITHIN, || {
            Ok(std::fs::exists(&self.data)?.then_some(()))
        });
        held.and(self.process.kill())
    }

    /// Freezes the engine: connections stay open, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Lets a frozen engine go on.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Ready is when it says so, with the address it listens on.
    fn wait_until_ready(&mut self) -> Result<()> {
        self.process.wait_for_line(&format!("ready {}", self.address), READY_WITHIN)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked over a connection of its own: one that was open when the engine died would fail first.
    async fn count(engine: &Engine, database: &Database) -> u64 {
        let client = engine.client().with_database(&database.name);
        client.query("SELECT count() FROM kept").fetch_one().await.unwrap()
    }

    #[tokio::test]
    async fn a_killed_engine_comes_back_with_its_databases_and_rows() {
        let mut engine = Engine::start().unwrap();
        let database = engine.fresh_database().await.unwrap();
        let client = &database.client;
        client.query("CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n").execute().await.unwrap();
        client.query("INSERT INTO kept VALUES (7)").execute().await.unwrap();
        engine.kill().unwrap();
        engine.restart().unwrap();
        assert_eq!(count(&engine, &database).await, 1);
        engine.stop().unwrap();
        engine.restart().unwrap();
        assert_eq!(count(&engine, &database).await, 1);
    }

    #[tokio::test]
    async fn databases_of_two_tests_are_apart() {
        let engine = Engine::shared().unwrap();
        let (one, other) = (engine.fresh_database().await.unwrap(), engine.fresh_database().await.unwrap());
        one.client
            .query("CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
            .execute()
            .await
            .unwrap();
        assert!(other.client.query("SELECT count() FROM kept").fetch_one::<u64>().await.is_err());
    }
}

//! Runs the engine as a child process and starts it again, on the same port, whenever it dies.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};

use crate::engine::SECRET_VARIABLE;

/// How long the engine may take until it serves.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long the engine of a killed parent may hold the folder: it ends by itself, within its own drain.
const FOLDER_WAIT: &str = "10s";
/// How long it may take to end when asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// Pause before a dead engine is started again, doubled each time up to the maximum; back to the minimum after a
/// life of a minute.
const RESTART_MIN: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(10);

/// What the child is started with.
#[derive(Clone, Debug)]
pub(crate) struct EngineConfig {
    pub(crate) library: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) secret: SecretString,
    pub(crate) memory_mib: u64,
}

/// The running engine. Stops it when dropped.
pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    /// Process id of the child; 0 while none runs.
    process: Arc<AtomicU32>,
    watcher: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the engine and answers when it serves.
    ///
    /// # Errors
    /// Where it does not come up: the message has what the engine said.
    pub(crate) fn start(config: EngineConfig) -> anyhow::Result<Self> {
        let address = free_address()?;
        let stop = Arc::new(AtomicBool::new(false));
        let process = Arc::new(AtomicU32::new(0));
        let (first, outcome) = mpsc::channel();
        let watcher = {
            let (stop, process) = (stop.clone(), process.clone());
            // The child dies with the thread that spawned it, so one thread spawns them all and lasts.
            std::thread::Builder::new()
                .name("engine-watch".into())
                .spawn(move || watch(&config, address, &stop, &process, &first))?
        };
        let engine = Self { address, stop, process, watcher: Some(watcher) };
        outcome.recv().context("the engine's watcher ended")??;
        Ok(engine)
    }

    /// Process id of the engine; `None` while it is being started again.
    pub(crate) fn process(&self) -> Option<u32> {
        Some(self.process.load(Ordering::Relaxed)).filter(|process| *process != 0)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            // A panic of the watcher has been reported by its own thread.
            let _ = watcher.join();
        }
    }
}

fn watch(
    config: &EngineConfig,
    address: SocketAddr,
    stop: &AtomicBool,
    process: &AtomicU32,
    first: &mpsc::Sender<anyhow::Result<()>>,
) {
    let mut pause = RESTART_MIN;
    let mut started_before = false;
    while !stop.load(Ordering::Relaxed) {
        let since = Instant::now();
        match spawn(config, address) {
            Ok(mut child) => {
                process.store(child.id(), Ordering::Relaxed);
                if started_before {
                    tracing::info!("The engine serves again");
                } else {
                    started_before = true;
                    let _ = first.send(Ok(()));
                }
                if wait_or_stop(&mut child, stop) {
                    return;
                }
                process.store(0, Ordering::Relaxed);
                tracing::error!("The engine died; starting it again");
            }
            Err(error) if !started_before => {
                let _ = first.send(Err(error));
                return;
            }
            Err(error) => tracing::error!("The engine does not start: {error:#}"),
        }
        if since.elapsed() > Duration::from_secs(60) {
            pause = RESTART_MIN;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(RESTART_MAX);
    }
}

fn spawn(config: &EngineConfig, address: SocketAddr) -> anyhow::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("engine")
        .arg("--library")
        .arg(&config.library)
        .arg("--path")
        .arg(&config.path)
        .arg("--listen")
        .arg(address.to_string())
        .arg("--memory-mib")
        .arg(config.memory_mib.to_string())
        .args(["--wait-for-folder", FOLDER_WAIT])
        .env(SECRET_VARIABLE, config.secret.expose_secret())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the engine's process")?;
    let output = child.stdout.take().context("the engine has no standard output")?;
    let (lines, said) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    match said.recv_timeout(START_DEADLINE) {
        Ok(line) if line.starts_with("ready ") => Ok(child),
        Ok(line) => bail!("the engine said {line:?} instead of `ready`"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let status = child.wait()?;
            bail!("the engine ended at once ({status}); its reason is above")
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            child.kill()?;
            bail!("the engine does not serve after {START_DEADLINE:?}")
        }
    }
}

/// Waits until the child has died (`false`) or was stopped because it should (`true`).
fn wait_or_stop(child: &mut Child, stop: &AtomicBool) -> bool {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                tracing::error!(status = %status, "The engine's process ended");
                return stop.load(Ordering::Relaxed);
            }
            Ok(None) => {}
            Err(error) => tracing::error!("The engine's process cannot be watched: {error}"),
        }
        if stop.load(Ordering::Relaxed) {
            // The end of its standard input tells the engine to flush and end.
            drop(child.stdin.take());
            let deadline = Instant::now() + STOP_DEADLINE;
            while Instant::now() < deadline {
                if let Ok(Some(_)) = child.try_wait() {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A loopback address that is free now and stays the engine's over its restarts.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("finding a free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}

//! Runs a program under test: starts it, watches its log, stops, continues and kills it.
//!
//! A child never outlives the test process, even one that is killed: it starts through `setpriv --pdeathsig KILL`. The
//! kernel takes the death of the starting *thread* for the parent's, so one thread that lasts starts every child.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{folder, wait};

/// How many of a process's last lines a failure shows.
const SHOWN_LINES_MAX: usize = 60;

/// What to run. It can be started any number of times, so a killed process is restarted from the same recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    log: Option<PathBuf>,
    holds_stdin: bool,
}

impl Recipe {
    /// Any program; `name` is what logs and failures call it.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            log: None,
            holds_stdin: false,
        }
    }

    /// `tollbook SUBCOMMAND`, the binary that cargo built for this profile. Fails when it is not built.
    pub fn tollbook(subcommand: &str) -> Result<Self> {
        Ok(Self::new(format!("tollbook {subcommand}"), tollbook_binary()?).argument(subcommand))
    }

    /// Adds one argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable of the child.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Also appends the child's output to this file, across restarts.
    #[must_use]
    pub fn log_to(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Keeps the child's standard input open as long as it runs, for a program that ends when its input does. Without this
    /// the input is empty.
    #[must_use]
    pub fn hold_stdin(mut self) -> Self {
        self.holds_stdin = true;
        self
    }

    /// Starts the program and returns at once. Fails when it cannot be started or its log cannot be written.
    pub fn start(&self) -> Result<Process> {
        let log = Arc::new(Log::open(self.log.as_deref())?);
        let mut child =
            spawn(self.command()).with_context(|| format!("could not start {}", self.program.display()))?;
        follow(child.stdout.take(), &log);
        follow(child.stderr.take(), &log);
        Ok(Process { name: self.name.clone(), child, log })
    }

    /// Runs the program to its end. Fails when it is still running after `within`; a failure status is no error here.
    pub fn run(&self, within: Duration) -> Result<Finished> {
        let mut child =
            spawn(self.command()).with_context(|| format!("could not start {}", self.program.display()))?;
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        let ended = wait::until(&format!("the end of {}", self.name), within, || Ok(child.try_wait()?));
        if ended.is_err() {
            child.kill()?;
            child.wait()?;
        }
        let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().unwrap_or_default());
        let status = ended.with_context(|| format!("stdout:\n{stdout}\nstderr:\n{stderr}"))?;
        Ok(Finished { status, stdout, stderr })
    }

    /// Variables of the person who runs the tests do not reach the product.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.arguments);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TOLLBOOK_")) {
            command.env_remove(name);
        }
        let stdin = if self.holds_stdin { Stdio::piped() } else { Stdio::null() };
        command.envs(&self.variables).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// What a program that ran to its end left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// All of its standard error, likewise.
    pub stderr: String,
}

impl Finished {
    /// Standard output of a program that succeeded; an error with both outputs of one that did not.
    pub fn success(self) -> Result<String> {
        ensure!(
            self.status.success(),
            "ended with {}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }
}

/// A running program. Dropping it kills it, and shows the end of its log where the test is failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
}

impl Process {
    /// The system's id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills its children, such as the engine of `tollbook up`, and not itself. Answers how many there were.
    pub fn kill_children(&self) -> Result<usize> {
        let mut killed = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id()))?.flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)) {
                kill_process(child, Signal::KILL).context("could not kill a child")?;
                killed += 1;
            }
        }
        Ok(killed)
    }

    /// Everything it has written so far, both outputs in the order in which they came.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lines().join("\n")
    }

    /// True until it has ended.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it with SIGKILL and waits until it is gone. Nothing to do where it has ended.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("could not kill {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, with SIGTERM.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Freezes it with SIGSTOP: it does nothing, its connections stay open.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on, with SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for its end. Fails with the end of its log when it is still running after `within`.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let Self { name, child, log } = self;
        wait::until(&format!("the end of {name}"), within, || Ok(child.try_wait()?))
            .with_context(|| log.end())
    }

    /// [`Self::wait`] for a process that may be frozen, or freeze itself on the way: it is let go on each time.
    pub fn wait_awake(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait::until(&what, within, || {
            let _ended = self.resume();
            Ok(self.child.try_wait()?)
        })
        .with_context(|| self.log.end())
    }

    /// The first line with `needle` in it, waited for. Fails with the end of the log when the process ends without it or
    /// `within` has passed.
    pub fn wait_for_line(&mut self, needle: &str, within: Duration) -> Result<String> {
        self.wait_for_nth_line(needle, 1, within)
    }

    /// The `nth` line (from 1) with `needle` in it, otherwise as [`Self::wait_for_line`].
    pub fn wait_for_nth_line(&mut self, needle: &str, nth: usize, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        loop {
            // Asked before the look at the log: what it wrote last still counts.
            let has_ended = !self.is_running()?;
            if let Some(line) = self.log.find(needle, nth, deadline, has_ended) {
                return Ok(line);
            }
            if has_ended || Instant::now() >= deadline {
                let how = if has_ended { "it ended" } else { "waited in vain" };
                bail!("{}: {how}, no line with {needle:?} within {within:?}\n{}", self.name, self.log.end());
            }
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("not a process id")?;
        kill_process(id, signal).with_context(|| format!("could not signal {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_ended = self.kill();
        if thread::panicking() {
            // Through `print!`, so that cargo shows it with the failing test alone.
            print_captured(&format!("--- {}: {}", self.name, self.log.end()));
        }
    }
}

#[expect(clippy::print_stdout, reason = "the test harness captures it and shows it with the failure")]
fn print_captured(text: &str) {
    println!("{text}");
}

/// Starts a child from the one thread that lasts as long as this process.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, incoming) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in incoming {
                let _asker_is_gone = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = channel();
    let gone = || io::Error::other("the thread that starts children is gone");
    lock(starter).send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// The lines of both outputs, in memory and in a file.
#[derive(Debug)]
struct Log {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
    file: Option<Mutex<File>>,
}

impl Log {
    fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.with_context(|| format!("could not open the log {}", path.display()))
        };
        let file = path.map(open).transpose()?.map(Mutex::new);
        Ok(Self { lines: Mutex::default(), changed: Condvar::new(), file })
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.lines)
    }

    fn push(&self, line: String) {
        if let Some(file) = &self.file {
            let _kept_in_memory = writeln!(lock(file), "{line}");
        }
        self.lines().push(line);
        self.changed.notify_all();
    }

    /// Looks for the line, at least once, and for a short while unless the process `has_ended`: then its last lines are
    /// on their way, or never come.
    fn find(&self, needle: &str, nth: usize, deadline: Instant, has_ended: bool) -> Option<String> {
        const LOOK_FOR: Duration = Duration::from_millis(100);
        let until =
            if has_ended { Instant::now() + LOOK_FOR } else { deadline.min(Instant::now() + LOOK_FOR) };
        let mut lines = self.lines();
        loop {
            let found = lines.iter().filter(|line| line.contains(needle)).nth(nth.saturating_sub(1));
            if let Some(line) = found {
                return Some(line.clone());
            }
            let left = until.checked_duration_since(Instant::now())?;
            lines = self.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self) -> String {
        let lines = self.lines();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES_MAX)..];
        format!("the last {} of {} lines:\n{}", shown.len(), lines.len(), shown.join("\n"))
    }
}

fn follow(output: Option<impl Read + Send + 'static>, log: &Arc<Log>) {
    let Some(output) = output else { return };
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            log.push(String::from_utf8_lossy(&line).into_owned());
        }
    });
}

fn read_all(output: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut output) = output {
            let _what_came_before_the_error = output.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A test that failed while it held the lock has not broken what it guards.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `target/PROFILE/tollbook`, next to the `deps` folder that holds this test.
fn tollbook_binary() -> Result<PathBuf> {
    let this = env::current_exe().context("could not find the test's own path")?;
    let profile = this.parent().and_then(Path::parent).context("the test is not in cargo's target folder")?;
    let binary = profile.join("tollbook");
    ensure!(binary.exists(), "{} is not there: run `cargo build -p cli` first", binary.display());
    Ok(binary)
}

/// Fails with the remedy where `deploy/setup/run.sh PART` has not put `path` there.
pub(super) fn ensure_fetched(path: &Path, part: &str) -> Result<()> {
    ensure!(
        path.exists(),
        "{} is not there: run `deploy/setup/run.sh {part}` in {}",
        path.display(),
        folder::repository().display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Recipe {
        Recipe::new("script", "sh").arguments(["-c", script])
    }

    #[test]
    fn a_line_is_waited_for_and_the_log_holds_both_outputs() {
        let mut process = shell("echo ready 1; echo oops >&2; exec sleep 60").start().unwrap();
        assert_eq!(process.wait_for_line("ready", SOON).unwrap(), "ready 1");
        process.wait_for_line("oops", SOON).unwrap();
        assert!(process.is_running().unwrap());
    }

    #[test]
    fn a_process_that_ends_without_the_line_fails_at_once_and_shows_its_log() {
        let mut process = shell("echo cannot bind; exit 3").start().unwrap();
        let error = process.wait_for_line("ready", Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.contains("it ended") && error.contains("cannot bind"), "{error}");
        assert_eq!(process.wait(SOON).unwrap().code(), Some(3));
    }

    #[test]
    fn a_paused_process_does_nothing_until_it_is_resumed() {
        let mut process =
            shell("trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
                .start()
                .unwrap();
        process.wait_for_line("ready", SOON).unwrap();
        process.pause().unwrap();
        process.terminate().unwrap();
        assert!(process.wait(Duration::from_millis(200)).is_err());
        process.resume().unwrap();
        process.wait_for_line("stopping", SOON).unwrap();
        assert!(process.wait(SOON).unwrap().success());
    }

    #[test]
    fn a_process_started_by_a_thread_that_ended_lives_on() {
        let starter = thread::spawn(|| shell("sleep 0.3; echo alive; exec sleep 60").start().unwrap());
        let mut process = starter.join().unwrap();
        process.wait_for_line("alive", SOON).unwrap();
    }

    #[test]
    fn standard_input_is_empty_unless_it_is_held() {
        let script = "read -r line || echo ended";
        assert_eq!(shell(script).run(SOON).unwrap().success().unwrap(), "ended\n");
        let mut process = shell(script).hold_stdin().start().unwrap();
        assert!(process.wait(Duration::from_millis(200)).is_err());
    }

    #[test]
    fn a_program_that_runs_too_long_is_killed_and_what_it_wrote_is_shown() {
        let error = shell("echo half; exec sleep 60").run(Duration::from_millis(300)).unwrap_err();
        assert!(format!("{error:#}").contains("half"), "{error:#}");
    }

    #[test]
    fn a_finished_program_gives_status_and_both_outputs() {
        let finished = shell("echo out; echo err >&2; exit 2").run(SOON).unwrap();
        assert_eq!(
            (finished.status.code(), &*finished.stdout, &*finished.stderr),
            (Some(2), "out\n", "err\n")
        );
        assert!(finished.success().unwrap_err().to_string().contains("err"));
    }
}

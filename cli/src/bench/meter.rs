//! Time, CPU time and peak memory between two moments, of this process and of the engine's.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};

/// Linux tells the CPU time of another process in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// What a stage took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) events: u32,
    pub(super) wall: Duration,
    /// CPU time of this process, user and system.
    pub(super) worker: Duration,
    /// CPU time of the engine, user and system.
    pub(super) engine: Duration,
    pub(super) worker_peak_mib: u64,
    pub(super) engine_peak_mib: u64,
}

impl Cost {
    /// All CPU time for one event, in microseconds.
    pub(super) fn cpu_us(&self) -> f64 {
        micros(self.worker + self.engine, self.events)
    }

    pub(super) fn worker_us(&self) -> f64 {
        micros(self.worker, self.events)
    }

    pub(super) fn engine_us(&self) -> f64 {
        micros(self.engine, self.events)
    }

    pub(super) fn events_per_second(&self) -> f64 {
        f64::from(self.events) / self.wall.as_secs_f64().max(1e-9)
    }
}

impl AddAssign<Lap> for Cost {
    fn add_assign(&mut self, lap: Lap) {
        self.wall += lap.wall;
        self.worker += lap.worker;
        self.engine += lap.engine;
    }
}

fn micros(time: Duration, events: u32) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(events.max(1))
}

/// Reads the clocks of both processes.
#[derive(Debug)]
pub(super) struct Meter {
    engine: u32,
}

/// A moment at which a lap begins.
pub(super) struct Moment {
    at: Instant,
    worker: Duration,
    engine: Duration,
}

impl Moment {
    /// The same moment with a later beginning of the clock; CPU time counts from the moment itself.
    pub(super) fn from(self, at: Option<Instant>) -> Self {
        Self { at: at.unwrap_or(self.at), ..self }
    }
}

/// What passed since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lap {
    wall: Duration,
    worker: Duration,
    engine: Duration,
}

impl Meter {
    /// Measures this process and the engine's.
    ///
    /// # Errors
    /// Where the system does not tell the CPU time of the engine.
    pub(super) fn new(engine: u32) -> anyhow::Result<Self> {
        let meter = Self { engine };
        meter.engine_cpu()?;
        Ok(meter)
    }

    /// Begins a stage: the peaks of memory count from now, where the system lets them be reset.
    pub(super) fn begin(&self) {
        for process in self.processes() {
            // Without the right to reset it, the peak is the highest so far: a bound from above.
            let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
        }
    }

    /// Begins a lap.
    ///
    /// # Errors
    /// Where the engine has died.
    pub(super) fn start(&self) -> anyhow::Result<Moment> {
        let engine = self.engine_cpu()?;
        Ok(Moment { at: Instant::now(), worker: own_cpu(), engine })
    }

    /// What passed since the moment.
    ///
    /// # Errors
    /// Where the engine has died.
    pub(super) fn lap(&self, moment: &Moment) -> anyhow::Result<Lap> {
        let (wall, worker) = (moment.at.elapsed(), own_cpu().saturating_sub(moment.worker));
        Ok(Lap { wall, worker, engine: self.engine_cpu()?.saturating_sub(moment.engine) })
    }

    /// Ends a stage of that many events: notes the peaks.
    ///
    /// # Errors
    /// Where the system does not tell them.
    pub(super) fn end(&self, events: u32, cost: Cost) -> anyhow::Result<Cost> {
        let [worker, engine] = self.processes();
        Ok(Cost { events, worker_peak_mib: peak_mib(worker)?, engine_peak_mib: peak_mib(engine)?, ..cost })
    }

    fn processes(&self) -> [u32; 2] {
        [std::process::id(), self.engine]
    }

    fn engine_cpu(&self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.engine);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("reading {path}: the engine has died"))?;
        ticks(&text).map(|ticks| TICK * ticks).with_context(|| format!("{path} is not as expected"))
    }
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// User and system time; the name before them, in parentheses, may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

fn peak_mib(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.with_context(|| format!("{path} has no VmHWM"))? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 9 1 2";
        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn this_process_has_a_peak() {
        assert!(peak_mib(std::process::id()).unwrap() > 0);
    }
}

//! The figures: as a table, as JSON, and against the floors.

use std::fmt::Write as _;
use std::io::Write as _;

use ingest::metrics::Metrics;
use serde_json::{Map, Value, json};

use super::meter::Cost;
use super::traffic::Sent;
use super::{Encoding, Options};

/// A finished measurement.
pub(super) struct Report {
    conditions: Conditions,
    stages: Vec<(&'static str, Cost)>,
    /// Seconds of the worker's threads in each stage of the whole path.
    threads: Vec<(&'static str, f64)>,
}

/// What was measured, on what.
struct Conditions {
    events: u32,
    bytes_per_event: u64,
    encoding: &'static str,
    log: &'static str,
    partitions: u32,
    seed: u64,
    cores: usize,
    load: String,
}

/// A figure, and what it must not fall below or exceed.
struct Floor {
    name: &'static str,
    value: f64,
    bound: Bound,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    pub(super) fn new(options: &Options, sent: &Sent) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let conditions = Conditions {
            events: sent.count,
            bytes_per_event: sent.bytes / u64::from(sent.count.max(1)),
            encoding: match options.encoding {
                Encoding::Json => "json",
                Encoding::Avro => "avro",
            },
            log: if options.kafka.kafka.is_some() { "kafka" } else { "embedded" },
            partitions: options.partitions,
            seed: options.seed,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        };
        Self { conditions, stages: Vec::new(), threads: Vec::new() }
    }

    pub(super) fn add(&mut self, stage: &'static str, cost: Cost) {
        self.stages.push((stage, cost));
    }

    /// Notes where the worker's threads spent the whole path.
    pub(super) fn stages(&mut self, metrics: &Metrics) {
        for stage in ["build", "announce", "post"] {
            let seconds = metrics.stage_seconds.with_label_values(&[stage]).get_sample_sum();
            self.threads.push((stage, seconds));
        }
    }

    /// Writes the table to standard output.
    ///
    /// # Errors
    /// Where that is closed.
    pub(super) fn print(&self) -> std::io::Result<()> {
        std::io::stdout().write_all(self.text().as_bytes())
    }

    fn text(&self) -> String {
        let Conditions { events, bytes_per_event, encoding, log, partitions, seed, cores, load } =
            &self.conditions;
        let mut text = format!(
            "{events} events of {bytes_per_event} bytes ({encoding}, {log} log, {partitions} partition(s), seed {seed}); \
             {cores} cores, load {load} at the start; merges stopped throughout\n\n\
             {:<12} {:>10} {:>9} {:>9} {:>9} {:>11} {:>11}\n",
            "stage", "events/s", "CPU µs", "worker", "engine", "worker MiB", "engine MiB"
        );
        for (stage, cost) in &self.stages {
            let _ = writeln!(
                text,
                "{stage:<12} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {:>11} {:>11}",
                cost.events_per_second(),
                cost.cpu_us(),
                cost.worker_us(),
                cost.engine_us(),
                cost.worker_peak_mib,
                cost.engine_peak_mib,
            );
        }
        text.push('\n');
        for floor in self.floors() {
            let _ = writeln!(text, "{}", floor.sentence());
        }
        if !self.missed().is_empty() {
            let _ = write!(text, "\nThe whole path took {:.1} s;", self.stage("path").wall.as_secs_f64());
            for (stage, seconds) in &self.threads {
                let _ = write!(text, " {stage} {seconds:.1} s,");
            }
            text.push_str(" beside each other\n");
        }
        text
    }

    /// The figures as JSON.
    pub(super) fn json(&self) -> Value {
        let Conditions { events, bytes_per_event, encoding, log, partitions, seed, cores, load } =
            &self.conditions;
        let mut all = Map::new();
        all.insert(
            "conditions".into(),
            json!({
                "events": events, "bytes_per_event": bytes_per_event, "encoding": encoding, "log": log,
                "partitions": partitions, "seed": seed, "cores": cores, "load": load,
            }),
        );
        for (stage, cost) in &self.stages {
            all.insert(
                (*stage).to_owned(),
                json!({
                    "events_per_s": cost.events_per_second(),
                    "cpu_us_per_event": cost.cpu_us(),
                    "cpu_us_per_event_worker": cost.worker_us(),
                    "cpu_us_per_event_engine": cost.engine_us(),
                    "rss_mib": cost.worker_peak_mib,
                    "rss_mib_engine": cost.engine_peak_mib,
                    "seconds": cost.wall.as_secs_f64(),
                }),
            );
        }
        let floors = self.floors();
        all.insert(
            "ratios".into(),
            floors.iter().map(|floor| (floor.name.to_owned(), json!(floor.value))).collect(),
        );
        all.insert(
            "path_threads_s".into(),
            self.threads.iter().map(|(name, s)| ((*name).to_owned(), json!(s))).collect(),
        );
        all.insert("missed".into(), self.missed().into());
        Value::Object(all)
    }

    /// The floors that are missed, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        self.floors().iter().filter(|floor| !floor.is_met()).map(Floor::sentence).collect()
    }

    fn floors(&self) -> Vec<Floor> {
        let [consume, decode, build, insert, unprotected, path, plain] =
            ["consume", "decode", "build", "insert", "unprotected", "path", "plain"]
                .map(|name| self.stage(name));
        let speed = Cost::events_per_second;
        vec![
            Floor {
                name: "build_to_decode_cpu",
                value: build.cpu_us() / decode.cpu_us(),
                bound: Bound::AtMost(2.0),
                unit: "",
            },
            Floor {
                name: "path_to_insert_speed",
                value: speed(&path) / speed(&insert),
                bound: Bound::AtLeast(0.3),
                unit: "",
            },
            Floor {
                name: "path_to_parts_cpu",
                value: path.cpu_us() / (consume.cpu_us() + decode.cpu_us() + insert.cpu_us()),
                bound: Bound::AtMost(2.0),
                unit: "",
            },
            Floor {
                name: "path_to_unprotected_cpu",
                value: path.cpu_us() / unprotected.cpu_us(),
                bound: Bound::AtMost(1.1),
                unit: "",
            },
            Floor {
                name: "path_to_plain_speed",
                value: speed(&path) / speed(&plain),
                bound: Bound::AtLeast(1.5),
                unit: "",
            },
            Floor {
                name: "path_worker_memory",
                value: u32::try_from(path.worker_peak_mib).map_or(f64::INFINITY, f64::from),
                bound: Bound::AtMost(1024.0),
                unit: " MiB",
            },
        ]
    }

    fn stage(&self, name: &str) -> Cost {
        self.stages.iter().find(|(stage, _)| *stage == name).map(|(_, cost)| *cost).unwrap_or_default()
    }
}

impl Floor {
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::AtMost(bound) => self.value <= bound,
        }
    }

    fn sentence(&self) -> String {
        let Self { name, value, unit, .. } = self;
        let verdict = if self.is_met() { "" } else { ", MISSED" };
        let (wanted, bound) = match self.bound {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::AtMost(bound) => ("at most", bound),
        };
        format!("{name} {value:.2}{unit} ({wanted} {bound}{unit}{verdict})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_met_at_its_bound_and_missed_beyond() {
        let floor = |value, bound| Floor { name: "x", value, bound, unit: "" };
        assert!(floor(2.0, Bound::AtMost(2.0)).is_met());
        assert!(!floor(2.1, Bound::AtMost(2.0)).is_met());
        assert!(floor(0.3, Bound::AtLeast(0.3)).is_met());
        assert_eq!(floor(0.25, Bound::AtLeast(0.3)).sentence(), "x 0.25 (at least 0.3, MISSED)");
    }
}

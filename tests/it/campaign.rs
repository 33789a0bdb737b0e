//! A random campaign over real processes: three workers, four partitions, a broker, an engine behind a proxy. Traffic
//! with repeats, conflicts and junk flows all the while; what breaks, and when, is drawn from a seed. At the end the
//! ledger must hold what the traffic's own arithmetic says, to the last digit.
//!
//! `make faults N=300 SEED=1` runs a long one; as a test it is short. `PROTOCOL` is how the group shares its partitions:
//! `range` (the default), `cooperative`, or `consumer`, the protocol in which the broker does it.

#![expect(clippy::print_stdout, reason = "a long run shows what it is at")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger::event::Millis;
use schemas::command::{Command, PublishPrices};
use schemas::log::COMMANDS_TOPIC;
use tests::broker::Broker;
use tests::engine::Engine;
use tests::process::{Process, Recipe};
use tests::proxy::Action;
use traffic::{Config, Traffic, Truth};

use crate::moments::{Moments, fresh_seed, pass};
use crate::world::{FAULTS, PATIENCE, TOPIC, World, no_traffic, producer, record_of, send};

/// Faults of the run that is part of the tests.
const FAULTS_DEFAULT: u64 = 20;
/// After so many faults the ledger is compared with the truth, so that a seed fails near its fault.
const FAULTS_PER_CHECK: u64 = 50;
const WORKERS: usize = 3;
const PARTITIONS: u16 = 4;
/// Short, so that a fault takes a second or two, and long enough for a busy machine.
const LEASE: &str = "2s";
const SESSION_MS: &str = "3000";
const HEARTBEAT_MS: &str = "500";
/// Longer than session and lease: another worker takes over meanwhile.
const FREEZE_MIN: Duration = Duration::from_millis(3_500);
const FREEZE_MAX: Duration = Duration::from_millis(5_500);
const EVENTS_PER_PIECE: u64 = 40;
const PIECE_EVERY: Duration = Duration::from_millis(150);

/// What can break, and how often of a hundred faults.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillWorker,
    KillWorkerAtPoint,
    StopWorkerAtPoint,
    FreezeWorker,
    TerminateWorker,
    KillEngine,
    FreezeEngine,
    KillBroker,
    FreezeBroker,
    BreakRequests,
    LateRequest,
}

const SHARES: &[(Fault, u64)] = &[
    (Fault::KillWorker, 20),
    (Fault::KillWorkerAtPoint, 22),
    (Fault::StopWorkerAtPoint, 6),
    (Fault::FreezeWorker, 8),
    (Fault::TerminateWorker, 4),
    (Fault::KillEngine, 8),
    (Fault::FreezeEngine, 4),
    (Fault::KillBroker, 2),
    (Fault::FreezeBroker, 4),
    (Fault::BreakRequests, 14),
    (Fault::LateRequest, 8),
];

/// The product's fail points, by what a worker does there.
const POINTS: &[&str] = &[
    "post.begun",
    "post.announced",
    "commit.checked",
    "post.insert.quarantine",
    "post.insert.entries",
    "post.insert.batches",
    "post.closed",
    "recover.open",
    "recover.waited",
    "recover.read",
    "recover.announced",
    "recover.settled",
    "recover.read_back",
    "recover.insert.quarantine",
    "recover.insert.entries",
    "recover.insert.batches",
    "recover.closed",
];
const COMMAND_POINTS: &[&str] = &[
    "post.begun",
    "post.announced",
    "post.insert.model_rows",
    "post.insert.commands",
    "post.insert.batches",
];

/// Parts of the requests that a worker sends to the store.
const REQUESTS: &[&str] = &[
    "INSERT INTO entries",
    "INSERT INTO quarantine",
    "INSERT INTO batches",
    "INSERT INTO commands",
    "INSERT INTO progress",
    "The rows that a table holds of a range of offsets",
    "Inserts of one partition that still run",
    "",
];

/// One of the workers, and whether it is meant to end or freeze by itself.
struct Worker {
    process: Process,
    is_armed: bool,
    started: u64,
}

struct Campaign {
    world: World,
    options: Vec<String>,
    moments: Moments,
    workers: Vec<Worker>,
    started: u64,
    commands: u64,
}

#[test]
fn whatever_breaks_at_whatever_moment_nothing_is_lost_and_nothing_is_doubled() {
    let faults = number_of("N").unwrap_or(FAULTS_DEFAULT);
    let seed = number_of("SEED").unwrap_or_else(fresh_seed);
    let since = Instant::now();
    let mut campaign = Campaign::start(seed);
    let stream = Stream::start(campaign.world.broker.bootstrap(), seed);
    let mut failed = None;
    for number in 1..=faults {
        let fault = campaign.draw();
        println!("{:>5.1} s  fault {number} of {faults}: {fault:?}", since.elapsed().as_secs_f32());
        campaign.suffer(fault);
        campaign.tend();
        if number % FAULTS_PER_CHECK == 0 || number == faults {
            let truth = stream.pause();
            failed = campaign.check(&truth).err();
            if failed.is_some() {
                break;
            }
            stream.go_on();
        }
    }
    let truth = stream.pause();
    let (lost, doubled) = campaign.world.lost_and_doubled(&truth);
    println!(
        "lost={lost} doubled={doubled} faults={faults} seed={seed} seconds={} records={}",
        since.elapsed().as_secs(),
        truth.received
    );
    if let Some(trouble) = failed {
        for worker in &campaign.workers {
            println!("--- worker {}\n{}", worker.started, worker.process.log());
        }
        panic!("seed {seed}: {trouble}");
    }
    campaign.world.assert_holds(&truth);
    assert_eq!((lost, doubled), (0, 0));
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// Arguments of the workers.
fn options() -> Vec<String> {
    let session =
        [format!("session.timeout.ms={SESSION_MS}"), format!("heartbeat.interval.ms={HEARTBEAT_MS}")];
    let protocol = std::env::var("PROTOCOL").unwrap_or_default();
    let mut options = match protocol.as_str() {
        "" | "range" => session.to_vec(),
        "cooperative" => {
            [&session[..], &["partition.assignment.strategy=cooperative-sticky".to_owned()]].concat()
        }
        "consumer" => vec!["group.protocol=consumer".to_owned()],
        other => panic!("PROTOCOL={other}: write range, cooperative or consumer"),
    };
    options.push("reconnect.backoff.max.ms=500".to_owned());
    options.into_iter().flat_map(|option| ["--kafka-option".to_owned(), option]).collect()
}

impl Campaign {
    fn start(seed: u64) -> Self {
        let broker = Broker::start_with(&[
            ("group.consumer.session.timeout.ms", SESSION_MS),
            ("group.consumer.heartbeat.interval.ms", HEARTBEAT_MS),
        ]);
        let world = World::start_on(PARTITIONS, broker.unwrap(), Engine::start().unwrap());
        let (moments, workers) = (Moments::from_seed(seed), Vec::new());
        let mut campaign = Self { world, options: options(), moments, workers, started: 0, commands: 0 };
        for _ in 0..WORKERS {
            let worker = campaign.worker(None);
            campaign.workers.push(worker);
        }
        campaign.world.wait_for_prices();
        campaign
    }

    fn worker(&mut self, faults: Option<String>) -> Worker {
        self.started += 1;
        let mut recipe: Recipe = self.world.recipe(LEASE, &[]).arguments(&self.options);
        let is_armed = faults.is_some();
        if let Some(faults) = faults {
            println!("         worker {} under {faults}", self.started);
            recipe = recipe.variable(FAULTS, faults);
        }
        Worker { process: recipe.start().unwrap(), is_armed, started: self.started }
    }

    fn draw(&mut self) -> Fault {
        let mut drawn = self.moments.below(SHARES.iter().map(|(_, share)| share).sum());
        for (fault, share) in SHARES {
            if drawn < *share {
                return *fault;
            }
            drawn -= share;
        }
        unreachable!("the shares add up")
    }

    fn any_worker(&mut self) -> usize {
        usize::try_from(self.moments.below(u64::try_from(WORKERS).unwrap())).unwrap()
    }

    fn suffer(&mut self, fault: Fault) {
        let longest = Duration::from_secs(1);
        let (short, long) = (Duration::from_millis(300), Duration::from_secs(3));
        match fault {
            Fault::KillWorker => {
                let index = self.any_worker();
                self.workers[index].process.kill().unwrap();
                self.workers[index] = self.worker(None);
            }
            Fault::KillWorkerAtPoint => self.arm("abort"),
            Fault::StopWorkerAtPoint => {
                self.arm("stop");
                pass(self.moments.between(FREEZE_MIN, FREEZE_MAX));
                for worker in &self.workers {
                    // One that has ended meanwhile cannot go on, which `tend` sees.
                    let _ended = worker.process.resume();
                }
            }
            Fault::FreezeWorker => {
                let index = self.any_worker();
                let _ended = self.workers[index].process.pause();
                pass(self.moments.between(FREEZE_MIN, FREEZE_MAX));
                let _ended = self.workers[index].process.resume();
            }
            Fault::TerminateWorker => {
                let index = self.any_worker();
                let _ended = self.workers[index].process.terminate();
                // One that is to stop at a point may come there only now.
                self.workers[index].process.wait_awake(PATIENCE).unwrap();
                self.workers[index] = self.worker(None);
            }
            Fault::KillEngine => {
                self.world.engine.kill().unwrap();
                self.moments.pass(longest);
                self.world.engine.restart().unwrap();
            }
            Fault::FreezeEngine => {
                self.world.engine.pause().unwrap();
                pass(self.moments.between(short, long));
                self.world.engine.resume().unwrap();
            }
            Fault::KillBroker => {
                self.world.broker.kill().unwrap();
                self.moments.pass(longest);
                self.world.broker.restart().unwrap();
            }
            Fault::FreezeBroker => {
                self.world.broker.pause().unwrap();
                pass(self.moments.between(short, long));
                self.world.broker.resume().unwrap();
            }
            Fault::BreakRequests => {
                let actions = [
                    Action::LoseAnswer,
                    Action::Refuse,
                    Action::Abandon,
                    Action::CutInHalf,
                    Action::Delay(longest * 2),
                ];
                let (request, action) = (*self.moments.pick(REQUESTS), *self.moments.pick(&actions));
                println!("         {action:?} of {request:?}");
                let trap = self.world.proxy.always(request, action);
                self.moments.pass(longest);
                drop(trap);
            }
            Fault::LateRequest => {
                let request = *self.moments.pick(&REQUESTS[..4]);
                let trap = self.world.proxy.once(request, Action::Hold);
                if trap.wait(longest * 2).is_ok() {
                    println!("         {request:?} comes late");
                    self.moments.pass(long);
                }
                trap.release();
                pass(short);
            }
        }
        if self.moments.below(5) == 0 {
            self.command();
        }
        self.moments.pass(longest);
    }

    /// One worker gives way to one that acts at a random point when it comes there.
    fn arm(&mut self, action: &str) {
        let (topic, points) =
            if self.moments.below(6) == 0 { (COMMANDS_TOPIC, COMMAND_POINTS) } else { (TOPIC, POINTS) };
        let point = *self.moments.pick(points);
        let time = if point.starts_with("recover") { 1 } else { 1 + self.moments.below(8) };
        let index = self.any_worker();
        self.workers[index].process.kill().unwrap();
        self.workers[index] = self.worker(Some(format!("{topic} {point} {time} {action}")));
    }

    /// A command that changes no price of the traffic.
    fn command(&mut self) {
        self.commands += 1;
        let row = format!(
            r#"{{"id":"unused-{0}@1","provider":"nobody","model":"unused-{0}","currency":"USD",
                "prices":[{{"unit":"input_uncached_tokens","amount":"1","per":"1000000"}}]}}"#,
            self.commands
        );
        let command = Command::PublishPrices(PublishPrices { rows: vec![row], based_on: None });
        let records = command.to_records(&format!("command-{}", self.commands), "test").unwrap();
        self.world.send(COMMANDS_TOPIC, records.into_iter());
    }

    /// Workers that ended as they were told are started again; any other end is a failure.
    fn tend(&mut self) {
        for index in 0..WORKERS {
            let worker = &mut self.workers[index];
            if worker.process.is_running().unwrap() {
                continue;
            }
            assert!(worker.is_armed, "worker {} ended by itself:\n{}", worker.started, worker.process.log());
            println!("         worker {} has ended at its point", worker.started);
            self.workers[index] = self.worker(None);
        }
    }

    /// Everything that was sent arrives, and adds up.
    fn check(&mut self, truth: &Truth) -> Result<(), String> {
        let mut deadline = Instant::now() + PATIENCE;
        let mut rows = 0;
        loop {
            // Points that are reached only now still act.
            for worker in &self.workers {
                let _ended = worker.process.resume();
            }
            self.tend();
            let received = self.world.received();
            let commands = self.world.outcomes_of_commands();
            if received >= truth.received && commands > self.commands {
                break;
            }
            // A busy machine may take its time, as long as it gets on.
            let rows_now = received + commands + self.world.rows();
            if rows_now > rows {
                (rows, deadline) = (rows_now, Instant::now() + PATIENCE);
            }
            if Instant::now() >= deadline {
                return Err(format!(
                    "{received} of {} records and {commands} of {} commands, and nothing more for {PATIENCE:?}",
                    truth.received,
                    self.commands + 1
                ));
            }
            pass(Duration::from_millis(100));
        }
        let (lost, doubled) = self.world.lost_and_doubled(truth);
        println!("         {} records: lost={lost} doubled={doubled}", truth.received);
        if (lost, doubled) != (0, 0) {
            return Err(format!("lost={lost} doubled={doubled}"));
        }
        assert_eq!(self.world.outcomes_of_commands(), self.commands + 1, "outcomes of commands");
        assert_eq!(
            self.world.number("SELECT count() FROM model_rows WHERE provider = 'nobody'"),
            self.commands,
            "published rows"
        );
        self.world.assert_holds(truth);
        Ok(())
    }
}

/// Traffic that flows on a thread of its own.
struct Stream {
    is_flowing: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    truth: Arc<Mutex<Truth>>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    fn start(brokers: &str, seed: u64) -> Self {
        let truth = Arc::new(Mutex::new(no_traffic()));
        let (is_flowing, is_over) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let producer = producer(brokers);
        let (flowing, over, sum) = (is_flowing.clone(), is_over.clone(), truth.clone());
        let thread = std::thread::spawn(move || {
            let mut events = Traffic::new(Config {
                seed,
                count: u64::MAX,
                // An event each half second, from ten minutes before the end of a month: some batches make two parts.
                start: Millis(1_793_490_600_000),
                spread: Duration::from_secs(u64::MAX / 2),
                duplicates_per_mille: 30,
                conflicts_per_mille: 10,
                rejects_per_mille: 30,
                tombstones: true,
                ..Config::default()
            });
            while !over.load(Ordering::Relaxed) {
                if flowing.load(Ordering::Relaxed) {
                    let mut truth = sum.lock().unwrap();
                    let piece = events.by_ref().take(usize::try_from(EVENTS_PER_PIECE).unwrap());
                    let records = piece.map(|event| {
                        truth.add(&event);
                        record_of(&event)
                    });
                    send(&producer, TOPIC, records);
                }
                pass(PIECE_EVERY);
            }
        });
        Self { is_flowing, is_over, truth, thread: Some(thread) }
    }

    /// Lets nothing more be sent; answers what was.
    fn pause(&self) -> Truth {
        self.is_flowing.store(false, Ordering::Relaxed);
        // A piece under way was begun before.
        pass(PIECE_EVERY * 2);
        self.truth.lock().unwrap().clone()
    }

    fn go_on(&self) {
        self.is_flowing.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

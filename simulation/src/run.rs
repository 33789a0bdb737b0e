//! Random runs. A run is a row of episodes: each begins with an empty ledger, has some faults, and ends when everything
//! is posted and nothing is on its way.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::check::{Kind, Violation};
use crate::shrink::{Finding, shrink};
use crate::step::{Enabled, Step};
use crate::way::Way;
use crate::world::{OFFSETS_MAX, Record, Scenario, Time, World};

/// Steps after the last fault within which the work has to end.
const CALM_STEPS_MAX: u32 = 10_000;
/// Steps after the last fault from which on nobody is slow, or goes first, any more.
const UNFAIR_STEPS_MAX: u32 = 500;
/// Steps after the last fault after which a violation of one kind is not sought any longer.
const USEFUL_STEPS_MAX: u32 = 120;
/// The shortest lease, in units of the model's time; a worker takes some dozens of steps to post a batch.
const LEASE_MIN: u64 = 6;

/// Who does things: the group and the store by themselves, each of four workers, what each has sent to the store, what
/// each has sent to the coordinator, and time.
const ACTORS: usize = 14;
/// One slow step in how many is taken when it is picked.
const SLOW_STEPS_TAKEN_EVERY: u64 = 16;
/// One step in how many changes the rank of who goes first.
const RANK_CHANGES_EVERY: u64 = 12;

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Steps that were taken.
    pub steps: u64,
    /// Episodes that were begun.
    pub episodes: u64,
    /// What did not hold; the run ends with it.
    pub finding: Option<Finding>,
}

/// Runs episodes, each from a seed of its own, `seed` and those that follow it, until that many steps were taken or
/// something did not hold: anything at all, or something of the one kind that is sought. Running once more from the
/// seed of a finding makes it again.
#[must_use]
pub fn run(way: Option<Way>, sought: Option<Kind>, seed: u64, steps_min: u64) -> Outcome {
    let mut outcome = Outcome { steps: 0, episodes: 0, finding: None };
    let mut enabled = Enabled::default();
    while outcome.steps < steps_min.max(1) && outcome.finding.is_none() {
        let seed = seed.wrapping_add(outcome.episodes);
        let mut random = Random::new(seed);
        let scenario = random.scenario(way, sought);
        let mut taken = Vec::new();
        let ended = random.episode(&scenario, &mut enabled, &mut taken);
        outcome.steps += u64::try_from(taken.len()).unwrap_or(u64::MAX);
        outcome.episodes += 1;
        outcome.finding = ended
            .err()
            .filter(|violation| scenario.seeks(violation))
            .map(|violation| shrink(&scenario, seed, taken, violation));
    }
    outcome
}

/// What decides which of the steps that can happen does.
pub(crate) struct Random {
    numbers: Pcg64Mcg,
    /// One step in how many is a fault.
    fault_every: u64,
    /// How often what is slow is passed over.
    patience: u32,
    /// A worker that is slow.
    slow_worker: Option<u8>,
    /// Who goes first, in every second episode.
    ranks: Option<[u64; ACTORS]>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self {
            numbers: Pcg64Mcg::seed_from_u64(seed),
            fault_every: 4,
            patience: 0,
            slow_worker: None,
            ranks: None,
        };
        random.fault_every = 4 << random.below(4);
        random.patience = 1 << random.below(6);
        random.slow_worker = u8::try_from(random.below(4)).ok();
        if random.below(2) == 0 {
            random.ranks = Some([0; ACTORS].map(|_| random.numbers.next_u64()));
        }
        random
    }

    /// One that favors nobody.
    pub(crate) fn fair(seed: u64) -> Self {
        let mut random = Self::new(seed);
        random.be_fair();
        random
    }

    /// A number below that one.
    fn below(&mut self, bound: u64) -> u64 {
        self.numbers.next_u64() % bound.max(1)
    }

    fn pick(&mut self, steps: &[Step]) -> Option<Step> {
        let count = u64::try_from(steps.len()).ok()?;
        steps.get(usize::try_from(self.below(count)).ok()?).copied()
    }

    fn time(&mut self, least: u64, more: u64) -> Time {
        Time::try_from(least + self.below(more)).unwrap_or(Time::MAX)
    }

    /// A world at random. What goes wrong in a way does so between two workers, so these are enough for it.
    fn scenario(&mut self, way: Option<Way>, sought: Option<Kind>) -> Scenario {
        let partitions = 1 + u64::from(way.is_none() && self.below(4) == 0);
        let lease = self.time(LEASE_MIN, 6);
        let is_embedded = way.is_none() && self.below(4) == 0;
        let workers = match way {
            None if is_embedded => 1,
            None => 1 + self.below(3),
            Some(_) => 2,
        };
        let leases = (0..workers)
            .map(|worker| match way {
                Some(Way::WaitByOwnLease) if worker == 0 => 3 * lease,
                _ => lease,
            })
            .collect();
        let records_max = if way.is_none() { u64::from(OFFSETS_MAX) } else { 4 };
        let logs = (0..partitions).map(|_| self.log(records_max)).collect();
        let few_or_many = 2 << self.below(3);
        let faults = self.time(1, if way.is_none() { few_or_many } else { 4 });
        Scenario { way, sought, is_embedded, logs, leases, faults, time_max: Time::MAX }
    }

    fn log(&mut self, offsets_max: u64) -> Vec<Record> {
        let offsets = 1 + self.below(offsets_max);
        (0..offsets)
            .map(|_| match self.below(16) {
                0 => Record::Hole,
                1 => Record::Bad,
                2 => Record::Unpostable,
                3 => Record::Duplicate,
                number => Record::Entry { month: u8::from(number % 2 == 0) },
            })
            .collect()
    }

    /// One episode; the steps that were taken are left in `taken`.
    fn episode(
        &mut self,
        scenario: &Scenario,
        enabled: &mut Enabled,
        taken: &mut Vec<Step>,
    ) -> Result<(), Violation> {
        let mut world = World::new(scenario);
        self.go_on(scenario, &mut world, enabled, taken)
    }

    /// From that state to the end. With no faults left it must come.
    pub(crate) fn go_on(
        &mut self,
        scenario: &Scenario,
        world: &mut World,
        enabled: &mut Enabled,
        taken: &mut Vec<Step>,
    ) -> Result<(), Violation> {
        let mut calm_steps = 0;
        while !world.is_done(scenario) {
            enabled.look(world, scenario);
            let wants_fault = !enabled.faults.is_empty() && self.below(self.fault_every) == 0;
            let picked = match wants_fault {
                true => self.pick(&enabled.faults),
                false => self.pick_ordinary(world, &enabled.ordinary),
            };
            let Some(step) = picked else { return Err(Violation::Stuck) };
            taken.push(step);
            if let Err(violation) = world.take(scenario, step, wants_fault)
                && (scenario.seeks(&violation) || !violation.is_passed_over())
            {
                return Err(violation);
            }
            calm_steps = if wants_fault { 0 } else { calm_steps + 1 };
            if calm_steps == UNFAIR_STEPS_MAX {
                self.be_fair();
            }
            let is_of_no_use = calm_steps > USEFUL_STEPS_MAX && !scenario.seeks(&Violation::Stuck);
            if calm_steps > CALM_STEPS_MAX || is_of_no_use {
                return Err(Violation::Stuck);
            }
        }
        Ok(())
    }

    /// From here on everything happens about as often as everything else, and little time passes.
    fn be_fair(&mut self) {
        self.ranks = None;
        self.slow_worker = None;
        self.patience = 2;
    }

    fn pick_ordinary(&mut self, world: &World, ordinary: &[Step]) -> Option<Step> {
        match self.ranks {
            Some(ranks) => self.pick_by_rank(ranks, ordinary),
            None => self.pick_patiently(world, ordinary),
        }
    }

    /// Everything that one actor can do comes before what one of a lower rank can do; now and then that rank changes. So
    /// one worker often does much while another, or what it has sent, does nothing.
    fn pick_by_rank(&mut self, ranks: [u64; ACTORS], ordinary: &[Step]) -> Option<Step> {
        let rank_of = |step: &Step| ranks[actor_of(*step)];
        let first = ordinary.iter().map(rank_of).max();
        if self.below(RANK_CHANGES_EVERY) == 0 {
            let rank = self.numbers.next_u64();
            let first_actor = self.ranks.iter_mut().flatten().find(|rank| Some(**rank) == first);
            first_actor.into_iter().for_each(|actor| *actor = rank);
        }
        let candidates: Vec<Step> =
            ordinary.iter().filter(|step| Some(rank_of(step)) == first).copied().collect();
        self.pick(&candidates)
    }

    /// What is slow is passed over some times, but not for ever.
    fn pick_patiently(&mut self, world: &World, ordinary: &[Step]) -> Option<Step> {
        let mut step = self.pick(ordinary)?;
        for _ in 0..self.patience {
            if !self.is_slow(world, step) || self.below(SLOW_STEPS_TAKEN_EVERY) == 0 {
                break;
            }
            step = self.pick(ordinary)?;
        }
        Some(step)
    }

    /// Time passes more slowly than a worker works. What nobody waits for any more is often late, a worker that was
    /// stopped stays so for long, and one that was taken for dead is slow to see it.
    fn is_slow(&mut self, world: &World, step: Step) -> bool {
        match step {
            Step::Tick => self.below(8) != 0,
            Step::Continue { .. } | Step::Notice { .. } => true,
            Step::Work { worker, .. } => Some(worker) == self.slow_worker,
            Step::Land(name) => world.commits.iter().any(|commit| {
                commit.worker == name.worker && commit.number == name.number && !commit.is_awaited
            }),
            Step::Check(name) | Step::Part { insert: name, .. } => world.inserts.iter().any(|insert| {
                insert.name() == name && (!insert.is_awaited || Some(insert.worker) == self.slow_worker)
            }),
            _ => false,
        }
    }
}

/// Who takes the step.
fn actor_of(step: Step) -> usize {
    match step {
        Step::Tick => 13,
        Step::Check(name) | Step::Begin(name) | Step::Part { insert: name, .. } => {
            5 + usize::from(name.worker % 4)
        }
        Step::Land(name) => 9 + usize::from(name.worker % 4),
        Step::Work { worker, .. }
        | Step::Choose { worker, .. }
        | Step::SendCommit { worker }
        | Step::Unanswered { worker }
        | Step::Join { worker }
        | Step::Notice { worker }
        | Step::Restart { worker }
        | Step::Continue { worker } => 1 + usize::from(worker % 4),
        _ => 0,
    }
}

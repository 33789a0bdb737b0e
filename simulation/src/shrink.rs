//! Cuts the steps that led to a violation down to those without which it does not happen.

use std::fmt;

use crate::check::Violation;
use crate::run::Random;
use crate::step::{Enabled, Step};
use crate::trace::describe;
use crate::world::{Scenario, World};

/// Traces up to this length are also tried without each two of their steps.
const PAIRS_STEPS_MAX: usize = 80;

/// Steps of a work that does not end that are shown.
const STUCK_STEPS_SHOWN: usize = 60;

/// A violation and the fewest steps that were found to lead to it.
#[derive(Debug)]
pub struct Finding {
    /// What did not hold.
    pub violation: Violation,
    /// The seed of the episode; `None` where all states were searched in order.
    pub seed: Option<u64>,
    /// What was there, then one line for each step.
    pub trace: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seed {
            Some(seed) => writeln!(formatter, "{} (seed {seed})", self.violation)?,
            None => writeln!(formatter, "{}", self.violation)?,
        }
        self.trace.iter().try_for_each(|line| writeln!(formatter, "  {line}"))
    }
}

pub(crate) fn shrink(scenario: &Scenario, seed: u64, steps: Vec<Step>, violation: Violation) -> Finding {
    let mut shrinking = Shrinking { scenario, seed, violation, enabled: Enabled::default() };
    let mut steps = shrinking.try_again(&steps).unwrap_or(steps);
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let shorter = shrinking.without_chunks(&steps, size);
        let has_shrunk = shorter.len() < steps.len();
        steps = shorter;
        if size > 1 || !has_shrunk {
            size /= 2;
        }
    }
    let mut steps = shrinking.without_pairs(steps);
    if violation == Violation::Stuck {
        let course = shrinking.fair_course(&steps);
        steps.extend(course.into_iter().take(STUCK_STEPS_SHOWN));
    }
    Finding::new(scenario, Some(seed), World::new(scenario), &steps, violation)
}

impl Finding {
    pub(crate) fn new(
        scenario: &Scenario,
        seed: Option<u64>,
        world: World,
        steps: &[Step],
        violation: Violation,
    ) -> Self {
        Self { violation, seed, trace: describe(scenario, world, steps, violation) }
    }
}

struct Shrinking<'a> {
    scenario: &'a Scenario,
    seed: u64,
    violation: Violation,
    enabled: Enabled,
}

impl Shrinking<'_> {
    /// Takes those of the steps that can happen; answers them where they still end in such a violation.
    fn try_again(&mut self, steps: &[Step]) -> Option<Vec<Step>> {
        let mut world = World::new(self.scenario);
        let mut taken = Vec::with_capacity(steps.len());
        for step in steps {
            self.enabled.look(&world, self.scenario);
            if !self.enabled.has(*step) {
                continue;
            }
            taken.push(*step);
            let is_fault = self.enabled.faults.contains(step);
            match world.take(self.scenario, *step, is_fault) {
                Err(violation) if violation.kind() == self.violation.kind() => return Some(taken),
                Err(violation) if !violation.is_passed_over() || self.scenario.sought.is_none() => {
                    return None;
                }
                Ok(()) | Err(_) => {}
            }
        }
        (self.violation == Violation::Stuck && self.never_ends(world)).then_some(taken)
    }

    /// Whether the work does not end although nothing more goes wrong.
    fn never_ends(&mut self, mut world: World) -> bool {
        world.faults_left = 0;
        let mut random = Random::fair(self.seed);
        let ended = random.go_on(self.scenario, &mut world, &mut self.enabled, &mut Vec::new());
        ended == Err(Violation::Stuck)
    }

    /// What happens after those steps where nothing more goes wrong.
    fn fair_course(&mut self, steps: &[Step]) -> Vec<Step> {
        let mut world = World::new(self.scenario);
        for step in steps {
            self.enabled.look(&world, self.scenario);
            let is_fault = self.enabled.faults.contains(step);
            // It was seen before where these steps lead.
            let _ = world.take(self.scenario, *step, is_fault);
        }
        world.faults_left = 0;
        let mut course = Vec::new();
        let _ = Random::fair(self.seed).go_on(self.scenario, &mut world, &mut self.enabled, &mut course);
        course
    }

    fn without_chunks(&mut self, steps: &[Step], size: usize) -> Vec<Step> {
        let mut steps = steps.to_vec();
        let mut end = steps.len();
        while end > 0 {
            let start = end.saturating_sub(size);
            let rest = [&steps[..start], &steps[end..]].concat();
            if let Some(taken) = self.try_again(&rest) {
                steps = taken;
            }
            end = start.min(steps.len());
        }
        steps
    }

    /// Some steps undo each other, and neither can be left out alone.
    fn without_pairs(&mut self, mut steps: Vec<Step>) -> Vec<Step> {
        if self.violation == Violation::Stuck || steps.len() > PAIRS_STEPS_MAX {
            return steps;
        }
        let mut first = 0;
        while first < steps.len() {
            let shorter = (first + 1..steps.len()).find_map(|second| {
                let rest = [&steps[..first], &steps[first + 1..second], &steps[second + 1..]].concat();
                self.try_again(&rest)
            });
            match shorter {
                Some(shorter) => {
                    steps = shorter;
                    first = 0;
                }
                None => first += 1,
            }
        }
        steps
    }
}

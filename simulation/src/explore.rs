//! All states of a small world, breadth first: nothing is left to chance, and a trace that is found is a shortest one.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::check::Kind;
use crate::shrink::Finding;
use crate::step::{Enabled, Step};
use crate::way::Way;
use crate::world::{Record, Scenario, World};

/// What became of a search.
#[derive(Debug)]
pub struct Explored {
    /// States that were reached.
    pub states: usize,
    /// Steps between them that were taken.
    pub steps: u64,
    /// Whether these are all states that there are.
    pub is_complete: bool,
    /// What did not hold; the search ends with it.
    pub finding: Option<Finding>,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Faults that happen at most.
    pub faults: u16,
    /// Where time ends; a lease is two long.
    pub time_max: u16,
    /// States after which the search is given up.
    pub states_max: usize,
}

/// How a state was reached: from which, by which step.
type Origin = (usize, Step);

/// Searches one partition with two records, of two months, and two workers, until there are no new states.
#[must_use]
pub fn explore(way: Option<Way>, sought: Option<Kind>, bounds: Bounds) -> Explored {
    let scenario = Scenario {
        way,
        sought,
        is_embedded: false,
        logs: vec![vec![Record::Entry { month: 0 }, Record::Entry { month: 1 }]],
        leases: if way == Some(Way::WaitByOwnLease) { vec![5, 2] } else { vec![2, 2] },
        faults: bounds.faults,
        time_max: bounds.time_max,
    };
    let mut search = Search { scenario, seen: HashSet::new(), origins: Vec::new(), steps: 0 };
    let mut states = vec![(usize::MAX, joined(&search.scenario))];
    let mut finding = None;
    while !states.is_empty() && finding.is_none() && search.seen.len() < bounds.states_max {
        match search.next_states(states) {
            Ok(next) => states = next,
            Err(found) => {
                finding = Some(*found);
                states = Vec::new();
            }
        }
    }
    let is_complete = states.is_empty() && finding.is_none();
    Explored { states: search.seen.len(), steps: search.steps, is_complete, finding }
}

/// Both workers are members, and the first has the partition: how they came there is of no interest.
fn joined(scenario: &Scenario) -> World {
    let mut world = World::new(scenario);
    world.join(0);
    world.join(1);
    world.assign(0, 0);
    world
}

struct Search {
    scenario: Scenario,
    seen: HashSet<u64>,
    origins: Vec<Origin>,
    steps: u64,
}

impl Search {
    /// All new states one step after those.
    fn next_states(&mut self, states: Vec<(usize, World)>) -> Result<Vec<(usize, World)>, Box<Finding>> {
        let mut enabled = Enabled::default();
        let mut next_states = Vec::new();
        for (index, world) in states {
            enabled.look(&world, &self.scenario);
            let ordinary = enabled.ordinary.iter().map(|step| (*step, false));
            for (step, is_fault) in ordinary.chain(enabled.faults.iter().map(|step| (*step, true))) {
                let mut next = world.clone();
                self.steps += 1;
                match next.take(&self.scenario, step, is_fault) {
                    Err(violation) if self.scenario.seeks(&violation) => {
                        let mut steps = self.steps_to(index);
                        steps.push(step);
                        let start = joined(&self.scenario);
                        return Err(Box::new(Finding::new(&self.scenario, None, start, &steps, violation)));
                    }
                    Err(violation) if !violation.is_passed_over() => continue,
                    Ok(()) | Err(_) => {}
                }
                if self.seen.insert(fingerprint(&next)) {
                    self.origins.push((index, step));
                    next_states.push((self.origins.len() - 1, next));
                }
            }
        }
        Ok(next_states)
    }

    fn steps_to(&self, index: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut index = index;
        while let Some((before, step)) = self.origins.get(index) {
            steps.push(*step);
            index = *before;
        }
        steps.reverse();
        steps
    }
}

/// Two states with one fingerprint among some millions are less likely than one in a million.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

//! Pseudo-random moments and choices from a seed that is printed, so that a run can be made again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The low bits of a linear congruential generator are poor, the high ones serve.
pub(crate) struct Moments(u64);

impl Moments {
    /// From a seed of the clock.
    pub(crate) fn new() -> Self {
        Self::from_seed(fresh_seed())
    }

    /// From that seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        eprintln!("seed of the moments: {seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(u64::try_from(choices.len()).unwrap());
        &choices[usize::try_from(index).unwrap()]
    }

    /// A time from `least` to `most`.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + Duration::from_micros(self.below(u64::try_from((most - least).as_micros()).unwrap() + 1))
    }

    /// Lets a random time up to `most` pass.
    pub(crate) fn pass(&mut self, most: Duration) {
        pass(self.between(Duration::ZERO, most));
    }
}

/// A seed that differs from run to run.
pub(crate) fn fresh_seed() -> u64 {
    u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
}

/// Lets that time pass. The moment itself is what is tested, so nothing is waited for.
pub(crate) fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

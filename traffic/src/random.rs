//! Random numbers that are the same on every machine and in every release: whole numbers only, from a generator
//! whose sequence is fixed by its definition.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// Entries of a table of shares.
const SHARES: u64 = 65_536;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(Pcg64Mcg);

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// Any number.
    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Sixteen random bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        ((u128::from(self.word()) << 64) | u128::from(self.word())).to_le_bytes()
    }

    /// A number from 0 up to, but not including, `end`; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.word()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// A number from `from` up to, but not including, `end`.
    pub(crate) fn between(&mut self, from: u64, end: u64) -> u64 {
        from + self.below(end.saturating_sub(from))
    }

    /// True that many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// A size that is often near `middle`, rarely an eighth or sixteen times of it, and never 0.
    pub(crate) fn size(&mut self, middle: u64) -> u64 {
        let octave = self.below(4) + self.below(4);
        let from = ((middle << octave) >> 3).max(1);
        self.between(from, 2 * from)
    }

    /// One of the items.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[index(self.below(wide(items.len())))]
    }
}

/// Positions, each as often as its weight asks for.
#[derive(Clone, Debug)]
pub(crate) struct Shares(Vec<usize>);

impl Shares {
    /// Shares by weight; a weight above 0 never comes to nothing.
    pub(crate) fn by_weight(weights: &[u64]) -> Self {
        let sum: u64 = weights.iter().sum();
        let entries = |weight: u64| if weight == 0 { 0 } else { index(weight * SHARES / sum).max(1) };
        let spread = weights.iter().enumerate();
        Self(spread.flat_map(|(position, weight)| std::iter::repeat_n(position, entries(*weight))).collect())
    }

    /// Shares as names have in a language and keys at a gateway: the n-th has about 1/n of the first.
    pub(crate) fn by_rank(count: u64) -> Self {
        let weights: Vec<u64> = (1..=count).map(|rank| 1_000_000_000 / (rank + 2)).collect();
        Self::by_weight(&weights)
    }

    /// One of the positions.
    pub(crate) fn pick(&self, random: &mut Random) -> usize {
        *random.pick(&self.0)
    }
}

/// A length as a number.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A number as a position.
pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

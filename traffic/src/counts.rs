//! The numbers that the generator chooses for an attempt, before any vendor's format hides them. The truth is computed
//! from these.

use ledger::unit::Unit;

use crate::offers::{Cache, Offer, Shape, Tier};
use crate::random::Random;

/// OpenAI caches whole blocks of so many tokens.
const BLOCK: u64 = 128;

/// Disjoint counts; 0 where there is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) uncached: u64,
    pub(crate) image: u64,
    pub(crate) read: u64,
    /// Written for a time that the vendor does not state.
    pub(crate) written: u64,
    pub(crate) written_5m: u64,
    pub(crate) written_1h: u64,
    /// Put into the prompt by tools.
    pub(crate) tool: u64,
    /// Put into the prompt by searches.
    pub(crate) grounding: u64,
    pub(crate) text: u64,
    pub(crate) reasoning: u64,
    pub(crate) output_image: u64,
    pub(crate) searches: u64,
    pub(crate) grounded: u64,
    pub(crate) fetches: u64,
}

impl Counts {
    /// Unit and count of everything, zeros too.
    pub(crate) const fn all(&self) -> [(Unit, u64); 14] {
        [
            (Unit::InputUncachedTokens, self.uncached),
            (Unit::InputUncachedImageTokens, self.image),
            (Unit::InputCacheReadTokens, self.read),
            (Unit::InputCacheWriteTokens, self.written),
            (Unit::InputCacheWrite5mTokens, self.written_5m),
            (Unit::InputCacheWrite1hTokens, self.written_1h),
            (Unit::InputToolTokens, self.tool),
            (Unit::InputGroundingTokens, self.grounding),
            (Unit::OutputTextTokens, self.text),
            (Unit::OutputReasoningTokens, self.reasoning),
            (Unit::OutputImageTokens, self.output_image),
            (Unit::WebSearchCalls, self.searches),
            (Unit::GroundedPrompts, self.grounded),
            (Unit::WebFetchCalls, self.fetches),
        ]
    }

    /// Size of the prompt as the application sent it.
    pub(crate) const fn prompt(&self) -> u64 {
        self.uncached + self.image + self.read + self.written + self.written_5m + self.written_1h
    }

    /// Chooses what one answered call uses.
    pub(crate) fn choose(offer: &Offer, tier: Tier, random: &mut Random) -> Self {
        let mut counts = match offer.shape {
            Shape::Embedding => return Self { uncached: random.size(400), ..Self::default() },
            Shape::Image => return Self::choose_image(random),
            _ => Self { text: random.size(220), ..Self::default() },
        };
        counts.choose_prompt(offer, tier, random);
        if offer.thinks && random.chance(600) {
            counts.reasoning = random.size(500);
        }
        if offer.searches && random.chance(40) {
            counts.choose_searches(offer, random);
        } else if offer.shape == Shape::Gemini && random.chance(15) {
            counts.tool = random.size(400);
        }
        counts
    }

    fn choose_image(random: &mut Random) -> Self {
        let image = if random.chance(300) { random.size(800) } else { 0 };
        let output_image = *random.pick(&[272, 408, 1_056, 1_568, 4_160]);
        Self { uncached: random.size(60), image, output_image, ..Self::default() }
    }

    fn choose_prompt(&mut self, offer: &Offer, tier: Tier, random: &mut Random) {
        let is_long = offer.long_from > 0 && tier == Tier::Standard && random.chance(8);
        // Half of the long ones miss the step by a token or hit it: the edge is where mistakes are made.
        let prompt = match (is_long, random.below(8)) {
            (true, edge @ 0..3) => offer.long_from - 1 + edge,
            (true, _) => offer.long_from + random.below(80_000),
            (false, _) => random.size(900),
        };
        self.uncached = prompt;
        if offer.cache == Cache::None {
            return;
        }
        if random.chance(450) {
            self.read = self.part_of_uncached(offer, 95, random);
        }
        if offer.cache == Cache::ReadsAndWrites && random.chance(250) {
            let written = self.part_of_uncached(offer, 80, random);
            if offer.shape == Shape::Anthropic {
                // No source tells what an hour in the cache costs in a batch.
                let has_hour = tier != Tier::Batch && random.chance(300);
                self.written_1h = if has_hour { random.between(1, written + 1).min(written) } else { 0 };
                self.written_5m = written - self.written_1h;
            } else {
                self.written = written;
            }
        }
        if offer.shape == Shape::Gemini && random.chance(100) {
            self.image = (258 * random.between(1, 4)).min(self.uncached);
            self.uncached -= self.image;
        }
    }

    /// Takes up to so many percent out of the uncached tokens.
    fn part_of_uncached(&mut self, offer: &Offer, percent_max: u64, random: &mut Random) -> u64 {
        let part = self.uncached * random.between(5, percent_max) / 100;
        let part = if offer.shape == Shape::Anthropic { part } else { part / BLOCK * BLOCK };
        self.uncached -= part;
        part
    }

    fn choose_searches(&mut self, offer: &Offer, random: &mut Random) {
        self.searches = random.between(1, 4);
        match offer.shape {
            Shape::Gemini => {
                self.grounded = 1;
                self.grounding = random.size(700);
            }
            Shape::Anthropic => self.fetches = random.below(3),
            _ => {}
        }
    }
}

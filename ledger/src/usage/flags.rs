//! What was noticed while an event was normalized and priced: nothing here stops an entry, everything is shown.

use crate::event::names;

names! {
    /// One thing that was noticed.
    Flag {
        /// Something is owed, but nothing says how much.
        UsageMissing = "usage_missing",
        /// The counters contradict each other; they were clamped so that nothing is counted twice.
        InconsistentUsage = "inconsistent_usage",
        /// Cache writes overlapped with cache reads and were cut to what the prompt has left.
        CacheOverlapClamped = "cache_overlap_clamped",
        /// Cache writes without a stated lifetime were taken as five minutes.
        CacheTtlAssumed5m = "cache_ttl_assumed_5m",
        /// Which modality the cached tokens have is a choice, not a report.
        ModalitySplitEstimated = "modality_split_estimated",
        /// The output counter is a placeholder of a stream that broke off.
        OutputEstimateNeeded = "output_estimate_needed",
        /// The reasoning tokens were found inside the output counter, where this family reports them apart.
        ThoughtsInsideCandidates = "thoughts_inside_candidates",
        /// The usage is a sum over many requests, so no context step applies.
        AggregateNoTier = "aggregate_no_tier",
        /// A response of several passes, one of which has no known accounting.
        IterationsUnresolved = "iterations_unresolved",
        /// The usage has a field that nobody here knows; it changed no quantity.
        UnknownUsageField = "unknown_usage_field",
        /// The search fee depends on the context size, nobody stated it, and `medium` was taken.
        SearchContextAssumed = "search_context_assumed",
        /// The event has a speed or geography for which its model row has no multiplier; the factor is 1.
        MultiplierMissing = "multiplier_missing",
    }
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

const _: () = assert!(Flag::ALL.len() <= 16, "Flags is one word of 16 bits");

impl Flags {
    /// No flag.
    pub const EMPTY: Self = Self(0);

    /// Raises a flag.
    pub const fn insert(&mut self, flag: Flag) {
        self.0 |= Self::bit(flag);
    }

    /// Raises a flag where the condition holds.
    pub(crate) fn insert_if(&mut self, flag: Flag, condition: bool) {
        self.0 |= Self::bit(flag) * u16::from(condition);
    }

    /// Whether the flag is raised.
    #[must_use]
    pub const fn contains(self, flag: Flag) -> bool {
        self.0 & Self::bit(flag) != 0
    }

    /// Whether no flag is raised.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags that are raised.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.iter().copied().filter(move |flag| self.contains(*flag))
    }

    const fn bit(flag: Flag) -> u16 {
        1 << (flag as u16)
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut set = Self::EMPTY;
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

//! A position in each partition, which an invoice is cut at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A position in each partition: of entries before it, whatever posted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Topic of each partition.
    pub topics: Vec<String>,
    /// Number of each partition.
    pub partitions: Vec<u32>,
    /// The offset in each partition before which entries belong to it.
    pub nexts: Vec<u64>,
}

impl Cut {
    /// The offset before which entries of a partition belong to it; 0 where it does not name the partition.
    #[must_use]
    pub fn next(&self, topic: &str, partition: u32) -> u64 {
        let names = self.topics.iter().zip(&self.partitions).zip(&self.nexts);
        let found = names.into_iter().find(|((name, number), _)| *name == topic && **number == partition);
        found.map_or(0, |(_, next)| *next)
    }

    /// Whether all that is before the other one is before this one too.
    #[must_use]
    pub fn reaches(&self, other: &Self) -> bool {
        let others = other.topics.iter().zip(&other.partitions).zip(&other.nexts);
        others.into_iter().all(|((topic, partition), next)| self.next(topic, *partition) >= *next)
    }
}

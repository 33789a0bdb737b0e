//! What an audit found, as JSON and as a table for people.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::losses::Loss;
use super::repeats::Sweep;

/// Differences that a report lists; the rest is counted.
const DIFFERENCES_MAX: usize = 100;

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Whether every check passed.
    pub clean: bool,
    /// When the audit began.
    #[schema(format = DateTime)]
    pub at: String,
    /// Milliseconds that it took.
    pub duration_ms: u64,
    /// Whether every row was read; else batches were compared by digests.
    pub full: bool,
    /// The balance of each partition.
    pub partitions: Vec<PartitionBalance>,
    /// Whether each projection agrees.
    pub projections: Vec<ProjectionBalance>,
    /// What was lost before it was posted, and acknowledged: in balance, and not forgotten.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// The search for repeats that went before; null where the audit only read.
    pub sweep: Option<Sweep>,
    /// Entries whose amounts were derived again; null where that was not asked for.
    pub repricing: Option<Repricing>,
    /// What differs, in the order in which it was found; at most 100.
    pub differences: Vec<Difference>,
    /// Differences that are not listed.
    pub differences_more: u64,
}

/// received = posted + duplicates + quarantined, for one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionBalance {
    /// Topic of the partition.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// First offset of the first batch.
    pub first: u64,
    /// End of the last batch.
    pub next: u64,
    /// Closed batches.
    pub batches: u64,
    /// Records that were read.
    pub received: u64,
    /// Records that made entries.
    pub posted: u64,
    /// Records that were dropped as repeats.
    pub duplicates: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Offsets without a record.
    pub holes: u64,
    /// Entries that the posted records made.
    pub entries: u64,
    /// Posted records that were reversed, because their id was posted before.
    pub reversed: u64,
    /// Those of them whose content differed from the first.
    pub reversed_conflicts: u64,
    /// Rows of the batch that is being written now.
    pub pending_rows: u64,
    /// Whether every check of this partition passed.
    pub clean: bool,
}

/// A projection beside the entries or another projection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionBalance {
    /// Name of the projection.
    pub projection: String,
    /// What its totals were compared with: the entries, or another projection.
    pub against: String,
    /// Whether the daily totals of both are the same.
    pub clean: bool,
}

/// Entries whose amounts were derived again from their quantities and price rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Repricing {
    /// Entries that were looked at.
    pub entries: u64,
    /// Those of them whose stored amounts are others.
    pub differing: u64,
    /// Where a sample was drawn: the seed that draws it again.
    pub seed: Option<u64>,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Which check found it.
    pub check: Check,
    /// The partition, where it is of one.
    pub topic: Option<String>,
    /// The partition, where it is of one.
    pub partition: Option<u32>,
    /// The first offset that differs, where it is known.
    pub offset: Option<u64>,
    /// What differs.
    pub detail: String,
}

/// The checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Batches leave no offset out.
    Gap,
    /// No offset is in two batches.
    Overlap,
    /// received = posted + duplicates + quarantined, and + holes = the range.
    Balance,
    /// The rows that carry a batch's range are those that it says.
    Rows,
    /// Every row lies in a batch.
    Outside,
    /// A reversed repeat comes out at nothing.
    Reversal,
    /// A projection's totals are those of the entries.
    Projection,
    /// An entry's amounts are its quantities times the prices of its row.
    Price,
}

impl Report {
    pub(super) fn differs(&mut self, difference: Difference) {
        self.clean = false;
        if let (Some(topic), Some(partition)) = (&difference.topic, difference.partition) {
            let mut partitions = self.partitions.iter_mut();
            if let Some(found) =
                partitions.find(|found| found.topic == *topic && found.partition == partition)
            {
                found.clean = false;
            }
        }
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        } else {
            self.differences_more += 1;
        }
    }

    /// How many differences there are, listed or not.
    #[must_use]
    pub fn differences_total(&self) -> u64 {
        u64::try_from(self.differences.len()).unwrap_or(u64::MAX).saturating_add(self.differences_more)
    }
}

/// Heads of the table of partitions.
const HEADS: [&str; 11] = [
    "partition",
    "range",
    "received",
    "posted",
    "duplicates",
    "quarantined",
    "holes",
    "entries",
    "reversed",
    "batches",
    "",
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; HEADS.len()]> = std::iter::once(HEADS.map(str::to_owned))
            .chain(self.partitions.iter().map(PartitionBalance::cells))
            .collect();
        if rows.len() > 1 {
            table(f, &rows)?;
        }
        for projection in &self.projections {
            let state = if projection.clean { "agrees with" } else { "DIFFERS from" };
            writeln!(f, "projection {} {state} {}", projection.projection, projection.against)?;
        }
        if let Some(sweep) = &self.sweep {
            writeln!(f, "{sweep}")?;
        }
        if let Some(Repricing { entries, differing, seed }) = self.repricing {
            let sample = seed.map_or(String::new(), |seed| format!(" (a sample with the seed {seed})"));
            writeln!(f, "amounts derived again: {entries} entries{sample}, {differing} differ")?;
        }
        for loss in &self.losses {
            writeln!(f, "acknowledged loss: {loss}")?;
        }
        for difference in &self.differences {
            writeln!(f, "difference: {difference}")?;
        }
        if self.differences_more > 0 {
            writeln!(f, "and {} more differences", self.differences_more)?;
        }
        match (self.clean, self.losses.len()) {
            (false, _) => write!(f, "NOT CLEAN"),
            (true, 0) => write!(f, "clean"),
            (true, count) => write!(f, "clean, but for {count} acknowledged losses"),
        }
    }
}

impl PartitionBalance {
    fn cells(&self) -> [String; HEADS.len()] {
        let mut remarks = Vec::new();
        if self.pending_rows > 0 {
            remarks.push(format!("{} rows being written", self.pending_rows));
        }
        if !self.clean {
            remarks.push("DIFFERS".to_owned());
        }
        [
            format!("{}/{}", self.topic, self.partition),
            format!("[{}, {})", self.first, self.next),
            self.received.to_string(),
            self.posted.to_string(),
            self.duplicates.to_string(),
            self.quarantined.to_string(),
            self.holes.to_string(),
            self.entries.to_string(),
            self.reversed.to_string(),
            self.batches.to_string(),
            remarks.join(", "),
        ]
    }
}

/// Names to the left, numbers to the right.
fn table(f: &mut fmt::Formatter<'_>, rows: &[[String; HEADS.len()]]) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            line += gap;
            let is_name = column == 0 || column + 1 == HEADS.len();
            line += &if is_name { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(topic), Some(partition)) = (&self.topic, self.partition) {
            write!(f, "{topic}/{partition}: ")?;
        }
        write!(f, "{}", self.detail)?;
        self.offset.map_or(Ok(()), |offset| write!(f, " (first at offset {offset})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_a_table_with_the_differences_below() {
        let partition = PartitionBalance {
            topic: "usage.events".into(),
            next: 1_000,
            received: 1_000,
            posted: 990,
            quarantined: 10,
            reversed: 2,
            clean: true,
            ..PartitionBalance::default()
        };
        let mut report = Report { clean: true, partitions: vec![partition], ..Report::default() };
        report.differs(Difference {
            check: Check::Rows,
            topic: Some("usage.events".into()),
            partition: Some(0),
            offset: Some(7),
            detail: "a row is missing".into(),
        });
        let expected = "\
partition           range  received  posted  duplicates  quarantined  holes  entries  reversed  batches
usage.events/0  [0, 1000)      1000     990           0           10      0        0         2        0  DIFFERS
difference: usage.events/0: a row is missing (first at offset 7)
NOT CLEAN";
        assert_eq!(report.to_string(), expected);
    }
}

//! Batches of each partition: they tile, each is in balance, and its rows are those that it says. What a batch says of
//! its rows is their number and the sum of their digests; what the tables hold, a projection tells without a row being
//! read. Batches without digests, those of the command log, and in a full audit all, are compared row by row.
//! Reads a bounded number of batches and records at a time.

mod digests;

use std::collections::HashMap;

use clickhouse::Row;
use schemas::log::COMMANDS_TOPIC;
use schemas::queries::{self, Open};
use serde::Deserialize;

use super::{Auditor, Check, Depth, Difference, Error, PartitionBalance, Report};

/// Batches that are read at a time, and offsets whose rows are counted at a time.
const BATCHES_MAX: usize = 4_000;
const OFFSETS_MAX: u64 = 2_000_000;

#[derive(Row, Deserialize)]
struct Partition {
    topic_name: String,
    partition_number: u32,
    batches_count: u64,
    opened: u64,
    closed: u64,
}

#[derive(Clone, Debug, Row, Deserialize)]
struct Batch {
    first: u64,
    next: u64,
    received: u64,
    posted: u64,
    entries: u64,
    duplicates: u64,
    quarantined: u64,
    holes: u64,
    duplicates_named: u64,
    digested: u8,
    entry_rows: u64,
    entries_digest: u64,
    quarantine_digest: u64,
}

/// What the tables hold for a batch.
#[derive(Clone, Debug, Default, Row, Deserialize)]
struct Rows {
    batch_first: u64,
    posted_rows: u64,
    posted_origins: u64,
    posted_records: u64,
    quarantine_rows: u64,
    quarantined_records: u64,
    duplicate_records: u64,
    records: u64,
}

#[derive(Clone, Debug, Row, Deserialize)]
struct Record {
    record_offset: u64,
    posted_rows: u64,
    posted_origins: u64,
    quarantine_rows: u64,
    duplicate_rows: u64,
}

#[derive(Row, Deserialize)]
struct Outside {
    rows_before: u64,
    first_before: u64,
    rows_after: u64,
}

/// Checks every partition.
pub(super) async fn check(auditor: &Auditor, depth: Depth, report: &mut Report) -> Result<(), Error> {
    let query = auditor.query(queries::AUDIT_PARTITIONS).param("commands_topic", COMMANDS_TOPIC);
    let partitions: Vec<Partition> =
        query.fetch_all().await.map_err(|source| Error::store("the partitions", source))?;
    for partition in partitions {
        let mut walk = Walk::new(auditor, depth, partition);
        walk.run(report).await?;
        report.partitions.push(walk.balance);
    }
    Ok(())
}

/// The walk over the batches of one partition.
struct Walk<'a> {
    auditor: &'a Auditor,
    depth: Depth,
    partition: Partition,
    balance: PartitionBalance,
    /// End of the batch before.
    reached: Option<u64>,
}

impl<'a> Walk<'a> {
    fn new(auditor: &'a Auditor, depth: Depth, partition: Partition) -> Self {
        let balance = PartitionBalance {
            topic: partition.topic_name.clone(),
            partition: partition.partition_number,
            first: partition.opened,
            next: partition.closed,
            batches: partition.batches_count,
            clean: true,
            ..PartitionBalance::default()
        };
        Self { auditor, depth, partition, balance, reached: None }
    }

    async fn run(&mut self, report: &mut Report) -> Result<(), Error> {
        let mut after = None;
        loop {
            let mut batches = self.read(after).await?;
            // What was closed since the partitions were listed is for the next audit.
            batches.retain(|batch| batch.first < self.partition.closed);
            let Some(last) = batches.last() else { break };
            let from = after.map_or(0, |(first, _): (u64, u64)| first + 1);
            after = Some((last.first, last.next));
            for batch in &batches {
                self.tile(batch, report);
                self.balance(batch, report);
            }
            self.compare_digests(from, &batches, report).await?;
            let (scanned, rest): (Vec<_>, Vec<_>) =
                batches.into_iter().partition(|batch| self.is_scanned(batch));
            for batch in &rest {
                self.count_duplicates(batch, report);
            }
            for neighbors in neighbors(&scanned) {
                let rows = self.rows(neighbors).await?;
                for batch in neighbors {
                    let held = rows.get(&batch.first).cloned().unwrap_or_default();
                    self.compare(batch, &held, report).await?;
                }
            }
        }
        self.strays_after(after, report).await?;
        self.outside(report).await
    }

    /// Whether the batch's rows are read one by one.
    fn is_scanned(&self, batch: &Batch) -> bool {
        self.depth == Depth::Full || batch.digested == 0 || self.partition.topic_name == COMMANDS_TOPIC
    }

    /// The repeats of a batch are named in its own row.
    fn count_duplicates(&mut self, batch: &Batch, report: &mut Report) {
        if batch.duplicates_named != batch.duplicates {
            let detail = format!(
                "the batch [{}, {}) says {} duplicates and names {}",
                batch.first, batch.next, batch.duplicates, batch.duplicates_named
            );
            self.differs(report, Check::Rows, Some(batch.first), detail);
        }
    }

    /// The next batches. The first page begins before any batch: an empty range at offset 0 is none.
    async fn read(&self, after: Option<(u64, u64)>) -> Result<Vec<Batch>, Error> {
        let (first, next) = after.unwrap_or((0, 0));
        self.query(queries::AUDIT_BATCHES)
            .param("after_first", first)
            .param("after_next", next)
            .param("limit", BATCHES_MAX)
            .fetch_all()
            .await
            .map_err(|source| Error::store("the batches", source))
    }

    async fn rows(&self, batches: &[Batch]) -> Result<HashMap<u64, Rows>, Error> {
        let firsts: Vec<u64> = batches.iter().map(|batch| batch.first).collect();
        let next = batches.iter().map(|batch| batch.next).max().unwrap_or_default();
        let rows: Vec<Rows> = self
            .query(queries::AUDIT_ROWS)
            .param("first", firsts.first().copied().unwrap_or_default())
            .param("next", next)
            .param("firsts", firsts)
            .fetch_all()
            .await
            .map_err(|source| Error::store("the rows of the batches", source))?;
        Ok(rows.into_iter().map(|rows| (rows.batch_first, rows)).collect())
    }

    fn query(&self, query: Open) -> clickhouse::query::Query {
        let table = if self.partition.topic_name == COMMANDS_TOPIC { "commands" } else { "entries" };
        self.auditor
            .sql(&query.text().replace("{{posted_table}}", table))
            .param("topic", &self.partition.topic_name)
            .param("partition", self.partition.partition_number)
    }

    fn tile(&mut self, batch: &Batch, report: &mut Report) {
        match self.reached {
            Some(reached) if batch.first > reached => {
                let detail = format!("no batch has the offsets [{reached}, {})", batch.first);
                self.differs(report, Check::Gap, Some(reached), detail);
            }
            Some(reached) if batch.first < reached => {
                let detail = format!("the batch [{}, {}) begins before {reached}", batch.first, batch.next);
                self.differs(report, Check::Overlap, Some(batch.first), detail);
            }
            _ => {}
        }
        self.reached = self.reached.max(Some(batch.next));
    }

    fn balance(&mut self, batch: &Batch, report: &mut Report) {
        self.balance.received += batch.received;
        self.balance.posted += batch.posted;
        self.balance.duplicates += batch.duplicates;
        self.balance.quarantined += batch.quarantined;
        self.balance.holes += batch.holes;
        self.balance.entries += batch.entries;
        let parts = batch.posted.saturating_add(batch.duplicates).saturating_add(batch.quarantined);
        let range = batch.next.saturating_sub(batch.first);
        if batch.received != parts || batch.received.saturating_add(batch.holes) != range {
            let detail = format!(
                "the batch [{}, {}) received {} but posted {}, dropped {} as duplicates, quarantined {} and has {} holes",
                batch.first,
                batch.next,
                batch.received,
                batch.posted,
                batch.duplicates,
                batch.quarantined,
                batch.holes
            );
            self.differs(report, Check::Balance, Some(batch.first), detail);
        }
    }

    async fn compare(&mut self, batch: &Batch, held: &Rows, report: &mut Report) -> Result<(), Error> {
        // A command makes rows of other tables beside its own; of `commands` it makes one.
        let entries =
            if self.partition.topic_name == COMMANDS_TOPIC { held.posted_rows } else { batch.entries };
        let agree = held.posted_rows == entries
            && held.posted_origins == held.posted_rows
            && held.posted_records == batch.posted
            && held.quarantined_records == batch.quarantined
            && held.quarantine_rows == held.quarantined_records
            && held.duplicate_records == batch.duplicates
            && batch.duplicates_named == batch.duplicates
            && held.records == held.posted_records + held.quarantined_records + held.duplicate_records;
        if agree {
            return Ok(());
        }
        let offset = self.first_difference(batch).await?;
        let detail = format!(
            "the batch [{}, {}) says {} entries of {} records, {} duplicates, {} quarantined; the tables hold {} of {}, {}, {}",
            batch.first,
            batch.next,
            batch.entries,
            batch.posted,
            batch.duplicates,
            batch.quarantined,
            held.posted_rows,
            held.posted_records,
            held.duplicate_records,
            held.quarantined_records
        );
        self.differs(report, Check::Rows, offset, detail);
        Ok(())
    }

    async fn first_difference(&self, batch: &Batch) -> Result<Option<u64>, Error> {
        let records: Vec<Record> = self
            .query(queries::AUDIT_RECORDS)
            .param("first", batch.first)
            .param("next", batch.next)
            .fetch_all()
            .await
            .map_err(|source| Error::store("the records of a batch", source))?;
        Ok(first_difference(batch, &records))
    }

    async fn outside(&mut self, report: &mut Report) -> Result<(), Error> {
        let outside: Vec<Outside> = self
            .query(queries::AUDIT_OUTSIDE)
            .param("opened", self.partition.opened)
            .param("closed", self.partition.closed)
            .fetch_all()
            .await
            .map_err(|source| Error::store("the rows outside of batches", source))?;
        for outside in outside {
            self.balance.pending_rows += outside.rows_after;
            if outside.rows_before > 0 {
                let detail = format!("{} rows lie before the first batch", outside.rows_before);
                self.differs(report, Check::Outside, Some(outside.first_before), detail);
            }
        }
        Ok(())
    }

    fn differs(&mut self, report: &mut Report, check: Check, offset: Option<u64>, detail: String) {
        self.balance.clean = false;
        report.differs(Difference {
            check,
            topic: Some(self.partition.topic_name.clone()),
            partition: Some(self.partition.partition_number),
            offset,
            detail,
        });
    }
}

/// Batches in groups of a bounded number of offsets, at least one batch in each.
fn neighbors(batches: &[Batch]) -> Vec<&[Batch]> {
    let mut groups = Vec::new();
    let mut rest = batches;
    while let Some(start) = rest.first().map(|batch| batch.first) {
        let fits =
            rest.iter().take_while(|batch| batch.next.saturating_sub(start) <= OFFSETS_MAX).count().max(1);
        let (group, tail) = rest.split_at(fits);
        groups.push(group);
        rest = tail;
    }
    groups
}

/// The first offset that is twice in the tables, or where no offset of the batch is a hole, in none.
fn first_difference(batch: &Batch, records: &[Record]) -> Option<u64> {
    let twice = |record: &Record| {
        let places = u64::from(record.posted_rows > 0) + record.quarantine_rows + record.duplicate_rows;
        places > 1 || record.posted_rows != record.posted_origins
    };
    let doubled = records.iter().find(|record| twice(record)).map(|record| record.record_offset);
    let missing = (batch.holes == 0)
        .then(|| {
            let expected = batch.first..batch.next;
            let mut held = records.iter().map(|record| record.record_offset);
            expected.into_iter().find(|offset| held.next() != Some(*offset))
        })
        .flatten();
    match (doubled, missing) {
        (Some(doubled), Some(missing)) => Some(doubled.min(missing)),
        (doubled, missing) => doubled.or(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u64, next: u64) -> Batch {
        let received = next - first;
        Batch {
            first,
            next,
            received,
            posted: received,
            entries: received,
            duplicates: 0,
            quarantined: 0,
            holes: 0,
            duplicates_named: 0,
            digested: 0,
            entry_rows: 0,
            entries_digest: 0,
            quarantine_digest: 0,
        }
    }

    fn record(offset: u64, posted_rows: u64, quarantine_rows: u64) -> Record {
        Record {
            record_offset: offset,
            posted_rows,
            posted_origins: posted_rows.min(1),
            quarantine_rows,
            duplicate_rows: 0,
        }
    }

    #[test]
    fn the_first_offset_that_is_missing_or_twice_is_named() {
        let batch = batch(5, 9);
        let all = [record(5, 1, 0), record(6, 0, 1), record(7, 1, 0), record(8, 1, 0)];
        assert_eq!(first_difference(&batch, &all), None);
        assert_eq!(first_difference(&batch, &[record(5, 1, 0), record(7, 1, 0)]), Some(6));
        assert_eq!(first_difference(&batch, &all[..3]), Some(8));
        assert_eq!(first_difference(&batch, &[record(5, 1, 0), record(6, 2, 0), record(8, 1, 0)]), Some(6));
        assert_eq!(first_difference(&batch, &[record(5, 1, 1)]), Some(5));
    }

    #[test]
    fn batches_are_taken_together_up_to_a_number_of_offsets() {
        let batches = [batch(0, 10), batch(10, OFFSETS_MAX), batch(OFFSETS_MAX, 3 * OFFSETS_MAX)];
        let sizes: Vec<usize> = neighbors(&batches).iter().map(|group| group.len()).collect();
        assert_eq!(sizes, [2, 1]);
    }
}

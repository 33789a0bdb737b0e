//! Reversed repeats: each entry of such a record is taken back once and to the last digit, so that all sums are as if
//! the repeat had not been posted.

use clickhouse::Row;
use schemas::queries;
use serde::Deserialize;

use super::{Auditor, Check, Difference, Error, Report};

#[derive(Row, Deserialize)]
struct Reversed {
    record_topic: String,
    record_partition: u32,
    records: u64,
    conflicts: u64,
}

#[derive(Row, Deserialize)]
struct Uneven {
    record_topic: String,
    record_partition: u32,
    record_offset: u64,
    record_ordinal: u32,
    usage_rows: u64,
    reversal_rows: u64,
}

/// Counts the reversed repeats of each partition, and checks that every reversal is exact.
pub(super) async fn check(auditor: &Auditor, report: &mut Report) -> Result<(), Error> {
    let reversed: Vec<Reversed> = auditor
        .query(queries::AUDIT_REVERSED)
        .fetch_all()
        .await
        .map_err(|source| Error::store("the reversed repeats", source))?;
    for Reversed { record_topic, record_partition, records, conflicts } in reversed {
        let partition = report
            .partitions
            .iter_mut()
            .find(|partition| partition.topic == record_topic && partition.partition == record_partition);
        if let Some(partition) = partition {
            partition.reversed = records;
            partition.reversed_conflicts = conflicts;
        }
    }
    let uneven: Vec<Uneven> = auditor
        .query(queries::AUDIT_REVERSALS)
        .fetch_all()
        .await
        .map_err(|source| Error::store("the reversals", source))?;
    for uneven in uneven {
        report.differs(Difference {
            check: Check::Reversal,
            detail: describe(&uneven),
            topic: Some(uneven.record_topic),
            partition: Some(uneven.record_partition),
            offset: Some(uneven.record_offset),
        });
    }
    Ok(())
}

fn describe(uneven: &Uneven) -> String {
    let Uneven { record_offset, record_ordinal, usage_rows, reversal_rows, .. } = uneven;
    let entry = format!("entry {record_ordinal} of the reversed repeat at offset {record_offset}");
    match (usage_rows, reversal_rows) {
        (1, 1) => format!("{entry} and its reversal do not come out at nothing"),
        (1, 0) => format!("{entry} has no reversal, although the repeat has one"),
        (0, _) => format!("{entry} is not in the ledger, although it was reversed"),
        (rows, reversals) => format!("{entry} is there {rows} times and was reversed {reversals} times"),
    }
}

//! What was lost and is known to be: ranges that a repair closed because the log did not have them any more. They are
//! in balance, and never pass in silence.

use std::fmt;

use clickhouse::Row;
use schemas::queries;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Auditor, Error, Report};
use crate::period::rfc3339;

/// A range of a partition that was lost before it was posted, and acknowledged by who repaired it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Loss {
    /// Topic of the partition.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// First offset of the range.
    pub first: u64,
    /// Where the range ends.
    pub next: u64,
    /// Offsets of the range whose records, if they held any, are in no table.
    pub lost: u64,
    /// Who acknowledged it.
    pub acknowledged_by: String,
    /// When.
    #[schema(format = DateTime)]
    pub acknowledged_at: String,
    /// Why, in their words; empty where they gave no reason.
    pub reason: String,
    /// Id of the repair, and of the command that records it.
    pub repair: String,
}

#[derive(Row, Deserialize)]
struct Lost {
    topic_name: String,
    partition_number: u32,
    first: u64,
    next: u64,
    lost: u64,
    repair_id: String,
    repaired_ms: i64,
    actor: String,
    reason: String,
}

/// Lists what was acknowledged.
pub(super) async fn list(auditor: &Auditor, report: &mut Report) -> Result<(), Error> {
    let losses: Vec<Lost> = auditor
        .query(queries::AUDIT_LOSSES)
        .fetch_all()
        .await
        .map_err(|source| Error::store("the acknowledged losses", source))?;
    report.losses = losses
        .into_iter()
        .map(|lost| Loss {
            topic: lost.topic_name,
            partition: lost.partition_number,
            first: lost.first,
            next: lost.next,
            lost: lost.lost,
            acknowledged_by: lost.actor,
            acknowledged_at: rfc3339(lost.repaired_ms),
            reason: lost.reason,
            repair: lost.repair_id,
        })
        .collect();
    Ok(())
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, first, next, lost, acknowledged_by, acknowledged_at, .. } = self;
        write!(
            f,
            "{topic}/{partition}: {lost} offsets of [{first}, {next}) are lost; acknowledged by {acknowledged_by} at {acknowledged_at}"
        )?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

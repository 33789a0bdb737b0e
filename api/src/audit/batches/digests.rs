//! Batches against the digests of their rows: what the worker computed while it built a batch, and what the tables hold.
//! Only of a batch that differs are rows read, to name the first that does.

use std::collections::HashMap;

use clickhouse::Row;
use clickhouse::query::Query;
use schemas::queries;
use serde::Deserialize;

use super::{Batch, Walk};
use crate::audit::{Check, Error, Report};

/// What a table holds under the first offset of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Row, Deserialize)]
struct Carried {
    carried: u64,
    rows_held: u64,
    digest: u64,
}

#[derive(Row, Deserialize)]
struct Altered {
    record_offset: u64,
    record_ordinal: u32,
}

impl Walk<'_> {
    /// Compares a page of batches with the digests of the rows that carry a first offset in `[from, last first]`.
    pub(super) async fn compare_digests(
        &mut self,
        from: u64,
        batches: &[Batch],
        report: &mut Report,
    ) -> Result<(), Error> {
        let Some(to) = batches.last().map(|batch| batch.first) else { return Ok(()) };
        let query = self.query(queries::AUDIT_DIGESTS).param("from", from).param("to", to);
        let mut entries = carried(query).await?;
        let firsts: Vec<u64> = batches.iter().map(|batch| batch.first).collect();
        let next = batches.iter().map(|batch| batch.next).max().unwrap_or_default();
        let query = self
            .query(queries::AUDIT_QUARANTINE)
            .param("first", firsts.first().copied().unwrap_or_default())
            .param("next", next)
            .param("firsts", firsts);
        let quarantine = carried(query).await?;
        for batch in batches {
            let held = entries.remove(&batch.first).unwrap_or_default();
            if batch.digested != 0 {
                let quarantined = quarantine.get(&batch.first).copied().unwrap_or_default();
                self.compare_digest(batch, held, quarantined, report).await?;
            }
        }
        // Entries from before there were digests carry no first offset.
        let is_undigested = batches.iter().any(|batch| batch.digested == 0);
        let strays = entries.into_values().filter(|stray| stray.carried != 0 || !is_undigested);
        self.strays(strays.collect(), report);
        Ok(())
    }

    /// Entries whose batch would begin inside of the last one. What begins at its end is being written now.
    pub(super) async fn strays_after(
        &mut self,
        last: Option<(u64, u64)>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let Some((first, _)) = last.filter(|(first, _)| first + 1 < self.partition.closed) else {
            return Ok(());
        };
        let query = self
            .query(queries::AUDIT_DIGESTS)
            .param("from", first + 1)
            .param("to", self.partition.closed - 1);
        self.strays(carried(query).await?.into_values().collect(), report);
        Ok(())
    }

    fn strays(&mut self, mut strays: Vec<Carried>, report: &mut Report) {
        strays.sort_by_key(|stray| stray.carried);
        for Carried { carried, rows_held, .. } in strays {
            let detail =
                format!("{rows_held} entries say that their batch begins at {carried}, where none begins");
            self.differs(report, Check::Outside, Some(carried), detail);
        }
    }

    async fn compare_digest(
        &mut self,
        batch: &Batch,
        entries: Carried,
        quarantined: Carried,
        report: &mut Report,
    ) -> Result<(), Error> {
        let counts_agree =
            entries.rows_held == batch.entry_rows && quarantined.rows_held == batch.quarantined;
        let digests_agree =
            entries.digest == batch.entries_digest && quarantined.digest == batch.quarantine_digest;
        if counts_agree && digests_agree {
            return Ok(());
        }
        let found = if counts_agree {
            format!(
                "and so many are there, but {} not those that it posted",
                if entries.digest == batch.entries_digest {
                    "its records in quarantine are"
                } else {
                    "its entries are"
                }
            )
        } else {
            format!("the tables hold {} and {}", entries.rows_held, quarantined.rows_held)
        };
        let mut offset = self.first_difference(batch).await?;
        let mut detail = format!(
            "the batch [{}, {}) says {} entries and {} records in quarantine; {found}",
            batch.first, batch.next, batch.entry_rows, batch.quarantined
        );
        if offset.is_none()
            && let Some(altered) = self.altered(batch).await?
        {
            offset = Some(altered.record_offset);
            let Altered { record_offset, record_ordinal } = altered;
            detail += &format!(
                "; the cost of entry {record_ordinal} of offset {record_offset} is not that of its lines"
            );
        }
        self.differs(report, Check::Rows, offset, detail);
        Ok(())
    }

    /// The first entry of the batch whose cost and lines disagree.
    async fn altered(&self, batch: &Batch) -> Result<Option<Altered>, Error> {
        self.query(queries::AUDIT_LINES)
            .param("first", batch.first)
            .param("next", batch.next)
            .fetch_optional()
            .await
            .map_err(|source| Error::store("the lines of a batch", source))
    }
}

/// What a table holds, by the first offset of the batch.
async fn carried(query: Query) -> Result<HashMap<u64, Carried>, Error> {
    let rows: Vec<Carried> =
        query.fetch_all().await.map_err(|source| Error::store("the digests of the rows", source))?;
    Ok(rows.into_iter().map(|row| (row.carried, row)).collect())
}

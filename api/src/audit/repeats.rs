//! Repeats beyond the window: ids that several records have, over all retained days and partitions. The search compares
//! the ids that are new since the last one with all others and asks for all but the first record of each to be
//! reversed. How far it came is in the command that ends it, so a search that is broken off is made again, and what
//! two searches ask for is reversed once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use clickhouse::{Client, Row};
use schemas::command::{Command, REPEATS_MAX, RecordAt, Repeat, ReverseRepeats, Swept};
use schemas::log::{COMMANDS_TOPIC, Log};
use schemas::queries;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use utoipa::ToSchema;

use super::{Auditor, Error};
use crate::commands::new_id;

/// Ids that one query keeps in memory, at about 75 bytes each.
const IDS_AT_ONCE_MAX: u64 = 4_000_000;
/// Repeated ids that one query answers, and ids whose records one query looks up.
const REPEATED_AT_ONCE_MAX: usize = 100_000;
const LOOKED_UP_AT_ONCE_MAX: usize = 1_000;
/// Bytes of memory that one query may take.
const MEMORY_BYTES_MAX: u64 = 2_000_000_000;
/// Between two looks at what became of the commands.
const LOOK: Duration = Duration::from_millis(50);

/// What a search for repeats found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sweep {
    /// Records whose ids were compared with all others.
    pub records: u64,
    /// Repeats that were found and not reversed before.
    pub repeats: u64,
    /// The commands that reverse them, in order.
    pub commands: Vec<String>,
    /// Whether the commands were carried out before the answer; else they will be.
    pub carried_out: bool,
}

impl std::fmt::Display for Sweep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { records, repeats, commands, carried_out } = self;
        write!(f, "repeats: {repeats} found among {records} new records")?;
        if *repeats > 0 {
            let state = if *carried_out { "reversed by" } else { "being reversed by" };
            write!(f, ", {state} {}", commands.join(", "))?;
        }
        Ok(())
    }
}

#[derive(Row, Deserialize)]
struct Reach {
    topic_name: String,
    partition_number: u32,
    through: u64,
}

#[derive(Row, Deserialize)]
struct Occurrence {
    event_hash: u128,
    record_topic: String,
    record_partition: u32,
    record_offset: u64,
    log_ms: i64,
}

#[derive(Row, Deserialize)]
struct TakenBack {
    record_topic: String,
    record_partition: u32,
    record_offset: u64,
}

#[derive(Row, Deserialize)]
struct Decided {
    applied: u64,
    decided: u64,
}

/// The records of a partition that are new since the last search: `[from, to)`.
struct New {
    topic: String,
    partition: u32,
    from: u64,
    to: u64,
}

/// Searches for repeats, has them reversed under the name of `actor`, and waits for that as long as `wait`. An invoice
/// closes over what is there after this.
///
/// # Errors
/// Where the store does not answer, or the log does not take the commands.
pub async fn reverse_repeats(
    client: &Client,
    log: &dyn Log,
    actor: &str,
    wait: Duration,
) -> Result<Sweep, Error> {
    let search = Search { auditor: Auditor { client: client.clone() }, log, actor };
    let mut sweep = Sweep { carried_out: true, ..Sweep::default() };
    let (new, is_first) = search.unsearched().await?;
    sweep.records = new.iter().map(|new| new.to - new.from).sum();
    if sweep.records == 0 {
        return Ok(sweep);
    }
    let slices = sweep.records.div_ceil(IDS_AT_ONCE_MAX).next_power_of_two();
    let mut pending = Vec::new();
    for slice in 0..slices {
        let mut after = 0;
        loop {
            let ids = search.repeated(&new, is_first, (slices - 1, slice), after).await?;
            for ids in ids.chunks(LOOKED_UP_AT_ONCE_MAX) {
                pending.extend(search.repeats(ids).await?);
                while pending.len() > REPEATS_MAX {
                    let rest = pending.split_off(REPEATS_MAX);
                    let repeats = std::mem::replace(&mut pending, rest);
                    search.send(ReverseRepeats { repeats, swept: Vec::new() }, &mut sweep).await?;
                }
            }
            match ids.last() {
                Some(last) if ids.len() == REPEATED_AT_ONCE_MAX => after = *last,
                _ => break,
            }
        }
    }
    let swept = new
        .into_iter()
        .map(|New { topic, partition, to, .. }| Swept { topic, partition, through: to })
        .collect();
    // How far the search came is said only where all that it found is reversed: a command may be refused meanwhile,
    // because an operation began, and what it names must be found again.
    sweep.carried_out = search.wait(&sweep, wait).await?;
    if sweep.carried_out {
        search.send(ReverseRepeats { repeats: pending, swept }, &mut sweep).await?;
        sweep.carried_out = search.wait(&sweep, wait).await?;
    }
    Ok(sweep)
}

/// One search.
struct Search<'a> {
    auditor: Auditor,
    log: &'a dyn Log,
    actor: &'a str,
}

impl Search<'_> {
    /// The records of each partition that are new, and whether this is the first search of all.
    async fn unsearched(&self) -> Result<(Vec<New>, bool), Error> {
        // Where the search ends is read before the ids are: what is posted meanwhile is for the next one.
        let closed = self.auditor.query(queries::AUDIT_CLOSED).param("commands_topic", COMMANDS_TOPIC);
        let closed: Vec<Reach> =
            closed.fetch_all().await.map_err(|source| Error::store("the closed batches", source))?;
        let swept: Vec<Reach> = self
            .auditor
            .query(queries::AUDIT_SWEPT)
            .fetch_all()
            .await
            .map_err(|source| Error::store("how far repeats were searched for", source))?;
        let swept: HashMap<(String, u32), u64> = swept
            .into_iter()
            .map(|reach| ((reach.topic_name, reach.partition_number), reach.through))
            .collect();
        let is_first = swept.is_empty();
        let new = closed
            .into_iter()
            .map(|Reach { topic_name, partition_number, through: to }| {
                let key = (topic_name, partition_number);
                let from = swept.get(&key).copied().unwrap_or(0).min(to);
                let (topic, partition) = key;
                New { topic, partition, from, to }
            })
            .filter(|new| new.from < new.to)
            .collect();
        Ok((new, is_first))
    }

    /// Ids of a slice that several records have, one of them new.
    async fn repeated(
        &self,
        new: &[New],
        is_first: bool,
        (mask, slice): (u64, u64),
        after: u128,
    ) -> Result<Vec<u128>, Error> {
        // The first search compares everything with everything: then there is nothing to look up.
        let condition = if is_first { "1".to_owned() } else { condition(new) };
        let mut query = self
            .auditor
            .sql(&queries::AUDIT_REPEATS.text().replace("{{new}}", &condition))
            // A filter for single ids: with millions of them, testing it takes longer than reading.
            .with_setting("ignore_data_skipping_indices", "by_event")
            .with_setting("max_memory_usage", MEMORY_BYTES_MAX.to_string())
            .param("mask", mask)
            .param("slice", slice)
            .param("after", after.to_string())
            .param("limit", REPEATED_AT_ONCE_MAX);
        if !is_first {
            for (index, New { topic, partition, from, to }) in new.iter().enumerate() {
                query = query
                    .param(&format!("topic{index}"), topic)
                    .param(&format!("partition{index}"), partition)
                    .param(&format!("from{index}"), from)
                    .param(&format!("to{index}"), to);
            }
        }
        query.fetch_all().await.map_err(|source| Error::store("repeated ids", source))
    }

    /// All records of some ids but the first of each, without those that were reversed.
    async fn repeats(&self, ids: &[u128]) -> Result<Vec<Repeat>, Error> {
        let hashes: Vec<String> = ids.iter().map(u128::to_string).collect();
        let occurrences: Vec<Occurrence> = self
            .auditor
            .query(queries::AUDIT_OCCURRENCES)
            .param("hashes", &hashes)
            .fetch_all()
            .await
            .map_err(|source| Error::store("the records of repeated ids", source))?;
        let taken_back: Vec<TakenBack> = self
            .auditor
            .query(queries::AUDIT_TAKEN_BACK)
            .param("hashes", &hashes)
            .fetch_all()
            .await
            .map_err(|source| Error::store("the reversed records of repeated ids", source))?;
        Ok(repeats(occurrences, taken_back))
    }

    async fn send(&self, command: ReverseRepeats, sweep: &mut Sweep) -> Result<(), Error> {
        sweep.repeats += u64::try_from(command.repeats.len()).unwrap_or(u64::MAX);
        let id = new_id("op").map_err(|_| Error::Command)?;
        let records =
            Command::ReverseRepeats(command).to_records(&id, self.actor).map_err(|_| Error::Command)?;
        self.log.append(COMMANDS_TOPIC, records).await?;
        sweep.commands.push(id);
        Ok(())
    }

    /// Waits until all commands were carried out or refused; answers whether all were carried out.
    async fn wait(&self, sweep: &Sweep, wait: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + wait;
        let sent = u64::try_from(sweep.commands.len()).unwrap_or(u64::MAX);
        if sent == 0 {
            return Ok(true);
        }
        loop {
            let Decided { applied, decided } = self
                .auditor
                .query(queries::AUDIT_COMMAND)
                .param("command_ids", &sweep.commands)
                .fetch_one()
                .await
                .map_err(|source| Error::store("the outcome of a command", source))?;
            if decided >= sent || Instant::now() >= deadline {
                return Ok(applied >= sent);
            }
            sleep(LOOK).await;
        }
    }
}

/// The condition that a record of the id lies in one of the ranges, whose bounds are parameters by number.
fn condition(new: &[New]) -> String {
    let ranges: Vec<String> = (0..new.len())
        .map(|index| {
            format!(
                "(topic = {{topic{index}:String}} AND partition = {{partition{index}:UInt32}} \
                 AND offset >= {{from{index}:UInt64}} AND offset < {{to{index}:UInt64}})"
            )
        })
        .collect();
    queries::AUDIT_REPEATS_NEW.text().replace("{{ranges}}", &ranges.join(" OR "))
}

/// Pairs each record but the first of its id with the first, unless it was reversed. First is the one with the smaller
/// log time, topic, partition and offset.
fn repeats(occurrences: Vec<Occurrence>, taken_back: Vec<TakenBack>) -> Vec<Repeat> {
    let taken_back: HashSet<RecordAt> = taken_back
        .into_iter()
        .map(|TakenBack { record_topic: topic, record_partition: partition, record_offset: offset }| {
            RecordAt { topic, partition, offset }
        })
        .collect();
    let mut by_id: BTreeMap<u128, Vec<(i64, RecordAt)>> = BTreeMap::new();
    for Occurrence {
        event_hash,
        record_topic: topic,
        record_partition: partition,
        record_offset: offset,
        log_ms,
    } in occurrences
    {
        by_id.entry(event_hash).or_default().push((log_ms, RecordAt { topic, partition, offset }));
    }
    let mut repeats = Vec::new();
    for mut records in by_id.into_values() {
        records.sort_unstable();
        let mut records = records.into_iter().map(|(_, record)| record);
        let Some(first) = records.next() else { continue };
        repeats.extend(
            records
                .filter(|record| !taken_back.contains(record))
                .map(|repeat| Repeat { repeat, first: first.clone() }),
        );
    }
    repeats
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: u32, offset: u64) -> RecordAt {
        RecordAt { topic: "t".into(), partition, offset }
    }

    fn occurrence(event_hash: u128, log_ms: i64, partition: u32, record_offset: u64) -> Occurrence {
        Occurrence {
            event_hash,
            record_topic: "t".into(),
            record_partition: partition,
            record_offset,
            log_ms,
        }
    }

    #[test]
    fn of_several_records_with_one_id_all_but_the_first_are_repeats_unless_they_were_reversed() {
        let occurrences = vec![
            occurrence(7, 30, 0, 9),
            occurrence(7, 20, 1, 5),
            occurrence(7, 20, 0, 6),
            occurrence(8, 1, 0, 1),
            occurrence(7, 40, 0, 2),
        ];
        let reversed = TakenBack { record_topic: "t".into(), record_partition: 0, record_offset: 9 };
        let found = repeats(occurrences, vec![reversed]);
        let first = at(0, 6);
        assert_eq!(
            found,
            [Repeat { repeat: at(1, 5), first: first.clone() }, Repeat { repeat: at(0, 2), first },]
        );
    }
}

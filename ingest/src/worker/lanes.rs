//! What the consuming thread knows of each partition: records that are not yet handed on, where the next batch
//! begins, and how far everything before it is posted.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ledger::event::Millis;

use super::{Config, chain};
use crate::batch::Chosen;
use crate::book::wall_clock;
use crate::intent::{DECODER, Intent, Mark};
use crate::metrics::Metrics;
use crate::progress::{self, Progress};
use crate::recover::lease_ms;
use crate::source::{Partition, Records, Source, digest};
use crate::store::Store;

/// The partitions of this worker.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Partition, Lane>,
}

struct Lane {
    epoch: u64,
    records: Records,
    since: Option<Instant>,
    /// Where the next batch begins.
    next: u64,
    /// How far the log is read: up to here nothing follows the last record but holes.
    reached: u64,
    /// The last record before it.
    before: Option<Mark>,
    /// Batches that were handed on: where each ends, and the log time of its first record, if it has one.
    under_way: VecDeque<(u64, Option<Millis>)>,
    /// Everything before this offset is posted.
    posted: u64,
    /// The offset of the last intent that was handed on; `None` before the first.
    announced: Option<u64>,
    /// An empty intent is due.
    idle: bool,
    /// Every record logged before this is posted.
    complete_through: Option<Millis>,
}

impl Lanes {
    pub(super) fn add(&mut self, partition: &Partition, epoch: u64, next: u64, before: Option<Mark>) {
        let lane = Lane {
            epoch,
            records: Records::default(),
            since: None,
            next,
            reached: next,
            before,
            under_way: VecDeque::new(),
            posted: next,
            announced: None,
            idle: false,
            complete_through: None,
        };
        self.lanes.insert(partition.clone(), lane);
    }

    pub(super) fn remove(&mut self, partition: &Partition) {
        self.lanes.remove(partition);
    }

    /// Forgets everything; answers what was there, to be recovered.
    pub(super) fn clear(&mut self) -> Vec<(Partition, u64)> {
        std::mem::take(&mut self.lanes).into_iter().map(|(partition, lane)| (partition, lane.epoch)).collect()
    }

    pub(super) fn take(&mut self, partition: &Partition, records: Records) {
        let Some(lane) = self.lanes.get_mut(partition) else { return };
        lane.since.get_or_insert_with(Instant::now);
        if lane.records.is_empty() {
            lane.records = records;
        } else {
            lane.records.append(&records);
        }
    }

    /// The log has nothing for us between the last record and that offset.
    pub(super) fn reach(&mut self, partition: &Partition, offset: u64) {
        let Some(lane) = self.lanes.get_mut(partition) else { return };
        lane.reached = lane.reached.max(offset);
    }

    pub(super) fn rows(&self) -> usize {
        self.lanes.values().map(|lane| lane.records.len()).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lanes.values().map(|lane| lane.records.bytes()).sum()
    }

    /// How long the oldest record has waited here; an idle partition's empty intent is always due.
    pub(super) fn age(&self) -> Duration {
        if self.lanes.values().any(|lane| lane.idle) {
            return Duration::MAX;
        }
        self.lanes
            .values()
            .filter_map(|lane| lane.since)
            .map(|since| since.elapsed())
            .max()
            .unwrap_or_default()
    }

    /// Everything up to `next` of the partition is posted.
    pub(super) fn posted(&mut self, partition: &Partition, next: u64) {
        let Some(lane) = self.lanes.get_mut(partition) else { return };
        lane.posted = lane.posted.max(next);
        while lane.under_way.front().is_some_and(|(end, _)| *end <= next) {
            lane.under_way.pop_front();
        }
    }

    /// Partitions without news get an intent without records, so that the group's lag reads 0: over the holes that
    /// follow the last record, or else an empty one.
    pub(super) fn wake_idle(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.idle = lane.records.is_empty()
                && lane.under_way.is_empty()
                && (lane.announced != Some(lane.next) || lane.reached > lane.next);
        }
    }

    /// One batch for each partition that has records, and one without for each that is idle. Without a position
    /// of the command log, that is for the command log itself, a batch is one record, and each knows those before.
    pub(super) fn choose(&mut self, commands_through: Option<u64>, config: &Config) -> Vec<Chosen> {
        let recorded_at = wall_clock();
        let mut chosen = Vec::new();
        for (partition, lane) in &mut self.lanes {
            if lane.records.is_empty() && !std::mem::take(&mut lane.idle) {
                continue;
            }
            let records = match commands_through {
                Some(_) => lane.take_all(),
                None => lane.take_one(),
            };
            let intent = lane.intent(&records, commands_through, config, recorded_at);
            lane.hand_on(&records, &intent);
            chosen.push(Chosen { partition: partition.clone(), epoch: lane.epoch, intent, records });
        }
        chosen
    }

    /// Tells the store how far each partition is; the error says what did not answer.
    pub(super) fn tell(
        &mut self,
        source: &dyn Source,
        store: &Store,
        worker: &str,
        commands_through: u64,
        metrics: &Metrics,
    ) -> Result<(), String> {
        let partitions = source.partitions().map_err(|error| chain(&error))?;
        if self.lanes.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(self.lanes.len());
        for (partition, lane) in &mut self.lanes {
            // Asked before the comparison: what is logged from now on is not claimed.
            let asked_at = wall_clock();
            let end = source.bounds(partition).map_err(|error| chain(&error))?.end;
            lane.complete(asked_at, end);
            metrics.lag(partition, end.saturating_sub(lane.posted), lane.complete_through);
            // A partition that was just taken over has nothing to say yet; what its last owner said stays.
            let Some(complete_through) = lane.complete_through else { continue };
            rows.push(Progress {
                topic: partition.topic.to_string(),
                partition: partition.number,
                partitions,
                next: lane.posted,
                end,
                complete_through,
                commands_through,
                worker: worker.to_owned(),
                seen_at: asked_at,
            });
        }
        progress::tell(store, &rows).map_err(|error| format!("the store: {}", chain(&error)))
    }
}

impl Lane {
    fn take_all(&mut self) -> Records {
        self.since = None;
        std::mem::take(&mut self.records)
    }

    fn take_one(&mut self) -> Records {
        let since = self.since;
        let mut all = self.take_all();
        let mut first = Records::default();
        let mut rest = Records::default();
        for (index, record) in all.iter().enumerate() {
            if index == 0 { first.push(record) } else { rest.push(record) }
        }
        if !rest.is_empty() {
            self.since = since;
        }
        std::mem::swap(&mut all, &mut rest);
        self.records = all;
        first
    }

    fn intent(
        &self,
        records: &Records,
        commands_through: Option<u64>,
        config: &Config,
        recorded_at: Millis,
    ) -> Intent {
        let last = records.last().map(|record| Mark { offset: record.offset, digest: digest(record.value) });
        let after_last = last.map_or(self.next, |mark| mark.offset + 1);
        Intent {
            first: self.next,
            // Records that stay here come before what was reached.
            next: if self.records.is_empty() { after_last.max(self.reached) } else { after_last },
            count: u64::try_from(records.len()).unwrap_or(u64::MAX),
            last,
            before: self.before,
            commands_through: commands_through.unwrap_or(self.next),
            recorded_at,
            dedup_window: config.dedup_window,
            decoder: DECODER,
            lease_ms: lease_ms(config.lease),
        }
    }

    fn hand_on(&mut self, records: &Records, intent: &Intent) {
        if !intent.is_empty() {
            self.under_way.push_back((intent.next, records.get(0).map(|first| first.log_time)));
        }
        self.before = intent.mark_after();
        self.next = intent.next;
        self.announced = Some(intent.first);
    }

    /// What is complete: up to the oldest record that is not posted, or up to now where the end was reached.
    fn complete(&mut self, asked_at: Millis, end: u64) {
        let under_way = self.under_way.iter().find_map(|(_, time)| *time);
        let oldest = under_way.or(self.records.get(0).map(|first| first.log_time));
        let statement = match oldest {
            Some(time) => Some(time),
            None if self.posted >= end => Some(asked_at),
            None => None,
        };
        self.complete_through = self.complete_through.max(statement);
    }
}

//! Reads a topic from its beginning to the last of so many records, by the source that the worker uses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ingest::batch::Chosen;
use ingest::book::wall_clock;
use ingest::intent::{DECODER, Intent, Mark};
use ingest::source::{Announcement, Change, Inbox, Partition, Records, Source, digest};

const POLL: Duration = Duration::from_millis(50);
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic being read.
pub(super) struct Reader {
    source: Box<dyn Source>,
    inbox: Inbox,
    places: BTreeMap<Partition, Place>,
    left: u64,
}

/// Where a partition's next batch begins.
struct Place {
    epoch: u64,
    next: u64,
    before: Option<Mark>,
}

/// What batches are made under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) rows_max: usize,
    pub(super) commands_through: u64,
    pub(super) dedup_window: u64,
}

impl Reader {
    /// Waits until every partition is assigned, and starts each at its beginning.
    ///
    /// # Errors
    /// Where the source does not assign them within a minute.
    pub(super) fn open(mut source: Box<dyn Source>, count: u32) -> anyhow::Result<Self> {
        let (mut inbox, mut places) = (Inbox::default(), BTreeMap::new());
        let deadline = Instant::now() + PATIENCE;
        let partitions = usize::try_from(source.partitions()?)?;
        while places.len() < partitions {
            ensure!(Instant::now() < deadline, "the source assigned no partition within {PATIENCE:?}");
            source.poll(POLL, &mut inbox)?;
            for change in std::mem::take(&mut inbox.changes) {
                if let Change::Assigned(partition, epoch) = change {
                    places.insert(partition, Place { epoch, next: 0, before: None });
                }
            }
        }
        for partition in places.keys() {
            source.start(partition, 0)?;
        }
        Ok(Self { source, inbox, places, left: u64::from(count) })
    }

    /// The next records, as they come; nothing when all were read.
    ///
    /// # Errors
    /// Where the source cannot go on, or nothing comes for a minute.
    pub(super) fn poll(&mut self) -> anyhow::Result<&mut Inbox> {
        let deadline = Instant::now() + PATIENCE;
        let before = rows(&self.inbox);
        while self.left > 0 {
            self.source.poll(POLL, &mut self.inbox)?;
            let came = rows(&self.inbox) - before;
            if came > 0 {
                self.left = self.left.saturating_sub(u64::try_from(came)?);
                break;
            }
            ensure!(Instant::now() < deadline, "{} records have not come after {PATIENCE:?}", self.left);
        }
        Ok(&mut self.inbox)
    }

    /// Whether there is more to come.
    pub(super) fn is_at_end(&self) -> bool {
        self.left == 0
    }

    /// The next round: so many records, or what is left; none when all were read. Each partition's share is chosen
    /// as the worker chooses it.
    ///
    /// # Errors
    /// Where the source cannot go on.
    pub(super) fn round(&mut self, terms: Terms) -> anyhow::Result<Vec<Chosen>> {
        while !self.is_at_end() && rows(&self.inbox) < terms.rows_max {
            self.poll()?;
        }
        let mut chosen = Vec::new();
        for (partition, records) in std::mem::take(&mut self.inbox.records) {
            let place =
                self.places.get_mut(&partition).context("records of a partition that is not assigned")?;
            let intent = place.intent(&records, terms);
            chosen.push(Chosen { partition, epoch: place.epoch, intent, records });
        }
        Ok(chosen)
    }

    /// Commits how far each partition was written, as a plain consumer does.
    ///
    /// # Errors
    /// Where the source refuses.
    pub(super) fn commit(&self, reached: &BTreeMap<Partition, u64>) -> anyhow::Result<()> {
        let round: Vec<_> = reached
            .iter()
            .filter_map(|(partition, offset)| {
                let epoch = self.places.get(partition)?.epoch;
                Some(Announcement {
                    partition: partition.clone(),
                    epoch,
                    offset: *offset,
                    metadata: String::new(),
                })
            })
            .collect();
        Ok(self.source.announcer().announce(&round)?)
    }
}

impl Place {
    fn intent(&mut self, records: &Records, terms: Terms) -> Intent {
        let last = records.last().map(|record| Mark { offset: record.offset, digest: digest(record.value) });
        let intent = Intent {
            first: self.next,
            next: last.map_or(self.next, |mark| mark.offset + 1),
            count: u64::try_from(records.len()).unwrap_or(u64::MAX),
            last,
            before: self.before,
            commands_through: terms.commands_through,
            recorded_at: wall_clock(),
            dedup_window: terms.dedup_window,
            decoder: DECODER,
            lease_ms: 0,
        };
        self.before = intent.mark_after();
        self.next = intent.next;
        intent
    }
}

fn rows(inbox: &Inbox) -> usize {
    inbox.records.values().map(Records::len).sum()
}

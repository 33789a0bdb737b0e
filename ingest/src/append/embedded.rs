//! Appends to the embedded journal. Records of one append go to their partitions at once, each partition's share
//! whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use futures::future::{BoxFuture, try_join_all};
use journal::Journal;
use schemas::log::{Error, Log, NewRecord, Position};
use xxhash_rust::xxh3::xxh3_64;

/// The journal as a log.
#[derive(Clone, Debug)]
pub struct JournalLog {
    journal: Journal,
    /// The topic that a check asks for.
    topic: Arc<str>,
    /// Takes the records without a key through the partitions.
    turn: Arc<AtomicU32>,
}

/// The records of one partition, and where each stood in the append.
#[derive(Default)]
struct Share {
    places: Vec<usize>,
    records: Vec<journal::NewRecord>,
}

impl JournalLog {
    /// The log in that journal. A check asks for `topic`, which the journal must have been opened with.
    #[must_use]
    pub fn new(journal: Journal, topic: &str) -> Self {
        Self { journal, topic: topic.into(), turn: Arc::default() }
    }

    async fn append_all(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Position>, Error> {
        let count = records.len();
        let partitions = self.journal.partitions(topic).map_err(failed)?;
        let mut shares: BTreeMap<u32, Share> = BTreeMap::new();
        for (place, record) in records.into_iter().enumerate() {
            let share = shares.entry(self.partition(record.key.as_deref(), partitions)).or_default();
            share.places.push(place);
            share.records.push(journal::NewRecord {
                key: record.key.map(Into::into),
                value: record.value.map(Into::into),
                headers: record.headers,
            });
        }
        let appends = shares.into_iter().map(|(partition, share)| async move {
            let appended =
                self.journal.append_async(topic, partition, share.records).await.map_err(failed)?;
            let offsets = appended.first_offset..;
            let positions = offsets.map(|offset| Position { partition, offset });
            Ok(share.places.into_iter().zip(positions).collect::<Vec<_>>())
        });
        let mut placed: Vec<(usize, Position)> = try_join_all(appends).await?.into_iter().flatten().collect();
        assert_eq!(placed.len(), count, "every record is in exactly one share");
        placed.sort_unstable_by_key(|(place, _)| *place);
        Ok(placed.into_iter().map(|(_, position)| position).collect())
    }

    /// The partition of a key: always the same while the topic does not grow. Records without a key take turns.
    fn partition(&self, key: Option<&[u8]>, partitions: u32) -> u32 {
        if partitions <= 1 {
            return 0;
        }
        match key {
            Some(key) => u32::try_from(xxh3_64(key) % u64::from(partitions)).unwrap_or(0),
            None => self.turn.fetch_add(1, Ordering::Relaxed) % partitions,
        }
    }
}

impl Log for JournalLog {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(self.append_all(topic, records))
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), Error>> {
        // A wait that is over at once: it says whether the journal still works, and touches no disk.
        let waited = self.journal.wait(&self.topic, 0, u64::MAX, Instant::now());
        Box::pin(async move { waited.map(drop).map_err(failed) })
    }
}

fn failed(error: journal::Error) -> Error {
    match error {
        journal::Error::TooLarge { size, size_max, .. } => {
            Error::TooLarge { bytes: size, bytes_max: size_max }
        }
        error => Error::Unavailable { detail: format!("embedded log: {error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str) -> NewRecord {
        NewRecord {
            key: Some(key.into()),
            value: Some(value.into()),
            headers: vec![("content-type".to_owned(), b"application/avro".to_vec())],
        }
    }

    fn open(partitions: u32) -> (tempfile::TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(journal::Config::new(folder.path()), &[("events", partitions)]).unwrap();
        (folder, journal)
    }

    #[tokio::test]
    async fn every_record_lies_where_its_position_says_with_key_and_headers() {
        let (_folder, journal) = open(3);
        let log = JournalLog::new(journal.clone(), "events");
        let records: Vec<_> = (0..40).map(|n| record(&format!("r{}", n % 7), &format!("v{n}"))).collect();
        let positions = log.append("events", records.clone()).await.unwrap();
        assert_eq!(positions.len(), 40);
        for (sent, position) in records.iter().zip(&positions) {
            let read = journal.read("events", position.partition, position.offset, 1).unwrap();
            assert_eq!(read[0].offset, position.offset);
            assert_eq!(read[0].key.as_deref(), sent.key.as_deref());
            assert_eq!(read[0].value.as_deref(), sent.value.as_deref());
            assert_eq!(read[0].headers.get("content-type"), Some(b"application/avro".as_slice()));
        }
    }

    #[tokio::test]
    async fn records_of_one_key_share_a_partition_and_stay_in_order() {
        let (_folder, journal) = open(4);
        let log = JournalLog::new(journal, "events");
        let first =
            log.append("events", vec![record("a", "1"), record("b", "2"), record("a", "3")]).await.unwrap();
        let second = log.append("events", vec![record("a", "4")]).await.unwrap();
        assert_eq!(first[0].partition, first[2].partition);
        assert!(first[0] < first[2] && first[2] < second[0]);
    }

    #[tokio::test]
    async fn records_without_a_key_are_spread_over_the_partitions() {
        let (_folder, journal) = open(2);
        let log = JournalLog::new(journal, "events");
        let record = NewRecord { value: Some(b"x".to_vec()), ..NewRecord::default() };
        let positions = log.append("events", vec![record.clone(), record.clone(), record]).await.unwrap();
        let partitions: Vec<u32> = positions.iter().map(|position| position.partition).collect();
        assert_eq!(partitions, [0, 1, 0]);
    }

    #[tokio::test]
    async fn nothing_to_append_is_answered_with_no_positions() {
        let (_folder, journal) = open(1);
        assert_eq!(JournalLog::new(journal, "events").append("events", Vec::new()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_closed_journal_and_an_unknown_topic_are_named() {
        let (_folder, journal) = open(1);
        let log = JournalLog::new(journal.clone(), "events");
        log.check().await.unwrap();
        let unknown = log.append("elsewhere", vec![record("a", "1")]).await.unwrap_err().to_string();
        assert!(unknown.contains("elsewhere"), "{unknown}");
        tokio::task::spawn_blocking(move || journal.close()).await.unwrap();
        assert!(log.check().await.unwrap_err().to_string().contains("embedded log"));
        assert!(matches!(log.append("events", vec![record("a", "1")]).await, Err(Error::Unavailable { .. })));
    }
}

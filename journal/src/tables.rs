//! The tables of the store: what is in them, and how topics and partitions are added and loaded.

use std::collections::{BTreeMap, HashMap};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};

use crate::block;
use crate::partition::{Directory, Key, OldestBlock, Partition};

/// Blocks by topic id, partition and first offset.
pub(crate) const BLOCKS: TableDefinition<'_, BlockKey, &[u8]> = TableDefinition::new("blocks");
/// Low, end, last timestamp and bytes of each partition.
pub(crate) const PARTITIONS: TableDefinition<'_, Key, PartitionRow> = TableDefinition::new("partitions");
/// Offset and metadata by group, topic id and partition.
pub(crate) const CURSORS: TableDefinition<'_, (&str, u32, u32), (u64, &str)> =
    TableDefinition::new("cursors");
/// Id and number of partitions by name.
const TOPICS: TableDefinition<'_, &str, (u32, u32)> = TableDefinition::new("topics");
/// The version of all this, under [`LAYOUT_KEY`].
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

const LAYOUT_KEY: &str = "layout";
/// The version that this program reads and writes.
pub(crate) const LAYOUT: u64 = 1;

pub(crate) type BlockKey = (u32, u32, u64);
type PartitionRow = (u64, u64, u64, u64);

/// A topic as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) partitions: u32,
}

/// The layout of the file; `None` where it is new.
pub(crate) fn layout(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(ABOUT) {
        Ok(about) => Ok(about.get(LAYOUT_KEY)?.map(|layout| layout.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes all tables of a new file.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), redb::Error> {
    txn.open_table(BLOCKS)?;
    txn.open_table(PARTITIONS)?;
    txn.open_table(CURSORS)?;
    txn.open_table(TOPICS)?;
    txn.open_table(ABOUT)?.insert(LAYOUT_KEY, LAYOUT)?;
    Ok(())
}

/// All topics in the order of their ids.
pub(crate) fn topics(database: &Database) -> Result<Vec<Topic>, redb::Error> {
    let rows = database.begin_read()?.open_table(TOPICS)?;
    let mut topics = Vec::new();
    for row in rows.iter()? {
        let (name, about) = row?;
        let (id, partitions) = about.value();
        topics.push(Topic { name: name.value().to_owned(), id, partitions });
    }
    topics.sort_by_key(|topic| topic.id);
    Ok(topics)
}

/// Stores a topic that is new or has grown, and its partitions that are not there yet.
pub(crate) fn put_topic(txn: &WriteTransaction, topic: &Topic) -> Result<(), redb::Error> {
    txn.open_table(TOPICS)?.insert(topic.name.as_str(), (topic.id, topic.partitions))?;
    let mut rows = txn.open_table(PARTITIONS)?;
    for number in 0..topic.partitions {
        if rows.get((topic.id, number))?.is_none() {
            rows.insert((topic.id, number), (0, 0, 0, 0))?;
        }
    }
    Ok(())
}

/// Stores what a transaction changed of a partition, its blocks and cursors aside.
pub(crate) fn put_partition(txn: &WriteTransaction, partition: &Partition) -> Result<(), redb::Error> {
    let row = (partition.low, partition.end, partition.timestamp_ms, partition.bytes);
    txn.open_table(PARTITIONS)?.insert(partition.key, row)?;
    Ok(())
}

/// Low and end of a partition.
pub(crate) fn bounds(txn: &ReadTransaction, key: Key) -> Result<(u64, u64), redb::Error> {
    let row = txn.open_table(PARTITIONS)?.get(key)?;
    Ok(row.map_or((0, 0), |row| (row.value().0, row.value().1)))
}

/// Where a group stands, with its metadata.
pub(crate) fn cursor(
    database: &Database,
    group: &str,
    (topic, number): Key,
) -> Result<Option<(u64, String)>, redb::Error> {
    let row = database.begin_read()?.open_table(CURSORS)?.get((group, topic, number))?;
    Ok(row.map(|row| (row.value().0, row.value().1.to_owned())))
}

/// All partitions in the order of topic id and number, and where each topic's begin among them.
pub(crate) fn load(database: &Database) -> Result<(Directory, Vec<Partition>), redb::Error> {
    let mut directory = Directory::default();
    for topic in topics(database)? {
        directory.add(topic.name, topic.partitions);
    }
    let txn = database.begin_read()?;
    let blocks = txn.open_table(BLOCKS)?;
    let mut partitions = Vec::new();
    let mut places = HashMap::new();
    for row in txn.open_table(PARTITIONS)?.iter()? {
        let (key, row) = row?;
        let (low, end, timestamp_ms, bytes) = row.value();
        let key = key.value();
        let oldest = oldest_block(&blocks, key, low)?;
        places.insert(key, partitions.len());
        partitions.push(Partition { key, low, end, timestamp_ms, bytes, oldest, cursors: BTreeMap::new() });
    }
    for row in txn.open_table(CURSORS)?.iter()? {
        let (key, row) = row?;
        let (group, topic, number) = key.value();
        if let Some(place) = places.get(&(topic, number)) {
            partitions[*place].cursors.insert(group.to_owned(), row.value().0);
        }
    }
    Ok((directory, partitions))
}

/// The first block of a partition, which begins at `low`.
pub(crate) fn oldest_block(
    blocks: &impl ReadableTable<BlockKey, &'static [u8]>,
    (topic, number): Key,
    low: u64,
) -> Result<Option<OldestBlock>, redb::Error> {
    let Some(block) = blocks.get((topic, number, low))? else { return Ok(None) };
    let block = block.value();
    let head = block::head(block).ok_or_else(|| {
        redb::Error::Corrupted(format!("the block at {low} of {topic}/{number} has no head"))
    })?;
    let bytes = u64::try_from(block.len()).unwrap_or(u64::MAX);
    Ok(Some(OldestBlock { next: low + head.count, timestamp_ms: head.timestamp_ms, bytes }))
}

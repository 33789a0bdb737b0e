//! Which blocks are dropped: the oldest ones beyond the bounds on bytes and age, never one that a group still wants.

use redb::{Table, WriteTransaction};

use crate::Config;
use crate::partition::{OldestBlock, Partition};
use crate::tables::{BLOCKS, BlockKey, oldest_block};

/// One transaction drops no more blocks than this, so that appends do not wait long for it.
const DROPPED_BLOCKS_MAX: u64 = 256;

type Blocks<'txn> = Table<'txn, BlockKey, &'static [u8]>;

/// Whether there is a block to drop at `now_ms`.
pub(crate) fn is_due(partitions: &[Partition], config: &Config, now_ms: u64) -> bool {
    next_to_drop(partitions, config, now_ms).is_some()
}

/// Drops what is due within a transaction, and tells how many blocks that were.
pub(crate) fn trim(
    txn: &WriteTransaction,
    partitions: &mut [Partition],
    config: &Config,
    now_ms: u64,
) -> Result<u64, redb::Error> {
    let mut dropped = 0;
    if !is_due(partitions, config, now_ms) {
        return Ok(dropped);
    }
    let mut blocks = txn.open_table(BLOCKS)?;
    while dropped < DROPPED_BLOCKS_MAX {
        let Some((place, block)) = next_to_drop(partitions, config, now_ms) else { break };
        drop_block(&mut blocks, &mut partitions[place], block)?;
        dropped += 1;
    }
    Ok(dropped)
}

/// The place of the partition with the oldest block that no group wants any more, if the bounds ask for it to go.
fn next_to_drop(partitions: &[Partition], config: &Config, now_ms: u64) -> Option<(usize, OldestBlock)> {
    let bytes: u64 = partitions.iter().map(|partition| partition.bytes).sum();
    let (place, block) = partitions
        .iter()
        .enumerate()
        .filter_map(|(place, partition)| Some((place, partition.oldest?, wanted_from(partition))))
        .filter(|(_, block, wanted_from)| block.next <= *wanted_from)
        .map(|(place, block, _)| (place, block))
        .min_by_key(|(_, block)| block.timestamp_ms)?;
    let age_ms = now_ms.saturating_sub(block.timestamp_ms);
    let is_due = bytes > config.retention_bytes_max || age_ms > config.retention_age_ms_max;
    is_due.then_some((place, block))
}

/// Where the slowest group stands; 0 where no group has committed.
fn wanted_from(partition: &Partition) -> u64 {
    partition.cursors.values().min().copied().unwrap_or(0)
}

fn drop_block(
    blocks: &mut Blocks<'_>,
    partition: &mut Partition,
    block: OldestBlock,
) -> Result<(), redb::Error> {
    let (topic, number) = partition.key;
    blocks.remove((topic, number, partition.low))?;
    partition.low = block.next;
    partition.bytes = partition.bytes.saturating_sub(block.bytes);
    partition.oldest = oldest_block(blocks, partition.key, partition.low)?;
    Ok(())
}

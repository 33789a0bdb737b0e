-- What `tollbook audit --repair` did, written before it did it: who, when, why, what was seen and what it came to.
-- `lost` counts the offsets of [first, next) that are neither in the log any more nor in the ledger, if the batch
-- that closes the range names this repair as its worker. A repair whose id no command bears is still to be
-- recorded in the command log.
CREATE TABLE IF NOT EXISTS repairs
(
    repair_id   String,
    repaired_at DateTime64(3, 'UTC'),
    actor       String,
    reason      String,
    topic       LowCardinality(String),
    partition   UInt32,
    action      LowCardinality(String),
    first       UInt64,
    next        UInt64,
    lost        UInt64,
    seen        String CODEC(ZSTD(3))
)
ENGINE = MergeTree
ORDER BY (topic, partition, first, repair_id)
SETTINGS non_replicated_deduplication_window = 1000

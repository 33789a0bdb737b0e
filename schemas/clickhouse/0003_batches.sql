-- One row closes one batch: what was read in [first, next) and what became of it. Batches of a partition tile.
-- received = next - first - holes = entries_records + duplicates + quarantined, where a record that made several
-- entries counts once.
CREATE TABLE IF NOT EXISTS batches
(
    topic            LowCardinality(String),
    partition        UInt32,
    first            UInt64,
    next             UInt64,
    received         UInt64,
    posted           UInt64,
    entries          UInt64,
    duplicates       UInt64,
    quarantined      UInt64,
    holes            UInt64,
    duplicates_at    Array(UInt64) CODEC(Delta, ZSTD(1)),
    last_offset      UInt64,
    last_digest      UInt64,
    log_time_max     DateTime64(3, 'UTC'),
    recorded_at      DateTime64(3, 'UTC'),
    commands_through UInt64,
    dedup_window     UInt64,
    decoder          UInt32,
    decoder_closed   UInt32,
    worker           String,
    healed           UInt8,
    write_before     DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (topic, partition, first)
SETTINGS non_replicated_deduplication_window = 10000

-- Records that were not posted, one row each, with their origin, a reason from a closed list and their bytes
-- (secrets redacted). Of a record over 256 KiB `raw` holds the first 64 KiB; length and digest are of all of it.
CREATE TABLE IF NOT EXISTS quarantine
(
    topic        LowCardinality(String),
    partition    UInt32,
    offset       UInt64 CODEC(Delta, ZSTD(1)),
    ordinal      UInt32 CODEC(ZSTD(1)),
    log_time     DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    recorded_at  DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    reason       LowCardinality(String),
    detail       String CODEC(ZSTD(1)),
    event_id     String CODEC(ZSTD(1)),
    customer     LowCardinality(String),
    team         LowCardinality(String),
    content_type LowCardinality(String),
    raw          String CODEC(ZSTD(3)),
    raw_length   UInt64 CODEC(ZSTD(1)),
    raw_sha256   FixedString(32),
    redacted     UInt8 CODEC(ZSTD(1)),
    write_before DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(log_time)
ORDER BY (topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

-- Published price rows, append-only. `body` is the row as JSON text with every digit as it was published;
-- `effective_from` is null where the row holds from the beginning of time. `known_from` is the log time of the
-- command that published it.
CREATE TABLE IF NOT EXISTS model_rows
(
    topic          LowCardinality(String),
    partition      UInt32,
    offset         UInt64,
    ordinal        UInt32,
    row_id         String,
    provider       LowCardinality(String),
    model          String,
    currency       LowCardinality(String),
    effective_from Nullable(DateTime64(3, 'UTC')),
    known_from     DateTime64(3, 'UTC'),
    source         LowCardinality(String),
    source_version LowCardinality(String),
    body           String CODEC(ZSTD(3)),
    write_before   DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

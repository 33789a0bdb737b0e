-- Accounts by version, append-only: who is invoiced. `kind` is customer or team. `effective_from` is null where it holds from the beginning of time, `ended` where
-- the version ends it; `customer` and `team` say whom it concerns. `body` is JSON text with every digit as it was set.
CREATE TABLE IF NOT EXISTS accounts
(
    topic          LowCardinality(String),
    partition      UInt32,
    offset         UInt64,
    ordinal        UInt32,
    id             String,
    kind           LowCardinality(String),
    version        UInt32,
    effective_from Nullable(DateTime64(3, 'UTC')),
    known_from     DateTime64(3, 'UTC'),
    ended          UInt8,
    customer       LowCardinality(String),
    team           LowCardinality(String),
    body           String CODEC(ZSTD(3)),
    write_before   DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

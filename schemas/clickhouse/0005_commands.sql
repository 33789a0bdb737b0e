-- One row for each record of the command log: who asked for which change, when, and what came of it. This is
-- the audit log, in one total order. A command that travels in parts takes effect with its last part; the parts
-- before it are kept here, so that a command survives the expiry of the log.
CREATE TABLE IF NOT EXISTS commands
(
    topic        LowCardinality(String),
    partition    UInt32,
    offset       UInt64,
    ordinal      UInt32,
    command_id   String,
    name         LowCardinality(String),
    actor        String,
    log_time     DateTime64(3, 'UTC'),
    recorded_at  DateTime64(3, 'UTC'),
    part         UInt32,
    parts        UInt32,
    body         String CODEC(ZSTD(3)),
    outcome      LowCardinality(String),
    detail       String CODEC(ZSTD(1)),
    result       String CODEC(ZSTD(1)),
    write_before DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

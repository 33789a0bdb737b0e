-- What was decided about records in quarantine, and by whom; written by commands, whose origin each row carries.
-- `replayed`: the record, or `event` in its place where that is not empty, is sent to the usage topic again.
-- `discarded`: it is let go. `logged`: the event of a replay lies in the log, at `logged_…`. A record has at most
-- one row of the first two kinds, and one of the third after `replayed`; one without a row is open.
CREATE TABLE IF NOT EXISTS quarantine_resolutions
(
    topic            LowCardinality(String),
    partition        UInt32,
    offset           UInt64,
    ordinal          UInt32,
    record_topic     LowCardinality(String),
    record_partition UInt32,
    record_offset    UInt64,
    state            LowCardinality(String),
    event            String CODEC(ZSTD(3)),
    logged_topic     LowCardinality(String),
    logged_partition UInt32,
    logged_offset    UInt64,
    command_id       String,
    actor            String,
    note             String CODEC(ZSTD(1)),
    resolved_at      DateTime64(3, 'UTC'),
    write_before     DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (record_topic, record_partition, record_offset, topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

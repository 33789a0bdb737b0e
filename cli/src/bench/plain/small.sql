-- What a consumer would write that nobody asks much of: 24 columns, no projection, no index.
CREATE TABLE small
(
    event_id String,
    request_id String,
    occurred_at DateTime64(3, 'UTC'),
    partition UInt32,
    offset UInt64,
    key LowCardinality(String),
    team LowCardinality(String),
    app LowCardinality(String),
    environment LowCardinality(String),
    customer LowCardinality(String),
    project LowCardinality(String),
    end_user String,
    workflow LowCardinality(String),
    endpoint_family LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    status UInt16,
    stream UInt8,
    latency_ms UInt64,
    input_uncached_tokens Int64,
    input_cache_read_tokens Int64,
    output_text_tokens Int64,
    cost Decimal(38, 18),
    usage String
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (toStartOfHour(occurred_at), customer, team, key, model, occurred_at)

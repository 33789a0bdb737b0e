-- API tokens by the SHA-256 of their text, which has 256 random bits; the text itself is nowhere. The row with
-- the highest origin is a token's present state. The very first admin token is minted by the migration, with the
-- topic 'migrate', where there is none; every later one by a command.
CREATE TABLE IF NOT EXISTS api_tokens
(
    topic        LowCardinality(String),
    partition    UInt32,
    offset       UInt64,
    ordinal      UInt32,
    token_id     String,
    name         String,
    secret_hash  FixedString(32),
    scopes       Array(LowCardinality(String)),
    customers    Array(String),
    teams        Array(String),
    created_at   DateTime64(3, 'UTC'),
    expires_at   Nullable(DateTime64(3, 'UTC')),
    revoked      UInt8,
    write_before DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (token_id, topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

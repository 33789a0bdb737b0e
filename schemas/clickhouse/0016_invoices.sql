-- Closed invoices, append-only: one row for each account, month and currency. `cut` holds, for each partition, the
-- offset before which entries belong to it; what comes later is an adjustment on the next one. `body` is the invoice
-- with all its lines as canonical JSON text, and `hash` the SHA-256 of that text.
CREATE TABLE IF NOT EXISTS invoices
(
    topic          LowCardinality(String),
    partition      UInt32,
    offset         UInt64,
    ordinal        UInt32,
    invoice_id     String,
    kind           LowCardinality(String),
    account        String,
    month          LowCardinality(String),
    currency       LowCardinality(String),
    period_from    DateTime64(3, 'UTC'),
    period_to      DateTime64(3, 'UTC'),
    cut_topics     Array(String),
    cut_partitions Array(UInt32),
    cut_nexts      Array(UInt64),
    total          Decimal(38, 18),
    exact_usage    Decimal(38, 18),
    hash           String,
    body           String CODEC(ZSTD(3)),
    closed_at      DateTime64(3, 'UTC'),
    write_before   DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (kind, account, month, currency, topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

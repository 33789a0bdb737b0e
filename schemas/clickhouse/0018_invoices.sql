-- Closed invoices, append-only: one row for each account, month and currency. `cut` holds, for each partition, the
-- offset up to which entries belong to it; what comes later is an adjustment on the next one. `hash` is over the
-- canonical text of the invoice with all its lines. The row is written after its lines, so that an invoice without
-- lines is never seen.
CREATE TABLE IF NOT EXISTS invoices
(
    topic            LowCardinality(String),
    partition        UInt32,
    offset           UInt64,
    ordinal          UInt32,
    invoice_id       String,
    kind             LowCardinality(String),
    account          String,
    name             String,
    month            Date,
    currency         LowCardinality(String),
    time_zone        LowCardinality(String),
    period_from      DateTime64(3, 'UTC'),
    period_to        DateTime64(3, 'UTC'),
    cut_topics       Array(LowCardinality(String)),
    cut_partitions   Array(UInt32),
    cut_nexts        Array(UInt64),
    lines            UInt32,
    total            Decimal(38, 18),
    exact_usage      Decimal(38, 18),
    accepted         Array(String),
    reason           String,
    complete_through Nullable(DateTime64(3, 'UTC')),
    commands_through UInt64,
    hash             String,
    closed_at        DateTime64(3, 'UTC'),
    closed_by        String,
    write_before     DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (kind, account, month, currency, topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

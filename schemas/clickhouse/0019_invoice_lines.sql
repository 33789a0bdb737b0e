-- The lines of closed invoices, numbered from 1. Of usage and adjustments, model, unit and price say what; of any
-- other line `model` is the description. `amount` is `exact_amount` rounded once to the currency's minor unit.
CREATE TABLE IF NOT EXISTS invoice_lines
(
    topic        LowCardinality(String),
    partition    UInt32,
    offset       UInt64,
    ordinal      UInt32,
    invoice_id   String,
    number       UInt32,
    kind         LowCardinality(String),
    adjusts      LowCardinality(String),
    team         LowCardinality(String),
    model        LowCardinality(String),
    unit         LowCardinality(String),
    unit_price   String,
    quantity     Decimal(38, 18),
    exact_amount Decimal(38, 18),
    amount       Decimal(38, 18),
    write_before DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3)
)
ENGINE = MergeTree
ORDER BY (invoice_id, number, topic, partition, offset, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

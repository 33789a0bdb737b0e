-- The ledger: one row per posted entry, append-only.
-- ORDER BY begins with the quarter hour, because every question has a period, then goes from the few
-- (customers) to the many (keys), PARTITION BY month bounds a month's work and its retention.
-- The rollups are aggregate projections: they live inside the part, so that one rename commits both and
-- a rollup can never disagree with its entries. `operation` is a key of each, so that a reader can leave
-- out operations that are not finished. Sums are cast to 76 digits: sum(Decimal(38, …)) wraps silently.
-- `write_before` is the writer's lease: the server refuses a writer that was stopped and continued.
CREATE TABLE IF NOT EXISTS entries
(
    event_id         String CODEC(ZSTD(1)),
    event_hash       UInt128,
    content_hash     UInt64,
    request_id       String CODEC(ZSTD(1)),
    occurred_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    recorded_at      DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    log_time         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),

    topic            LowCardinality(String),
    partition        UInt32 CODEC(ZSTD(1)),
    offset           UInt64 CODEC(Delta, ZSTD(1)),
    ordinal          UInt32 CODEC(ZSTD(1)),
    kind             LowCardinality(String),
    operation        UInt64 CODEC(ZSTD(1)),

    key              LowCardinality(String),
    team             LowCardinality(String),
    app              LowCardinality(String),
    environment      LowCardinality(String),
    customer         LowCardinality(String),
    project          LowCardinality(String),
    end_user         String CODEC(ZSTD(1)),
    workflow         LowCardinality(String),
    tags             Map(LowCardinality(String), String) CODEC(ZSTD(1)),

    endpoint_family  LowCardinality(String),
    provider         LowCardinality(String),
    provider_account LowCardinality(String),
    model            LowCardinality(String),
    alias            LowCardinality(String),
    credential       LowCardinality(String),
    route            LowCardinality(String),
    region           LowCardinality(String),
    service_tier     LowCardinality(String),
    processing       LowCardinality(String),
    speed            LowCardinality(String),
    attempt          UInt32 CODEC(ZSTD(1)),
    attempt_kind     LowCardinality(String),
    fallback_from    LowCardinality(String),
    status           UInt16 CODEC(ZSTD(1)),
    error_class      LowCardinality(String),
    outcome          LowCardinality(String),
    stream           UInt8 CODEC(ZSTD(1)),
    latency_ms       UInt64 CODEC(T64, ZSTD(1)),
    ttft_ms          UInt64 CODEC(T64, ZSTD(1)),
    gateway_cache    LowCardinality(String),
    gateway          LowCardinality(String),
    gateway_seq      UInt64 CODEC(ZSTD(1)),

    attempts         Int8 CODEC(ZSTD(1)),
    requests         Int8 CODEC(ZSTD(1)),
    unpriced         Int8 CODEC(ZSTD(1)),
    unpriced_units   Array(LowCardinality(String)) CODEC(ZSTD(1)),
    flags            Array(LowCardinality(String)) CODEC(ZSTD(1)),

    model_row        LowCardinality(String),
    matched_by       LowCardinality(String),
    -- Conditions of the row's prices that held, and the price dimensions that have no column of their own.
    conditions       LowCardinality(String),
    dimensions       LowCardinality(String),
    currency         LowCardinality(String),

    input_uncached_tokens       Int64 CODEC(T64, ZSTD(1)),
    input_cache_read_tokens     Int64 CODEC(T64, ZSTD(1)),
    input_cache_write_tokens    Int64 CODEC(T64, ZSTD(1)),
    input_cache_write_5m_tokens Int64 CODEC(T64, ZSTD(1)),
    input_cache_write_1h_tokens Int64 CODEC(T64, ZSTD(1)),
    output_text_tokens          Int64 CODEC(T64, ZSTD(1)),
    output_reasoning_tokens     Int64 CODEC(T64, ZSTD(1)),

    input_uncached_price        Decimal(38, 18) CODEC(ZSTD(1)),
    input_cache_read_price      Decimal(38, 18) CODEC(ZSTD(1)),
    input_cache_write_price     Decimal(38, 18) CODEC(ZSTD(1)),
    input_cache_write_5m_price  Decimal(38, 18) CODEC(ZSTD(1)),
    input_cache_write_1h_price  Decimal(38, 18) CODEC(ZSTD(1)),
    output_text_price           Decimal(38, 18) CODEC(ZSTD(1)),
    output_reasoning_price      Decimal(38, 18) CODEC(ZSTD(1)),

    -- Every other line, and a line of a fixed unit whose quantity × price is not exact at 18 decimals.
    line_units       Array(LowCardinality(String)) CODEC(ZSTD(1)),
    line_quantities  Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    line_prices      Array(String) CODEC(ZSTD(1)),
    line_amounts     Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    -- Units whose price is not their own: how each was come by.
    basis_units      Array(LowCardinality(String)) CODEC(ZSTD(1)),
    bases            Array(LowCardinality(String)) CODEC(ZSTD(1)),
    -- What a gateway cache hit would have used and cost.
    avoided_units      Array(LowCardinality(String)) CODEC(ZSTD(1)),
    avoided_quantities Array(Decimal(38, 18)) CODEC(ZSTD(1)),
    cost_avoided     Decimal(38, 18) CODEC(ZSTD(1)),

    list_cost        Decimal(38, 18) CODEC(ZSTD(1)),
    cost             Decimal(38, 18) CODEC(ZSTD(1)),
    charge           Decimal(38, 18) CODEC(ZSTD(1)),

    reported_amount   String CODEC(ZSTD(1)),
    reported_currency LowCardinality(String),
    reported_source   LowCardinality(String),

    usage            String CODEC(ZSTD(1)) TTL toDateTime(occurred_at) + INTERVAL 400 DAY,
    context          String CODEC(ZSTD(1)) TTL toDateTime(occurred_at) + INTERVAL 400 DAY,
    write_before     DateTime64(3, 'UTC') CODEC(ZSTD(1)),

    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_event event_hash TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_origin offset TYPE minmax GRANULARITY 1,
    CONSTRAINT fresh CHECK write_before > nowInBlock64(3),

    PROJECTION by_day_and_model
    (
        SELECT
            toDate(occurred_at, 'UTC'), customer, team, model, provider, app, environment, currency, operation,
            sum(attempts), sum(requests), sum(unpriced),
            sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
            sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens),
            sum(output_text_tokens), sum(output_reasoning_tokens),
            sumMap(line_units, line_quantities),
            sum(toDecimal256(list_cost, 18)), sum(toDecimal256(cost, 18)), sum(toDecimal256(charge, 18)),
            sum(toDecimal256(cost_avoided, 18))
        GROUP BY toDate(occurred_at, 'UTC'), customer, team, model, provider, app, environment, currency, operation
    ),
    PROJECTION by_day_and_key
    (
        SELECT
            toDate(occurred_at, 'UTC'), customer, team, key, provider, app, environment, currency, operation,
            sum(attempts), sum(requests), sum(unpriced),
            sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
            sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens),
            sum(output_text_tokens), sum(output_reasoning_tokens),
            sumMap(line_units, line_quantities),
            sum(toDecimal256(list_cost, 18)), sum(toDecimal256(cost, 18)), sum(toDecimal256(charge, 18)),
            sum(toDecimal256(cost_avoided, 18))
        GROUP BY toDate(occurred_at, 'UTC'), customer, team, key, provider, app, environment, currency, operation
    ),
    PROJECTION by_quarter_hour
    (
        SELECT
            toStartOfFifteenMinutes(occurred_at), customer, team, currency, operation,
            sum(attempts), sum(requests), sum(unpriced),
            sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
            sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens),
            sum(output_text_tokens), sum(output_reasoning_tokens),
            sumMap(line_units, line_quantities),
            sum(toDecimal256(list_cost, 18)), sum(toDecimal256(cost, 18)), sum(toDecimal256(charge, 18)),
            sum(toDecimal256(cost_avoided, 18))
        GROUP BY toStartOfFifteenMinutes(occurred_at), customer, team, currency, operation
    )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (toStartOfFifteenMinutes(occurred_at), customer, team, key, model, occurred_at, ordinal)
SETTINGS non_replicated_deduplication_window = 10000

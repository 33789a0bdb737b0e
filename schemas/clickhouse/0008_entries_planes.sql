-- The planes of money beside the cost: what the provider lists and what the customer is charged, each with its own
-- lines only where they are not those of the cost. `list_row` is empty where the list cost is the cost; where
-- `charge_row` and `markup` are empty, the charge is. `markup` is an id and a version, `id@2`. `book` is the position
-- of the command log whose prices and registries made the entry. Sums of charges go by the currency of the charge, so
-- it becomes a key of every projection; parts from before get theirs by the mutation at the end, and are read whole
-- until it has come to them.
ALTER TABLE entries
    ADD COLUMN IF NOT EXISTS cost_center LowCardinality(String) AFTER project,
    ADD COLUMN IF NOT EXISTS charge_currency LowCardinality(String) DEFAULT currency AFTER currency,
    ADD COLUMN IF NOT EXISTS list_row LowCardinality(String) AFTER charge_currency,
    ADD COLUMN IF NOT EXISTS list_matched_by LowCardinality(String) AFTER list_row,
    ADD COLUMN IF NOT EXISTS charge_row LowCardinality(String) AFTER list_matched_by,
    ADD COLUMN IF NOT EXISTS charge_matched_by LowCardinality(String) AFTER charge_row,
    ADD COLUMN IF NOT EXISTS markup LowCardinality(String) AFTER charge_matched_by,
    ADD COLUMN IF NOT EXISTS list_lines Array(Tuple(
        unit LowCardinality(String), quantity Decimal(38, 18), price String, amount Decimal(38, 18),
        basis LowCardinality(String), condition LowCardinality(String))) CODEC(ZSTD(1)) AFTER bases,
    ADD COLUMN IF NOT EXISTS charge_lines Array(Tuple(
        unit LowCardinality(String), quantity Decimal(38, 18), price String, amount Decimal(38, 18),
        basis LowCardinality(String), condition LowCardinality(String))) CODEC(ZSTD(1)) AFTER list_lines,
    ADD COLUMN IF NOT EXISTS book UInt64 CODEC(ZSTD(1)) AFTER operation,
    DROP PROJECTION IF EXISTS by_day_and_model,
    DROP PROJECTION IF EXISTS by_day_and_key,
    DROP PROJECTION IF EXISTS by_quarter_hour,
    ADD PROJECTION by_day_and_model
    (
        SELECT
            toDate(occurred_at, 'UTC'), customer, team, model, provider, app, environment, currency, charge_currency, operation,
            sum(attempts), sum(requests), sum(unpriced),
            sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
            sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens),
            sum(output_text_tokens), sum(output_reasoning_tokens),
            sumMap(line_units, line_quantities),
            sum(toDecimal256(list_cost, 18)), sum(toDecimal256(cost, 18)), sum(toDecimal256(charge, 18)),
            sum(toDecimal256(cost_avoided, 18))
        GROUP BY
            toDate(occurred_at, 'UTC'), customer, team, model, provider, app, environment, currency, charge_currency, operation
    ),
    ADD PROJECTION by_day_and_key
    (
        SELECT
            toDate(occurred_at, 'UTC'), customer, team, key, provider, app, environment, currency, charge_currency, operation,
            sum(attempts), sum(requests), sum(unpriced),
            sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
            sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens),
            sum(output_text_tokens), sum(output_reasoning_tokens),
            sumMap(line_units, line_quantities),
            sum(toDecimal256(list_cost, 18)), sum(toDecimal256(cost, 18)), sum(toDecimal256(charge, 18)),
            sum(toDecimal256(cost_avoided, 18))
        GROUP BY
            toDate(occurred_at, 'UTC'), customer, team, key, provider, app, environment, currency, charge_currency, operation
    ),
    ADD PROJECTION by_quarter_hour
    (
        SELECT
            toStartOfFifteenMinutes(occurred_at), customer, team, currency, charge_currency, operation,
            sum(attempts), sum(requests), sum(unpriced),
            sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
            sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens),
            sum(output_text_tokens), sum(output_reasoning_tokens),
            sumMap(line_units, line_quantities),
            sum(toDecimal256(list_cost, 18)), sum(toDecimal256(cost, 18)), sum(toDecimal256(charge, 18)),
            sum(toDecimal256(cost_avoided, 18))
        GROUP BY toStartOfFifteenMinutes(occurred_at), customer, team, currency, charge_currency, operation
    ),
    MATERIALIZE PROJECTION by_day_and_model,
    MATERIALIZE PROJECTION by_day_and_key,
    MATERIALIZE PROJECTION by_quarter_hour

-- Entries, also those that operations made anew, with all that their cost was derived from, and what it was. Amounts, prices and quantities of lines are
-- whole numbers of 10^-18.
SELECT
    toString(topic) AS record_topic, partition AS record_partition, offset AS record_offset, ordinal AS record_ordinal,
    toUnixTimestamp64Milli(occurred_at) AS occurred_ms,
    toString(provider) AS provider_name, toString(model) AS model_name, toString(region) AS region_name,
    toString(service_tier) AS service_tier_name, toString(processing) AS processing_name, toString(speed) AS speed_name,
    toString(outcome) AS outcome_name, toString(gateway_cache) AS gateway_cache_name,
    CAST(unpriced_units, 'Array(String)') AS unpriced_unit_names, CAST(flags, 'Array(String)') AS flag_names,
    toString(model_row) AS model_row_id, toString(dimensions) AS dimensions_text,
    [
        input_uncached_tokens, input_cache_read_tokens, input_cache_write_tokens, input_cache_write_5m_tokens,
        input_cache_write_1h_tokens, output_text_tokens, output_reasoning_tokens
    ] AS fixed_quantities,
    [
        reinterpretAsInt128(input_uncached_price), reinterpretAsInt128(input_cache_read_price),
        reinterpretAsInt128(input_cache_write_price), reinterpretAsInt128(input_cache_write_5m_price),
        reinterpretAsInt128(input_cache_write_1h_price), reinterpretAsInt128(output_text_price),
        reinterpretAsInt128(output_reasoning_price)
    ] AS fixed_prices,
    CAST(line_units, 'Array(String)') AS line_unit_names,
    arrayMap(quantity -> reinterpretAsInt128(quantity), line_quantities) AS line_quantities_raw,
    arrayMap(amount -> reinterpretAsInt128(amount), line_amounts) AS line_amounts_raw,
    CAST(basis_units, 'Array(String)') AS basis_unit_names, CAST(bases, 'Array(String)') AS basis_names,
    CAST(avoided_units, 'Array(String)') AS avoided_unit_names,
    arrayMap(quantity -> reinterpretAsInt128(quantity), avoided_quantities) AS avoided_quantities_raw,
    reinterpretAsInt128(cost_avoided) AS cost_avoided_raw, reinterpretAsInt128(cost) AS cost_raw,
    reported_amount
FROM entries
WHERE kind != 'reversal' AND {{conditions}}

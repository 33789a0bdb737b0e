-- Ledger entries, newest first, one page after a given entry; also the entries of one request. ORDER BY begins
-- with the sorting key's quarter hour, so that a page reads the end of the period and not all of it.
SELECT
    event_id, request_id, toString(kind) AS kind,
    toUnixTimestamp64Milli(occurred_at) AS occurred_ms,
    toUnixTimestamp64Milli(recorded_at) AS recorded_ms,
    toUnixTimestamp64Milli(log_time) AS log_ms,
    toString(topic) AS origin_topic, partition AS origin_partition, offset AS origin_offset, ordinal AS origin_ordinal,
    transform(operation, {operations:Array(UInt64)}, {operation_ids:Array(String)}, '') AS operation_id,
    toString(reason) AS reason_name,
    toString(reverses_topic) AS reverses_topic_name, reverses_partition, reverses_offset, reverses_ordinal,
    toString(key) AS owner_key, toString(team) AS owner_team, toString(app) AS owner_app,
    toString(environment) AS owner_environment, toString(customer) AS owner_customer,
    toString(project) AS owner_project, toString(cost_center) AS owner_cost_center, end_user, toString(workflow) AS owner_workflow,
    CAST(mapKeys(tags), 'Array(String)') AS tag_names, mapValues(tags) AS tag_values,
    toString(endpoint_family) AS endpoint_family_name, toString(provider) AS provider_name,
    toString(provider_account) AS provider_account_name, toString(model) AS model_name, toString(alias) AS alias_name,
    toString(credential) AS credential_name, toString(route) AS route_name, toString(region) AS region_name,
    toString(service_tier) AS service_tier_name, toString(processing) AS processing_name, toString(speed) AS speed_name,
    attempt, toString(attempt_kind) AS attempt_kind_name, toString(fallback_from) AS fallback_from_name,
    status, toString(error_class) AS error_class_name, toString(outcome) AS outcome_name,
    stream, latency_ms, ttft_ms, toString(gateway_cache) AS gateway_cache_name, toString(gateway) AS gateway_name, gateway_seq,
    attempts, requests, unpriced,
    CAST(unpriced_units, 'Array(String)') AS unpriced_unit_names, CAST(flags, 'Array(String)') AS flag_names,
    toString(model_row) AS model_row_id, toString(matched_by) AS matched_by_name, toString(conditions) AS conditions_text,
    toString(currency) AS currency_code, toString(charge_currency) AS charge_currency_code, book AS book_position,
    toString(list_row) AS list_row_id, toString(list_matched_by) AS list_matched_by_name,
    toString(charge_row) AS charge_row_id, toString(charge_matched_by) AS charge_matched_by_name,
    toString(markup) AS markup_version,
    arrayMap(
        line -> (toString(line.1), toString(line.2), line.3, toString(line.4), toString(line.5), toString(line.6)),
        list_lines) AS list_line_texts,
    arrayMap(
        line -> (toString(line.1), toString(line.2), line.3, toString(line.4), toString(line.5), toString(line.6)),
        charge_lines) AS charge_line_texts,
    [
        input_uncached_tokens, input_cache_read_tokens, input_cache_write_tokens, input_cache_write_5m_tokens,
        input_cache_write_1h_tokens, output_text_tokens, output_reasoning_tokens
    ] AS fixed_quantities,
    [
        toString(input_uncached_price), toString(input_cache_read_price), toString(input_cache_write_price),
        toString(input_cache_write_5m_price), toString(input_cache_write_1h_price), toString(output_text_price),
        toString(output_reasoning_price)
    ] AS fixed_prices,
    [
        toString(toDecimal256(input_uncached_tokens, 0) * input_uncached_price),
        toString(toDecimal256(input_cache_read_tokens, 0) * input_cache_read_price),
        toString(toDecimal256(input_cache_write_tokens, 0) * input_cache_write_price),
        toString(toDecimal256(input_cache_write_5m_tokens, 0) * input_cache_write_5m_price),
        toString(toDecimal256(input_cache_write_1h_tokens, 0) * input_cache_write_1h_price),
        toString(toDecimal256(output_text_tokens, 0) * output_text_price),
        toString(toDecimal256(output_reasoning_tokens, 0) * output_reasoning_price)
    ] AS fixed_amounts,
    CAST(line_units, 'Array(String)') AS line_unit_names,
    arrayMap(quantity -> toString(quantity), line_quantities) AS line_quantity_texts,
    line_prices,
    arrayMap(amount -> toString(amount), line_amounts) AS line_amount_texts,
    CAST(basis_units, 'Array(String)') AS basis_unit_names, CAST(bases, 'Array(String)') AS basis_names,
    CAST(avoided_units, 'Array(String)') AS avoided_unit_names,
    arrayMap(quantity -> toString(quantity), avoided_quantities) AS avoided_quantity_texts,
    toString(cost_avoided) AS cost_avoided_text,
    toString(list_cost) AS list_cost_text, toString(cost) AS cost_text, toString(charge) AS charge_text,
    reported_amount, toString(reported_currency) AS reported_currency_code, toString(reported_source) AS reported_source_name,
    {{raw}}
FROM entries
WHERE operation IN {operations:Array(UInt64)} AND ({{time}}) AND {{conditions}} AND {{after}}
ORDER BY toStartOfFifteenMinutes(occurred_at) DESC, occurred_at DESC, topic DESC, partition DESC, offset DESC, ordinal DESC
LIMIT {limit:UInt64}

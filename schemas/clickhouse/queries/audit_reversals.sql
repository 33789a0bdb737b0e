-- Entries of reversed repeats and what took them back, where the two do not come out at nothing: each entry of such a
-- record has exactly one reversal, which negates all that is summed. Entries that an operation made anew are left out: what
-- stands in their place has another origin.
SELECT
    record_topic, record_partition, record_offset, record_ordinal,
    countIf(is_usage) AS usage_rows, countIf(NOT is_usage) AS reversal_rows
FROM
(
    SELECT
        toString(topic) AS record_topic, partition AS record_partition, offset AS record_offset, ordinal AS record_ordinal,
        1 AS is_usage, event_hash, occurred_at,
        attempts, requests, unpriced,
        input_uncached_tokens, input_cache_read_tokens, input_cache_write_tokens, input_cache_write_5m_tokens,
        input_cache_write_1h_tokens, output_text_tokens, output_reasoning_tokens,
        line_units, line_quantities, line_amounts, avoided_units, avoided_quantities,
        list_cost, cost, charge, cost_avoided
    FROM entries
    WHERE kind = 'usage'
      AND offset IN (SELECT reverses_offset FROM entries WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict'))
      AND (topic, partition, offset) IN
      (
          SELECT reverses_topic, reverses_partition, reverses_offset
          FROM entries WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict')
      )
    UNION ALL
    SELECT
        toString(reverses_topic), reverses_partition, reverses_offset, reverses_ordinal,
        0, event_hash, occurred_at,
        attempts, requests, unpriced,
        input_uncached_tokens, input_cache_read_tokens, input_cache_write_tokens, input_cache_write_5m_tokens,
        input_cache_write_1h_tokens, output_text_tokens, output_reasoning_tokens,
        line_units, line_quantities, line_amounts, avoided_units, avoided_quantities,
        list_cost, cost, charge, cost_avoided
    FROM entries
    WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict')
)
WHERE (record_topic, record_partition, record_offset) NOT IN
(
    SELECT toString(reverses_topic), reverses_partition, reverses_offset
    FROM entries
    WHERE kind = 'rerate'
      AND event_hash IN
      (
          SELECT event_hash FROM entries
          WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict')
      )
)
GROUP BY record_topic, record_partition, record_offset, record_ordinal
HAVING usage_rows != 1 OR reversal_rows != 1
    OR uniqExact(event_hash, occurred_at) != 1
    OR sum(attempts) != 0 OR sum(requests) != 0 OR sum(unpriced) != 0
    OR sum(input_uncached_tokens) != 0 OR sum(input_cache_read_tokens) != 0 OR sum(input_cache_write_tokens) != 0
    OR sum(input_cache_write_5m_tokens) != 0 OR sum(input_cache_write_1h_tokens) != 0
    OR sum(output_text_tokens) != 0 OR sum(output_reasoning_tokens) != 0
    OR arrayExists(sum -> sum != 0, tupleElement(sumMap(line_units, line_quantities), 2))
    OR arrayExists(sum -> sum != 0, tupleElement(sumMap(line_units, line_amounts), 2))
    OR arrayExists(sum -> sum != 0, tupleElement(sumMap(avoided_units, avoided_quantities), 2))
    OR sum(toDecimal256(list_cost, 18)) != 0 OR sum(toDecimal256(cost, 18)) != 0
    OR sum(toDecimal256(charge, 18)) != 0 OR sum(toDecimal256(cost_avoided, 18)) != 0
ORDER BY record_topic, record_partition, record_offset, record_ordinal
LIMIT 1000

-- The usage entries of some records, as a reversal needs to know them. Amounts are whole numbers of 10^-18.
SELECT
    toString(topic) AS entry_topic, partition AS entry_partition, offset AS entry_offset, ordinal AS entry_ordinal,
    event_hash, content_hash,
    toUnixTimestamp64Milli(log_time) AS log_ms, toUnixTimestamp64Milli(occurred_at) AS occurred_ms,
    attempts, requests, unpriced,
    [
        input_uncached_tokens, input_cache_read_tokens, input_cache_write_tokens, input_cache_write_5m_tokens,
        input_cache_write_1h_tokens, output_text_tokens, output_reasoning_tokens
    ] AS fixed_quantities,
    [
        reinterpretAsInt128(list_cost), reinterpretAsInt128(cost), reinterpretAsInt128(charge),
        reinterpretAsInt128(cost_avoided)
    ] AS amounts
FROM entries
WHERE kind = 'usage' AND offset IN {offsets:Array(UInt64)}
  AND has(
      arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}),
      (toString(topic), partition, offset)
  )
ORDER BY entry_topic, entry_partition, entry_offset, entry_ordinal

-- The first entry of a batch whose cost is not what its lines come to. Asked only for a batch whose rows are all there
-- and differ, to name the one that was altered.
SELECT offset AS record_offset, ordinal AS record_ordinal
FROM entries
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {next:UInt64}
  AND toDecimal256(cost, 18) !=
        toDecimal256(input_uncached_tokens, 0) * input_uncached_price
      + toDecimal256(input_cache_read_tokens, 0) * input_cache_read_price
      + toDecimal256(input_cache_write_tokens, 0) * input_cache_write_price
      + toDecimal256(input_cache_write_5m_tokens, 0) * input_cache_write_5m_price
      + toDecimal256(input_cache_write_1h_tokens, 0) * input_cache_write_1h_price
      + toDecimal256(output_text_tokens, 0) * output_text_price
      + toDecimal256(output_reasoning_tokens, 0) * output_reasoning_price
      + arraySum(arrayMap(amount -> toDecimal256(amount, 18), line_amounts))
ORDER BY offset, ordinal
LIMIT 1

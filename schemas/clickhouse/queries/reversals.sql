-- Rows that take back some entries: every column as it was posted, all that is summed negated, under the origin of the
-- command that takes them back. The verbatim usage and context stay with the entry. Without the lease, which the
-- writer adds. What an operation made anew is taken back as it is now, under the name of its record.
SELECT
    e.* EXCEPT (write_before) REPLACE (
        fromUnixTimestamp64Milli({recorded_ms:Int64}, 'UTC') AS recorded_at,
        fromUnixTimestamp64Milli({log_ms:Int64}, 'UTC') AS log_time,
        {topic:String} AS topic,
        {partition:UInt32} AS partition,
        {offset:UInt64} AS offset,
        arrayElement(
            {slots:Array(UInt32)},
            indexOf(
                arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}, {ordinals:Array(UInt32)}),
                (toString(e.topic), e.partition, e.offset, e.ordinal)
            )
        ) AS ordinal,
        {batch_first:UInt64} AS batch_first,
        'reversal' AS kind,
        toUInt64(0) AS operation,
        if(e.kind = 'usage', e.topic, e.reverses_topic) AS reverses_topic,
        if(e.kind = 'usage', e.partition, e.reverses_partition) AS reverses_partition,
        if(e.kind = 'usage', e.offset, e.reverses_offset) AS reverses_offset,
        if(e.kind = 'usage', e.ordinal, e.reverses_ordinal) AS reverses_ordinal,
        arrayElement(
            {reasons:Array(String)},
            indexOf(
                arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}, {ordinals:Array(UInt32)}),
                (toString(e.topic), e.partition, e.offset, e.ordinal)
            )
        ) AS reason,
        negate(e.attempts) AS attempts,
        negate(e.requests) AS requests,
        negate(e.unpriced) AS unpriced,
        negate(e.input_uncached_tokens) AS input_uncached_tokens,
        negate(e.input_cache_read_tokens) AS input_cache_read_tokens,
        negate(e.input_cache_write_tokens) AS input_cache_write_tokens,
        negate(e.input_cache_write_5m_tokens) AS input_cache_write_5m_tokens,
        negate(e.input_cache_write_1h_tokens) AS input_cache_write_1h_tokens,
        negate(e.output_text_tokens) AS output_text_tokens,
        negate(e.output_reasoning_tokens) AS output_reasoning_tokens,
        arrayMap(quantity -> negate(quantity), e.line_quantities) AS line_quantities,
        arrayMap(amount -> negate(amount), e.line_amounts) AS line_amounts,
        arrayMap(line -> (line.unit, negate(line.quantity), line.price, negate(line.amount), line.basis, line.condition), e.list_lines) AS list_lines,
        arrayMap(line -> (line.unit, negate(line.quantity), line.price, negate(line.amount), line.basis, line.condition), e.charge_lines) AS charge_lines,
        arrayMap(quantity -> negate(quantity), e.avoided_quantities) AS avoided_quantities,
        negate(e.cost_avoided) AS cost_avoided,
        negate(e.list_cost) AS list_cost,
        negate(e.cost) AS cost,
        negate(e.charge) AS charge,
        '' AS usage,
        '' AS context
    )
FROM entries AS e
WHERE e.kind != 'reversal' AND e.offset IN {offsets:Array(UInt64)}
  AND has(
      arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}, {ordinals:Array(UInt32)}),
      (toString(e.topic), e.partition, e.offset, e.ordinal)
  )
ORDER BY ordinal

-- The usage entries of some records, and where operations made them anew, what stands in their place, as a reversal needs
-- to know them. Amounts are whole numbers of 10^-18. What operations posted is looked for by the events' hashes, which
-- have an index: there may be many millions of it.
WITH hashes AS
(
    SELECT event_hash
    FROM entries
    WHERE kind = 'usage' AND offset IN {offsets:Array(UInt64)}
        AND has(
            arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}),
            (toString(topic), partition, offset)
        )
)
SELECT
    toString(if(kind = 'usage', topic, reverses_topic)) AS record_topic,
    if(kind = 'usage', partition, reverses_partition) AS record_partition,
    if(kind = 'usage', offset, reverses_offset) AS record_offset,
    if(kind = 'usage', ordinal, reverses_ordinal) AS record_ordinal,
    kind = 'usage' AS is_usage,
    (topic, partition, offset, ordinal) NOT IN
    (
        SELECT reverses_topic, reverses_partition, reverses_offset, reverses_ordinal
        FROM entries
        WHERE kind = 'reversal' AND operation != 0 AND operation IN {operations:Array(UInt64)}
            AND event_hash IN (SELECT event_hash FROM hashes)
    ) AS is_live,
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
WHERE
    (
        kind = 'usage' AND offset IN {offsets:Array(UInt64)}
        AND has(
            arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}),
            (toString(topic), partition, offset)
        )
    )
    OR
    (
        kind = 'rerate' AND operation IN {operations:Array(UInt64)}
        AND event_hash IN (SELECT event_hash FROM hashes) AND reverses_offset IN {offsets:Array(UInt64)}
        AND has(
            arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}),
            (toString(reverses_topic), reverses_partition, reverses_offset)
        )
    )
ORDER BY record_topic, record_partition, record_offset, record_ordinal, is_usage DESC

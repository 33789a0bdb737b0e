-- How many entries each batch of a partition has and the sum of their digests, which the projection `by_batch` holds
-- already: its expressions are repeated here word for word.
SELECT
    batch_first AS carried,
    count() AS rows_held,
    sumWithOverflow(xxh3(concat(
        reinterpretAsFixedString(offset), reinterpretAsFixedString(ordinal),
        reinterpretAsFixedString(event_hash), reinterpretAsFixedString(content_hash),
        reinterpretAsFixedString(occurred_at),
        reinterpretAsFixedString(attempts), reinterpretAsFixedString(requests), reinterpretAsFixedString(unpriced),
        reinterpretAsFixedString(input_uncached_tokens), reinterpretAsFixedString(input_cache_read_tokens),
        reinterpretAsFixedString(input_cache_write_tokens), reinterpretAsFixedString(input_cache_write_5m_tokens),
        reinterpretAsFixedString(input_cache_write_1h_tokens), reinterpretAsFixedString(output_text_tokens),
        reinterpretAsFixedString(output_reasoning_tokens),
        reinterpretAsFixedString(list_cost), reinterpretAsFixedString(cost),
        reinterpretAsFixedString(charge), reinterpretAsFixedString(cost_avoided)
    ))) AS digest
FROM entries
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND batch_first >= {from:UInt64} AND batch_first <= {to:UInt64}
GROUP BY topic, partition, batch_first
ORDER BY carried

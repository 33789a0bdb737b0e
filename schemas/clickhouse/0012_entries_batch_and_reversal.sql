-- What an entry's batch and its reversal need. `batch_first` is the first offset of the batch that posted the row:
-- the same in every row of an insert, so it compresses to nothing. The projection keeps, for each batch, how many
-- rows it has and the sum of their digests, which does not depend on their order: the audit compares it with what
-- the worker put into `batches`, without reading a row. Its digest is the one of `schemas::digest`, byte for byte.
-- A reversal (kind `reversal`) takes back one entry: `reverses_…` is that entry's origin, `reason` says why.
-- Rows from before this migration have `batch_first` 0; their batches have no digest and are checked row by row.
ALTER TABLE entries
    ADD COLUMN IF NOT EXISTS batch_first UInt64 CODEC(ZSTD(1)) AFTER ordinal,
    ADD COLUMN IF NOT EXISTS reverses_topic LowCardinality(String) AFTER operation,
    ADD COLUMN IF NOT EXISTS reverses_partition UInt32 CODEC(ZSTD(1)) AFTER reverses_topic,
    ADD COLUMN IF NOT EXISTS reverses_offset UInt64 CODEC(ZSTD(1)) AFTER reverses_partition,
    ADD COLUMN IF NOT EXISTS reverses_ordinal UInt32 CODEC(ZSTD(1)) AFTER reverses_offset,
    ADD COLUMN IF NOT EXISTS reason LowCardinality(String) AFTER reverses_ordinal,
    ADD PROJECTION IF NOT EXISTS by_batch
    (
        SELECT
            topic, partition, batch_first,
            count(),
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
            )))
        GROUP BY topic, partition, batch_first
    )

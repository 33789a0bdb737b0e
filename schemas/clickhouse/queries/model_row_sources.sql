-- Where some price rows were taken from, whether a second source confirms them, and from when they hold.
SELECT
    row_id,
    argMax(toString(source), (offset, ordinal)) AS source_name,
    argMax(toString(source_version), (offset, ordinal)) AS source_version_name,
    argMax(JSONExtractString(body, 'unconfirmed'), (offset, ordinal)) AS unconfirmed,
    argMax(JSONExtract(body, 'source', 'confirmed_by', 'Array(String)'), (offset, ordinal)) AS confirmed_by,
    argMax(ifNull(toUnixTimestamp64Milli(effective_from), toInt64(-9223372036854775808)), (offset, ordinal)) AS effective_ms
FROM model_rows
WHERE row_id IN {row_ids:Array(String)}
GROUP BY row_id

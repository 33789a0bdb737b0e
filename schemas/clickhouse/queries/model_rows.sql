-- Published price rows by provider, model and the order of their publication, one page after a given row. With a
-- slot for the versions in force at an instant: of the rows of one model and the same endpoint families, the one
-- that began last.
SELECT
    row_id, provider_name, model_name, currency_code, effective_ms, known_ms, source_name, source_version_name, body,
    origin_offset, origin_ordinal
FROM
(
    SELECT
        row_id, toString(provider) AS provider_name, model AS model_name, toString(currency) AS currency_code,
        ifNull(toUnixTimestamp64Milli(effective_from), toInt64(-9223372036854775808)) AS effective_ms,
        toUnixTimestamp64Milli(known_from) AS known_ms,
        toString(source) AS source_name, toString(source_version) AS source_version_name,
        body, offset AS origin_offset, ordinal AS origin_ordinal
    FROM model_rows
    WHERE {{filters}}
    ORDER BY effective_ms DESC, origin_offset DESC, origin_ordinal DESC
    {{versions}}
)
WHERE {{after}}
ORDER BY provider_name, model_name, origin_offset, origin_ordinal
LIMIT {limit:UInt64}

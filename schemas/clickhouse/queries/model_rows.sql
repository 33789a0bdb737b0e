-- Published price rows by provider, model and the order of their publication, one page after a given row. A slot
-- says as of when they were known, by the log time of the command that published them; what was superseded is told
-- from the rows known then. A row ends where the next version of its model and scope begins, superseded ones aside.
-- With a slot for the versions in force at an instant.
SELECT
    row_id, provider_name, model_name, currency_code, effective_ms, next_ms, known_ms, source_name, source_version_name,
    superseding_id, body, origin_offset, origin_ordinal
FROM
(
    SELECT
        *,
        leadInFrame(effective_ms, 1, toInt64(9223372036854775807)) OVER
        (
            PARTITION BY superseding_id != '', provider_key, model_name, scope_text
            ORDER BY effective_ms, origin_offset, origin_ordinal
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS next_ms
    FROM
    (
        SELECT
            row_id, toString(provider) AS provider_name, model AS model_name, toString(currency) AS currency_code,
            replaceAll(if(provider_name = 'vertex', 'vertex_ai', provider_name), '-', '_') AS provider_key,
            ifNull(toUnixTimestamp64Milli(effective_from), toInt64(-9223372036854775808)) AS effective_ms,
            toUnixTimestamp64Milli(known_from) AS known_ms,
            toString(source) AS source_name, toString(source_version) AS source_version_name,
            JSONExtractRaw(body, 'scope') AS scope_text,
            body, offset AS origin_offset, ordinal AS origin_ordinal,
            superseded.superseding_id AS superseding_id
        FROM model_rows
        LEFT JOIN
        (
            SELECT
                JSONExtractString(body, 'supersedes') AS replaced_id,
                argMin(row_id, (offset, ordinal)) AS superseding_id
            FROM model_rows
            WHERE replaced_id != '' AND ({{known}})
            GROUP BY replaced_id
        ) AS superseded ON row_id = superseded.replaced_id
        WHERE ({{known}}) AND ({{filters}})
    )
)
WHERE {{versions}} AND {{after}}
ORDER BY provider_name, model_name, origin_offset, origin_ordinal
LIMIT {limit:UInt64}

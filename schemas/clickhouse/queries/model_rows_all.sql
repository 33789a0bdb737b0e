-- All published price rows as they were published, with the instants from which they hold, in the order of publication.
SELECT
    body,
    ifNull(toUnixTimestamp64Milli(effective_from), toInt64(-9223372036854775808)) AS effective_ms
FROM model_rows
ORDER BY topic, partition, offset, ordinal

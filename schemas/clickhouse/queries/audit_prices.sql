-- Every published price row, in the order of publication.
SELECT row_id, body, toUnixTimestamp64Milli(effective_from) AS effective_from
FROM model_rows
ORDER BY topic, partition, offset, ordinal

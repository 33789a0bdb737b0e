-- The price rows that the commands before a position published, in their order.
SELECT row_id, body, toUnixTimestamp64Milli(effective_from) AS effective_from
FROM model_rows
WHERE topic = {topic:String} AND offset < {through:UInt64}
ORDER BY offset, ordinal

-- The first records of one batch, in the order of offsets, with the rows of each in every table. Asked only for a
-- batch that differs, to name the first offset that does.
SELECT
    offset AS record_offset,
    countIf(source = 'posted') AS posted_rows,
    uniqExactIf(ordinal, source = 'posted') AS posted_origins,
    countIf(source = 'quarantined') AS quarantine_rows,
    countIf(source = 'duplicate') AS duplicate_rows
FROM
(
    SELECT offset, ordinal, 'posted' AS source
    FROM {{posted_table}}
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {next:UInt64}
    UNION ALL
    SELECT offset, ordinal, 'quarantined' AS source
    FROM quarantine
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {next:UInt64}
    UNION ALL
    SELECT arrayJoin(duplicates_at) AS offset, toUInt32(0) AS ordinal, 'duplicate' AS source
    FROM batches
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND first = {first:UInt64}
)
GROUP BY offset
ORDER BY offset
LIMIT 1000000

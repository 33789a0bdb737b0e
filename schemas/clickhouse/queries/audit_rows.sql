-- What the tables hold for some neighboring batches of one partition, by the first offset of each batch. A record
-- is posted, quarantined or a duplicate: `records` counts offsets over all three, so a record in two of them makes
-- it smaller than their sum. Records of the command log are posted to `commands`.
SELECT
    roundDown(offset, {firsts:Array(UInt64)}) AS batch_first,
    countIf(source = 'posted') AS posted_rows,
    uniqExactIf((offset, ordinal), source = 'posted') AS posted_origins,
    uniqExactIf(offset, source = 'posted') AS posted_records,
    countIf(source = 'quarantined') AS quarantine_rows,
    uniqExactIf(offset, source = 'quarantined') AS quarantined_records,
    uniqExactIf(offset, source = 'duplicate') AS duplicate_records,
    uniqExact(offset) AS records
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
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND first >= {first:UInt64} AND first < {next:UInt64}
)
GROUP BY batch_first
ORDER BY batch_first

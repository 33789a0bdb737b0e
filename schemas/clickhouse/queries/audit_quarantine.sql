-- How many rows of some neighboring batches of one partition are in quarantine and the sum of their digests, by the
-- first offset of each batch.
SELECT
    roundDown(offset, {firsts:Array(UInt64)}) AS carried,
    count() AS rows_held,
    sumWithOverflow(xxh3(concat(reinterpretAsFixedString(offset), reason))) AS digest
FROM quarantine
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {next:UInt64}
GROUP BY carried
ORDER BY carried

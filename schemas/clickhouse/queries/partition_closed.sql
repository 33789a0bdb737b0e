-- How far the closed batches of a partition reach, and the last record of the last one.
SELECT
    count() AS batches,
    max(next) AS next,
    argMax(last_offset, next) AS last_offset,
    argMax(last_digest, next) AS last_digest
FROM batches
WHERE topic = {topic:String} AND partition = {partition:UInt32}

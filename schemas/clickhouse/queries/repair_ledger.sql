-- What a repair must know of the closed batches of a partition: how many there are, where they end, the last record
-- that the last of them names, and its window of duplicates.
SELECT
    count() AS batch_count,
    max(next) AS reaches,
    argMax(last_offset, next) AS last_record_offset,
    argMax(last_digest, next) AS last_record_digest,
    argMax(dedup_window, next) AS last_window
FROM batches
WHERE topic = {topic:String} AND partition = {partition:UInt32}

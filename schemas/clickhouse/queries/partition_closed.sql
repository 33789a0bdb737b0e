-- How far the closed batches of a partition reach, and the last record of the last one.
SELECT
    count() AS batch_count,
    max(next) AS reaches
FROM batches
WHERE topic = {topic:String} AND partition = {partition:UInt32}

-- Every partition that a row names, with the range that its closed batches cover. Rows at and after the end belong to
-- a batch that is being written now: it will be closed, or healed. What partitions the entries name, the projection
-- `by_batch` tells, which knows only how to count.
SELECT
    topic_name,
    partition_number,
    sum(batch_rows) AS batches_count,
    minIf(low, batch_rows > 0) AS opened,
    maxIf(high, batch_rows > 0) AS closed
FROM
(
    SELECT toString(topic) AS topic_name, partition AS partition_number, count() AS batch_rows, min(first) AS low, max(next) AS high
    FROM batches GROUP BY topic, partition
    UNION ALL
    SELECT toString(topic), partition, toUInt64(count() = 0), toUInt64(0), toUInt64(0) FROM entries
    WHERE topic != {commands_topic:String} GROUP BY topic, partition
    UNION ALL
    SELECT toString(topic), partition, toUInt64(0), toUInt64(0), toUInt64(0) FROM quarantine GROUP BY topic, partition
)
GROUP BY topic_name, partition_number
ORDER BY topic_name, partition_number

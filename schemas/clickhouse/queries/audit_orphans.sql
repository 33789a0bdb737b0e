-- Rows that lie in no closed batch, by partition: below its first batch, or at and after the end of its last. The
-- latter belong to a batch that is being written now; it becomes one of the closed ones or is healed.
SELECT
    toString(topic) AS topic_name, partition,
    countIf(offset < ends.opened) AS rows_before,
    countIf(offset >= ends.closed) AS rows_after,
    minIf(offset, offset < ends.opened) AS first_before
FROM
(
    SELECT topic, partition, offset FROM entries WHERE topic != {commands_topic:String}
    UNION ALL
    SELECT topic, partition, offset FROM quarantine WHERE topic != {commands_topic:String}
) AS rows
LEFT JOIN
(
    SELECT topic, partition, min(first) AS opened, max(next) AS closed FROM batches GROUP BY topic, partition
) AS ends USING (topic, partition)
WHERE offset < ends.opened OR offset >= ends.closed
GROUP BY topic, partition
ORDER BY topic, partition

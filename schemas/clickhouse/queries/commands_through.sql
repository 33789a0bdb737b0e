-- How far every worker knows the command log: the earliest over all partitions of all usage topics. A partition
-- that no worker has reported on knows nothing.
SELECT
    count() > 0 AND min(reported) = 1 AS known,
    min(through) AS through
FROM
(
    SELECT topic, count() = max(partitions) AS reported, min(through) AS through
    FROM
    (
        SELECT topic, partition, argMax(partitions, seen_at) AS partitions, max(commands_through) AS through
        FROM progress
        WHERE topic != {commands_topic:String}
        GROUP BY topic, partition
    )
    GROUP BY topic
)

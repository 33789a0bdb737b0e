-- The log time up to which everything is in the ledger: the earliest over all partitions of all usage topics of
-- the furthest statement of each. A partition that no worker has reported on counts as unread.
SELECT
    count() > 0 AND min(reported) = 1 AS known,
    toUnixTimestamp64Milli(min(through)) AS through
FROM
(
    SELECT topic, count() = max(partitions) AS reported, min(through) AS through
    FROM
    (
        SELECT topic, partition, argMax(partitions, seen_at) AS partitions, max(complete_through) AS through
        FROM progress
        WHERE topic != {commands_topic:String}
        GROUP BY topic, partition
    )
    GROUP BY topic
)

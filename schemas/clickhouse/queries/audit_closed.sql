-- How far the closed batches of each partition of usage reach: every row below is there to be seen.
SELECT toString(topic) AS topic_name, partition AS partition_number, max(next) AS through
FROM batches
WHERE topic != {commands_topic:String}
GROUP BY topic, partition
ORDER BY topic_name, partition_number

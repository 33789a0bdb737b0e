-- Repairs that the command log does not know of yet, the oldest first.
SELECT
    repair_id, toUnixTimestamp64Milli(repaired_at) AS repaired_ms, actor, reason, toString(topic) AS topic_name,
    partition AS partition_number, toString(action) AS action_name, first, next, lost, seen
FROM repairs
WHERE repair_id NOT IN (SELECT command_id FROM commands WHERE topic = {commands_topic:String})
ORDER BY repaired_at, repair_id

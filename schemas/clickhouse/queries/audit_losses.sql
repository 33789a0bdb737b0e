-- Ranges that were closed as lost: by whom, when and why. A repair that was begun and not carried out is none.
SELECT
    toString(topic) AS topic_name, partition AS partition_number, first, next, lost,
    repair_id, toUnixTimestamp64Milli(repaired_at) AS repaired_ms, actor, reason
FROM repairs
WHERE lost > 0 AND (topic, partition, first, next, concat('repair ', repair_id)) IN
(
    SELECT topic, partition, first, next, worker FROM batches WHERE startsWith(worker, 'repair ')
)
ORDER BY topic_name, partition_number, first

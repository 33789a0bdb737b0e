-- How far each partition of the log is posted without a gap: everything before `next` is in the ledger.
SELECT toString(topic) AS topic_name, partition AS partition_number, max(next) AS next_offset
FROM batches
GROUP BY topic_name, partition_number
ORDER BY topic_name, partition_number

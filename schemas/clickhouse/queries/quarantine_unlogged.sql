-- Replays that were decided some time ago and whose event is not known to lie in the log, the oldest first.
SELECT concat(toString(record_topic), '/', toString(record_partition), '/', toString(record_offset)) AS record_id
FROM quarantine_resolutions
GROUP BY record_topic, record_partition, record_offset
HAVING countIf(state = 'replayed') > 0 AND countIf(state = 'logged') = 0
   AND min(resolved_at) < now64(3, 'UTC') - toIntervalMillisecond({age_ms:UInt64})
ORDER BY min(resolved_at), record_id
LIMIT {limit:UInt64}

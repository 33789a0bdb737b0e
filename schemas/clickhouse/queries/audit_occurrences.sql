-- The records of usage of some ids.
SELECT
    event_hash, toString(topic) AS record_topic, partition AS record_partition, offset AS record_offset,
    toUnixTimestamp64Milli(log_time) AS log_ms
FROM entries
WHERE kind = 'usage' AND ordinal = 0
  AND event_hash IN (SELECT arrayJoin(arrayMap(hash -> toUInt128(hash), {hashes:Array(String)})))

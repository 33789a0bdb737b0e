-- Which records of some ids were reversed as repeats.
SELECT DISTINCT toString(reverses_topic) AS record_topic, reverses_partition AS record_partition, reverses_offset AS record_offset
FROM entries
WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict')
  AND event_hash IN (SELECT arrayJoin(arrayMap(hash -> toUInt128(hash), {hashes:Array(String)})))

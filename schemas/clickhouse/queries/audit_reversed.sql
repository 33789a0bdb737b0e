-- How many records of each partition were reversed as repeats.
SELECT
    toString(reverses_topic) AS record_topic, reverses_partition AS record_partition,
    uniqExact(reverses_offset) AS records, uniqExactIf(reverses_offset, reason = 'conflict') AS conflicts
FROM entries
WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict')
GROUP BY record_topic, record_partition

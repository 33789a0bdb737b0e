-- How many rows of an operation were taken back by other operations.
SELECT count() AS rows
FROM entries
WHERE kind = 'reversal' AND operation != 0 AND operation IN {operations:Array(UInt64)}
  AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
  AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
  AND (reverses_topic, reverses_partition, reverses_offset, reverses_ordinal) IN
  (
      SELECT topic, partition, offset, ordinal
      FROM entries
      WHERE operation = {reverted:UInt64} AND kind = 'rerate'
        AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
  )

-- Which of some records were reversed as repeats by commands before an offset.
SELECT DISTINCT toString(reverses_topic) AS record_topic, reverses_partition AS record_partition, reverses_offset AS record_offset
FROM entries
WHERE kind = 'reversal' AND operation = 0 AND reason IN ('duplicate', 'conflict') AND topic = {topic:String} AND offset < {before:UInt64}
  AND has(
      arrayZip({topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)}),
      (toString(reverses_topic), reverses_partition, reverses_offset)
  )

-- The live entries that an operation is about: what was posted before a cut and was neither taken back by an operation
-- that counts nor, as a repeat, by the audit, which names the record. What takes back bears the time of what it takes
-- back, so it is looked for in the same time.
SELECT *
FROM entries
WHERE kind != 'reversal' AND operation IN {operations:Array(UInt64)}
    AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND toUInt64(event_hash) % {shares:UInt64} = {share:UInt64}
    AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
        (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    AND {{filters}}
    AND (topic, partition, offset, ordinal) NOT IN
    (
        SELECT reverses_topic, reverses_partition, reverses_offset, reverses_ordinal
        FROM entries
        WHERE kind = 'reversal' AND operation IN {operations:Array(UInt64)}
          AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
              (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    )
    AND (kind = 'usage' OR (reverses_topic, reverses_partition, reverses_offset, reverses_ordinal) NOT IN
    (
        SELECT reverses_topic, reverses_partition, reverses_offset, reverses_ordinal
        FROM entries
        WHERE kind = 'reversal' AND operation = 0
          AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
              (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    ))

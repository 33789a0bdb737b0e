-- What one operation posted in a time, and the entries that it took back there: an operation that reverts it takes back
-- the ones and posts the others again. A record that was taken back as a repeat since then stays so.
SELECT *
FROM entries
WHERE kind != 'reversal'
    AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND toUInt64(event_hash) % {shares:UInt64} = {share:UInt64}
    AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
        (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    AND {{filters}}
    AND operation IN {operations:Array(UInt64)}
    AND (operation = {reverted:UInt64} OR (topic, partition, offset, ordinal) IN
    (
        SELECT reverses_topic, reverses_partition, reverses_offset, reverses_ordinal
        FROM entries
        WHERE kind = 'reversal' AND operation = {reverted:UInt64}
          AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
              (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    ))
    AND if(kind = 'usage',
        (toString(topic), partition, offset, ordinal),
        (toString(reverses_topic), reverses_partition, reverses_offset, reverses_ordinal)) NOT IN
    (
        SELECT toString(reverses_topic), reverses_partition, reverses_offset, reverses_ordinal
        FROM entries
        WHERE kind = 'reversal' AND operation = 0
          AND occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
          AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
              (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    )

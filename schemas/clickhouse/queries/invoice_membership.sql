-- Whether an entry is on the invoice of an account's month: of the months that begin at `month_starts` (seconds since
-- 1970), at a position before the cut; of months before the last one only what came after the cut before. A partition
-- that a cut does not name lies behind it.
operation IN {operations:Array(UInt64)}
    AND occurred_at >= fromUnixTimestamp64Milli({month_starts:Array(Int64)}[1] * 1000, 'UTC')
    AND occurred_at < fromUnixTimestamp64Milli({month_end:Int64} * 1000, 'UTC')
    AND outcome != 'not_billed'
    AND {{account}} IN {accounts:Array(String)}
    AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
        (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    AND (occurred_at >= fromUnixTimestamp64Milli({month_starts:Array(Int64)}[-1] * 1000, 'UTC')
        OR offset >= {before_nexts:Array(UInt64)}[arrayFirstIndex(
            (name, number) -> name = topic AND number = partition,
            {before_topics:Array(String)}, {before_partitions:Array(UInt32)})])

-- The first entry of each of some accounts before an instant and before a cut: a month that has to be closed first. An
-- account whose entries come to nothing at all, because all were taken back or moved to others, has none.
SELECT toString({{account}}) AS account_id, toUnixTimestamp64Milli(min(occurred_at)) AS first_ms
FROM entries
WHERE operation IN {operations:Array(UInt64)}
    AND occurred_at < fromUnixTimestamp64Milli({before:Int64}, 'UTC')
    AND {{account}} IN {accounts:Array(String)}
    AND offset < {cut_nexts:Array(UInt64)}[arrayFirstIndex(
        (name, number) -> name = topic AND number = partition, {cut_topics:Array(String)}, {cut_partitions:Array(UInt32)})]
    AND {{conditions}}
    AND outcome != 'not_billed'
GROUP BY account_id
HAVING sum(attempts) != 0 OR sum(toDecimal256(charge, 18)) != 0 OR sum(unpriced) != 0
ORDER BY account_id

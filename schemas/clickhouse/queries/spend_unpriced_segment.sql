-- One segment of the count of unpriced entries, from the same sources as the totals.
SELECT sum(unpriced) AS entries
FROM entries
WHERE operation IN {operations:Array(UInt64)} AND ({{time}}) AND {{conditions}}

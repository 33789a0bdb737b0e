-- One segment of the count of unpriced entries, from the same sources as the totals.
SELECT sum(unpriced) AS entries
FROM entries
WHERE operation = 0 AND ({{time}}) AND {{conditions}}

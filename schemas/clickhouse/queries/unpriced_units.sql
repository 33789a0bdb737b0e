-- Which units lack a price in a period, with the number of entries that have each; asked only where there are any.
SELECT toString(unit) AS unit, sum(unpriced) AS entries
FROM entries
ARRAY JOIN unpriced_units AS unit
WHERE operation IN {operations:Array(UInt64)} AND unpriced != 0 AND ({{time}}) AND {{conditions}}
GROUP BY unit
HAVING entries != 0
ORDER BY unit
LIMIT 1000

-- Ids that more than one record of usage has, in a slice of all ids, so that what the query keeps in memory is bounded.
-- Where a search was made before, one of the records is new since then.
SELECT event_hash
FROM entries
WHERE kind = 'usage' AND ordinal = 0
  AND bitAnd(toUInt64(event_hash), {mask:UInt64}) = {slice:UInt64} AND event_hash > toUInt128({after:String})
  AND {{new}}
GROUP BY event_hash
HAVING count() > 1
ORDER BY event_hash
LIMIT {limit:UInt64}

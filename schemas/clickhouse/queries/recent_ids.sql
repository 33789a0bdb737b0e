-- The ids that a partition's window of duplicates is rebuilt from.
SELECT offset, event_hash, content_hash
FROM entries
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {from:UInt64} AND offset < {to:UInt64}
  AND ordinal = 0 AND kind = 'usage'
ORDER BY offset

-- Batches of one partition in the order of their ranges, some at a time, with what the worker said of their rows.
SELECT
    first, next, received, posted, entries, duplicates, quarantined, holes,
    length(arrayDistinct(duplicates_at)) AS duplicates_named,
    digested, entry_rows, entries_digest, quarantine_digest
FROM batches
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND (first, next) > ({after_first:UInt64}, {after_next:UInt64})
ORDER BY first, next
LIMIT {limit:UInt64}

-- The batches of every partition in the order of their ranges, each with the end of the one before it, so that a
-- gap or an overlap shows.
SELECT
    toString(topic) AS topic_name, partition, first, next,
    lagInFrame(next, 1, first) OVER (PARTITION BY topic, partition ORDER BY first, next
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS previous_next,
    received, posted, entries, duplicates, quarantined, holes,
    length(arrayDistinct(duplicates_at)) AS duplicates_named
FROM batches
ORDER BY topic, partition, first, next

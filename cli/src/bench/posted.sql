-- What the closed batches of a topic add up to.
SELECT sum(received) AS received, sum(duplicates) AS duplicates, sum(quarantined) AS quarantined
FROM batches
WHERE topic = {topic:String}

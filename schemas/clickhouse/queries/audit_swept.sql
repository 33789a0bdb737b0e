-- The offset below which the ids of each partition were compared with all others, as the commands that ended a search
-- say. A search that was broken off says nothing and is made again.
SELECT topic_name, partition_number, max(reached) AS through
FROM
(
    SELECT
        tupleElement(one, 1) AS topic_name, tupleElement(one, 2) AS partition_number, tupleElement(one, 3) AS reached
    FROM
    (
        SELECT arrayJoin(JSONExtract(result, 'swept', 'Array(Tuple(topic String, partition UInt32, through UInt64))')) AS one
        FROM commands
        WHERE name = 'reverse_repeats' AND outcome = 'applied'
    )
)
GROUP BY topic_name, partition_number

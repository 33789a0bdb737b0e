-- The part of a question for entries that draws a sample of them by a seed: the same seed draws the same entries as
-- long as no others come.
(topic, partition, offset, ordinal) IN
(
    SELECT topic, partition, offset, ordinal
    FROM entries
    WHERE kind != 'reversal'
    ORDER BY cityHash64(topic, partition, offset, ordinal, {seed:UInt64})
    LIMIT {sample:UInt64}
)

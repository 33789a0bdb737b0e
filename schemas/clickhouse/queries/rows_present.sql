-- The rows that a table holds of a range of offsets of a partition.
SELECT offset, ordinal
FROM {table:Identifier}
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {next:UInt64}

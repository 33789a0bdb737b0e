-- What a table holds of a range of offsets of a partition: rows, records, and the first and the last offset.
SELECT
    count() AS row_count,
    uniqExact(offset) AS record_count,
    min(offset) AS first_offset,
    max(offset) AS last_offset
FROM {table:Identifier}
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {first:UInt64} AND offset < {next:UInt64}

-- Rows of one partition that no closed batch covers: below the first batch, or from the end of the last one on.
SELECT
    countIf(offset < {opened:UInt64}) AS rows_before,
    minIf(offset, offset < {opened:UInt64}) AS first_before,
    countIf(offset >= {closed:UInt64}) AS rows_after
FROM
(
    SELECT offset FROM {{posted_table}}
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND (offset < {opened:UInt64} OR offset >= {closed:UInt64})
    UNION ALL
    SELECT offset FROM quarantine
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND (offset < {opened:UInt64} OR offset >= {closed:UInt64})
)

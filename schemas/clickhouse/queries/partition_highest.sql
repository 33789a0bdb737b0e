-- One more than the highest offset of a partition, from an offset on, that any table holds; 0 where none does.
SELECT max(above)
FROM
(
    SELECT max(offset) + 1 AS above FROM entries
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {from:UInt64} HAVING count() > 0
    UNION ALL
    SELECT max(offset) + 1 AS above FROM quarantine
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {from:UInt64} HAVING count() > 0
    UNION ALL
    SELECT max(offset) + 1 AS above FROM commands
    WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {from:UInt64} HAVING count() > 0
)

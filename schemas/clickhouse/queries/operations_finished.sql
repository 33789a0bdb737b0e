-- The operations that are finished before a position of the command log: whose last step is carried out. Readers count
-- their entries, and those of no operation.
SELECT DISTINCT JSONExtractUInt(result, 'operation') AS operation, JSONExtractString(result, 'id') AS operation_id
FROM commands
WHERE topic = {topic:String} AND offset < {before:UInt64}
    AND name = 'step_operation' AND outcome = 'applied' AND JSONExtractBool(result, 'last')
ORDER BY operation

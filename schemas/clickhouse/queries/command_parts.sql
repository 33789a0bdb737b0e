-- The parts of a command that came before its last one.
SELECT part, body
FROM commands
WHERE topic = {topic:String} AND offset < {offset:UInt64} AND command_id = {command_id:String} AND outcome = 'part'
ORDER BY part

-- The body of a command in all its parts, in order.
SELECT body
FROM commands
WHERE topic = {topic:String} AND command_id = {command_id:String} AND outcome IN ('part', 'applied')
ORDER BY part, offset

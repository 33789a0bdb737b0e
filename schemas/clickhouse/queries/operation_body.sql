-- The body of a command in all its parts, in order. A part that lies in the log twice counts once.
SELECT argMin(body, offset) AS part_body
FROM commands
WHERE topic = {topic:String} AND command_id = {command_id:String} AND outcome IN ('part', 'applied')
GROUP BY part
ORDER BY part

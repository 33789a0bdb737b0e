-- Whether a command of that id was decided before.
SELECT count()
FROM commands
WHERE topic = {topic:String} AND offset < {offset:UInt64} AND command_id = {command_id:String}
  AND outcome IN ('applied', 'refused')

-- Whether a command was carried out or refused.
SELECT count()
FROM commands
WHERE command_id = {command_id:String} AND outcome IN ('applied', 'refused')

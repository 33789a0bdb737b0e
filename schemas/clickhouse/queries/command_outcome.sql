-- What the record at an offset of the command log came to.
SELECT toString(outcome)
FROM commands
WHERE topic = {topic:String} AND offset = {offset:UInt64} AND ordinal = 0
LIMIT 1

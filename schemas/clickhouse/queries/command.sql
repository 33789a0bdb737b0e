-- What became of one command: the record that closes it, where it has been executed.
SELECT
    offset AS command_offset, toString(name) AS command_name, actor,
    toUnixTimestamp64Milli(log_time) AS log_ms,
    toUnixTimestamp64Milli(recorded_at) AS recorded_ms,
    toString(outcome) AS outcome_name, detail, result
FROM commands
WHERE command_id = {command_id:String} AND part = parts
ORDER BY topic, partition, offset, ordinal
LIMIT 1

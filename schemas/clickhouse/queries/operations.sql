-- The commands of all operations before an offset, in order: what each is about and how far it is.
SELECT
    toString(name) AS command_name, offset AS command_offset, command_id, actor,
    toUnixTimestamp64Milli(log_time) AS log_ms, toUnixTimestamp64Milli(recorded_at) AS recorded_ms, result
FROM commands
WHERE topic = {topic:String} AND offset < {before:UInt64}
  AND name IN ('start_operation', 'step_operation') AND outcome = 'applied' AND part = parts
ORDER BY offset

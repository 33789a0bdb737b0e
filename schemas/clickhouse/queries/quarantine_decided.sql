-- What was decided about some records in quarantine before a command.
SELECT
    concat(toString(record_topic), '/', toString(record_partition), '/', toString(record_offset)) AS record_id,
    toString(state) AS state_name, command_id, actor
FROM quarantine_resolutions
WHERE topic = {topic:String} AND offset < {offset:UInt64}
  AND record_topic IN {record_topics:Array(String)} AND record_offset IN {record_offsets:Array(UInt64)}
  AND record_id IN {records:Array(String)}
ORDER BY offset, ordinal

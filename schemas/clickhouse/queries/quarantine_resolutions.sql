-- What was decided about some records in quarantine, in the order of the decisions.
SELECT
    concat(toString(record_topic), '/', toString(record_partition), '/', toString(record_offset)) AS record_id,
    toString(state) AS state_name, event,
    concat(toString(logged_topic), '/', toString(logged_partition), '/', toString(logged_offset)) AS logged_id,
    command_id, actor, note, toUnixTimestamp64Milli(resolved_at) AS resolved_ms
FROM quarantine_resolutions
WHERE (record_topic, record_partition, record_offset) IN
(
    SELECT topic, partition, offset
    FROM quarantine
    WHERE topic IN {topics:Array(String)} AND offset IN {offsets:Array(UInt64)} AND {{conditions}}
)
  AND record_id IN {records:Array(String)}
ORDER BY topic, partition, offset, ordinal

-- Who changed what, newest first: the record that closes each command, whether it was carried out or refused. Of a
-- command that travelled in parts, the body is not shown.
SELECT
    toString(topic) AS topic_name,
    offset AS command_offset,
    command_id,
    toString(name) AS command_name,
    actor,
    toUnixTimestamp64Milli(log_time) AS log_ms,
    toUnixTimestamp64Milli(recorded_at) AS recorded_ms,
    toString(outcome) AS outcome_name,
    detail,
    result,
    if(parts = 1, body, '') AS body_text
FROM commands
WHERE part = parts AND {{filters}} AND {{after}}
ORDER BY log_time DESC, topic DESC, offset DESC
LIMIT {limit:UInt64}

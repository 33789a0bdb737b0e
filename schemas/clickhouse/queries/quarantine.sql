-- Records in quarantine in the order of their log time, one page after a given record.
SELECT
    toString(topic) AS origin_topic, partition AS origin_partition, offset AS origin_offset, ordinal AS origin_ordinal,
    toUnixTimestamp64Milli(log_time) AS log_ms,
    toUnixTimestamp64Milli(recorded_at) AS recorded_ms,
    toString(reason) AS reason_name, detail, event_id,
    toString(customer) AS customer_id, toString(team) AS team_id, toString(content_type) AS content_type_name,
    isValidUTF8(raw) AS raw_is_text,
    if(raw_is_text, raw, base64Encode(raw)) AS raw_text,
    raw_length, lower(hex(raw_sha256)) AS raw_digest, redacted AS is_redacted
FROM quarantine
WHERE ({{time}}) AND {{conditions}} AND ({{state}}) AND {{after}}
ORDER BY log_time {{direction}}, topic {{direction}}, partition {{direction}}, offset {{direction}}, ordinal {{direction}}
LIMIT {limit:UInt64}

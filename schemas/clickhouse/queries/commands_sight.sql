-- How far the command log is carried out, and the instant before which every command is, in milliseconds.
SELECT max(reaches) AS through, max(complete) AS as_of
FROM
(
    SELECT max(next) AS reaches, toInt64(0) AS complete
    FROM batches
    WHERE topic = {topic:String}
    UNION ALL
    SELECT toUInt64(0) AS reaches, toUnixTimestamp64Milli(max(complete_through)) AS complete
    FROM progress
    WHERE topic = {topic:String}
)

-- How long ago, by the store's clock, the worker of the command log last said how far it is.
SELECT
    count() > 0 AS seen,
    toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(max(seen_at)) AS age_ms
FROM progress
WHERE topic = {commands_topic:String}

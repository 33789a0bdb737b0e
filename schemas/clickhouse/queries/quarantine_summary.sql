-- How many records in quarantine there are, by reason and by what became of them.
SELECT
    toString(reason) AS reason_name,
    multiIf(({{replayed}}), 'replayed', ({{discarded}}), 'discarded', 'open') AS state_name,
    count() AS records,
    toUnixTimestamp64Milli(min(log_time)) AS first_ms,
    toUnixTimestamp64Milli(max(log_time)) AS last_ms
FROM quarantine
WHERE ({{time}}) AND {{conditions}} AND ({{state}})
GROUP BY reason_name, state_name
ORDER BY reason_name, state_name

-- How many entries a question is about, by quarter hour.
SELECT toUnixTimestamp64Milli(toDateTime64(toStartOfFifteenMinutes(occurred_at), 3, 'UTC')) AS quarter_ms, count() AS entries
FROM
(
{{rows}}
)
GROUP BY quarter_ms
ORDER BY quarter_ms

-- How much work a question is about, by quarter hour: its entries, or where those carry much, each 8 KiB of it as one.
SELECT
    toUnixTimestamp64Milli(toDateTime64(toStartOfFifteenMinutes(occurred_at), 3, 'UTC')) AS quarter_ms,
    greatest(count(), toUInt64(intDiv(sum(length(usage) + length(context)), 8192))) AS entries
FROM
(
{{rows}}
)
GROUP BY quarter_ms
ORDER BY quarter_ms

-- What was posted of each provider and model between the instants at which price rows begin and end: a slot counts the
-- boundaries up to an entry's time, so that all entries of a slot are priced by the same row.
SELECT
    toString(provider) AS provider_name,
    toString(model) AS model_name,
    toString(currency) AS currency_code,
    arrayCount(boundary -> boundary <= toUnixTimestamp64Milli(occurred_at), {boundaries:Array(Int64)}) AS slot,
    countIf(kind = 'usage') AS entries,
    toUnixTimestamp64Milli(min(occurred_at)) AS first_ms,
    toUnixTimestamp64Milli(max(occurred_at)) AS last_ms,
    toString(sum(toDecimal256(cost, 18))) AS amount
FROM entries
WHERE operation IN {operations:Array(UInt64)} AND {{conditions}}
GROUP BY provider_name, model_name, currency_code, slot
HAVING entries != 0
ORDER BY provider_name, model_name, slot, currency_code
LIMIT {limit:UInt64}

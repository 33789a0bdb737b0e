-- One segment of a spend question: whole entries, from an aggregate projection or raw. Every expression over a
-- column is the projection's own, because only then does the store read the projection.
SELECT
    {{bucket}} AS bucket,
    {{groups}} AS groups,
    toString({{currency}}) AS currency_code,
    sum(requests) AS requests_sum,
    sum(attempts) AS attempts_sum,
    {{fixed}} AS fixed_sums,
    {{rest}} AS rest_sums,
    sum(toDecimal256({{measure}}, 18)) AS amount_sum
FROM entries
WHERE operation IN {operations:Array(UInt64)} AND ({{time}}) AND {{conditions}}
GROUP BY bucket, groups, currency_code

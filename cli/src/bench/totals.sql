-- What the entries add up to, amounts as whole numbers of 10^-18.
SELECT
    count() AS entries,
    toInt64(sum(attempts)) AS attempts,
    toInt64(sum(requests)) AS requests,
    toInt64(sum(unpriced)) AS unpriced,
    toString(toInt256(sum(toDecimal256(cost, 18)) * toInt256('1000000000000000000'))) AS cost,
    toString(toInt256(sum(toDecimal256(cost_avoided, 18)) * toInt256('1000000000000000000'))) AS cost_avoided
FROM entries

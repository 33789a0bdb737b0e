-- Totals by bucket, groups and currency over one or more segments of a period, each read from the cheapest
-- source that can answer it. `bucket` is the start of the local interval in seconds since 1970. A page begins
-- after the last row of the page before it.
WITH
    sumMap(
        arrayConcat(arrayResize({{fixed_units}}, length(fixed_sums)), CAST(rest_sums.1, 'Array(String)')),
        arrayConcat(arrayMap(quantity -> toDecimal128(quantity, 18), fixed_sums), rest_sums.2)
    ) AS quantity_totals
SELECT
    bucket,
    groups,
    currency_code,
    sum(requests_sum) AS requests_total,
    sum(attempts_sum) AS attempts_total,
    quantity_totals.1 AS units,
    arrayMap(quantity -> toString(quantity), quantity_totals.2) AS quantities,
    toString(sum(amount_sum)) AS amount_total
FROM
(
    {{segments}}
)
GROUP BY bucket, groups, currency_code
HAVING {{after}}
ORDER BY bucket, groups, currency_code
LIMIT {limit:UInt64}

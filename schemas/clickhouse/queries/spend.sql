-- Totals by bucket, groups and currency over one or more segments of a period, each read from the cheapest
-- source that can answer it. `bucket` is the start of the local interval in seconds since 1970. A page begins
-- after the last row of the page before it. What lies `before` the period is added up beside it, for comparison.
WITH
    sumMapIf(
        arrayConcat(arrayResize({{fixed_units}}, length(fixed_sums)), CAST(rest_sums.1, 'Array(String)')),
        arrayConcat(arrayMap(quantity -> toDecimal128(quantity, 18), fixed_sums), rest_sums.2),
        NOT ({{before}})
    ) AS quantity_totals
SELECT
    {{bucket}} AS shown_bucket,
    {{groups}} AS shown_groups,
    currency_code,
    sumIf(requests_sum, NOT ({{before}})) AS requests_total,
    sumIf(attempts_sum, NOT ({{before}})) AS attempts_total,
    quantity_totals.1 AS units,
    arrayMap(quantity -> toString(quantity), quantity_totals.2) AS quantities,
    toString(sumIf(amount_sum, NOT ({{before}}))) AS amount_total,
    sumIf(requests_sum, {{before}}) AS requests_before,
    sumIf(attempts_sum, {{before}}) AS attempts_before,
    toString(sumIf(amount_sum, {{before}})) AS amount_before
FROM
(
    {{segments}}
)
GROUP BY shown_bucket, shown_groups, currency_code
HAVING {{after}}
ORDER BY shown_bucket, shown_groups, currency_code
LIMIT {limit:UInt64}

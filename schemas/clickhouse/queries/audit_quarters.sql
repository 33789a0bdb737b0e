-- Totals by UTC day and currency, summed from quarter hours, from the entries themselves or from the projection
-- that the settings of the query force.
SELECT
    toString(toDate(toStartOfFifteenMinutes(occurred_at), 'UTC')) AS day, toString(currency) AS currency_code,
    sum(attempts) AS attempts_sum, sum(requests) AS requests_sum, sum(unpriced) AS unpriced_sum,
    [
        sum(input_uncached_tokens), sum(input_cache_read_tokens), sum(input_cache_write_tokens),
        sum(input_cache_write_5m_tokens), sum(input_cache_write_1h_tokens), sum(output_text_tokens),
        sum(output_reasoning_tokens)
    ] AS fixed_sums,
    toString(sumMap(line_units, line_quantities)) AS rest_sums,
    toString(sum(toDecimal256(list_cost, 18))) AS list_cost_sum,
    toString(sum(toDecimal256(cost, 18))) AS cost_sum,
    toString(sum(toDecimal256(charge, 18))) AS charge_sum,
    toString(sum(toDecimal256(cost_avoided, 18))) AS cost_avoided_sum
FROM entries
GROUP BY day, currency_code
ORDER BY day, currency_code

-- What the entries of one invoice come to by the lines of the invoice and, within a line, by all that a charge is told
-- from another by outside: price row, markup, price, provider, region, owners. What belongs to an invoice is said in
-- `invoice_membership.sql`, and what its lines are in `invoice_sums.sql`: those expressions are the same here. The list
-- price is that of the same unit by the public row, where it is in the currency of the charge.
WITH
    arrayConcat(
        arrayFilter(line -> line.2 != 0, [
            {{fixed_lines}}
        ]),
        arrayMap(
            (unit, quantity, price, amount) -> (toString(unit), quantity, price, toDecimal256(amount, 18), ''),
            line_units, line_quantities, line_prices, line_amounts)) AS cost_lines,
    if(charge_row = '' AND markup = '', cost_lines,
        arrayMap(
            line -> (toString(line.unit), line.quantity, line.price, toDecimal256(line.amount, 18), toString(line.basis)),
            charge_lines)) AS lines,
    if(list_row = '', cost_lines,
        arrayMap(
            line -> (toString(line.unit), line.quantity, line.price, toDecimal256(line.amount, 18), ''),
            list_lines)) AS listed_lines,
    roundDown(toUnixTimestamp(occurred_at), {month_starts:Array(Int64)}) AS month_start,
    month_start < {month_starts:Array(Int64)}[-1] AS is_late,
    arrayFirst(one -> one.1 = line.1, listed_lines) AS listed,
    currency = charge_currency AND line.5 NOT IN ('minimum', 'per_request') AND listed.1 != '' AS has_list
SELECT
    toInt64(if(is_late, month_start, 0)) AS adjusts_month_start,
    {{team}} AS team_name,
    toString(model) AS model_name,
    line.1 AS unit_name,
    if(is_late OR line.5 = 'minimum' OR startsWith(line.3, '='), '', line.3) AS line_price_text,
    if(line.5 = 'minimum' OR startsWith(line.3, '='), '', line.3) AS unit_price_text,
    if(has_list AND NOT startsWith(listed.3, '='), listed.3, '') AS list_price_text,
    if(charge_row != '', toString(charge_row), toString(model_row)) AS price_row,
    toString(markup) AS markup_version,
    has(unpriced_units, line.1) AS is_unpriced,
    toString(provider) AS provider_name,
    toString(region) AS region_name,
    toString(customer) AS owner_customer, toString(team) AS owner_team, toString(app) AS owner_app,
    toString(environment) AS owner_environment, toString(project) AS owner_project,
    toString(cost_center) AS owner_cost_center,
    count() AS entry_lines,
    toString(sum(if(line.5 = 'minimum', toDecimal256(0, 18), toDecimal256(line.2, 18)))) AS quantity_total,
    toString(sum(line.4)) AS amount_total,
    toString(sum(if(has_list, listed.4, line.4))) AS list_total
FROM entries
ARRAY JOIN lines AS line
WHERE {{membership}} AND charge_currency = {currency:String} AND {{conditions}}
GROUP BY ALL
ORDER BY ALL
LIMIT {limit:UInt64}

-- What the entries of some accounts come to, by the lines of their invoices. What belongs to an invoice is said in one
-- place, `invoice_membership.sql`; of months before the last one, that is adjustments. A price that is each entry's own,
-- such as what is missing to a minimum, tells no line from another: or each entry would be rounded by itself.
WITH
    if(charge_row = '' AND markup = '',
        arrayConcat(
            arrayFilter(line -> line.2 != 0, [
                {{fixed_lines}}
            ]),
            arrayMap(
                (unit, quantity, price, amount) -> (toString(unit), quantity, price, toDecimal256(amount, 18), ''),
                line_units, line_quantities, line_prices, line_amounts)),
        arrayMap(
            line -> (toString(line.unit), line.quantity, line.price, toDecimal256(line.amount, 18), toString(line.basis)),
            charge_lines)) AS lines,
    roundDown(toUnixTimestamp(occurred_at), {month_starts:Array(Int64)}) AS month_start,
    month_start < {month_starts:Array(Int64)}[-1] AS is_late
SELECT
    toString({{account}}) AS account_id,
    toString(charge_currency) AS currency_code,
    toInt64(if(is_late, month_start, 0)) AS adjusts_month_start,
    {{team}} AS team_name,
    toString(model) AS model_name,
    line.1 AS unit_name,
    if(is_late OR line.5 = 'minimum' OR startsWith(line.3, '='), '', line.3) AS unit_price_text,
    toString(sum(if(line.5 = 'minimum', toDecimal256(0, 18), toDecimal256(line.2, 18)))) AS quantity_total,
    toString(sum(line.4)) AS amount_total
FROM entries
ARRAY JOIN lines AS line
WHERE {{membership}} AND {{conditions}}
GROUP BY account_id, currency_code, adjusts_month_start, team_name, model_name, unit_name, unit_price_text

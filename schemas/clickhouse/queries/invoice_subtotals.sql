-- What the entries of one invoice come to by one dimension.
SELECT toString({{dimension}}) AS dimension_value, toString(sum(toDecimal256(charge, 18))) AS amount_total
FROM entries
WHERE {{membership}} AND charge_currency = {currency:String} AND {{conditions}}
GROUP BY dimension_value
ORDER BY dimension_value
LIMIT {limit:UInt64}

-- How many entries of some accounts that would be on their invoices have no full price.
SELECT toString({{account}}) AS account_id, toUInt64(greatest(sum(unpriced), 0)) AS entries
FROM entries
WHERE {{membership}} AND {{conditions}}
GROUP BY account_id
HAVING entries > 0
ORDER BY account_id

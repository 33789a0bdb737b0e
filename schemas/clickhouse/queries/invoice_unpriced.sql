-- How many entries of some accounts that would be on their invoices have no full price.
SELECT toString({{account}}) AS account_id, count() AS entries
FROM entries
WHERE {{membership}} AND unpriced > 0 AND {{conditions}}
GROUP BY account_id
ORDER BY account_id

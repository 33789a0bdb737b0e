-- How many entries of some accounts that would be on their invoices have no full price. An entry that was priced later,
-- or taken back, counts against itself alone: what was put right of an earlier month hides nothing of this one.
SELECT account_id, count() AS entries
FROM
(
    SELECT toString({{account}}) AS account_id, event_hash, model
    FROM entries
    WHERE unpriced != 0 AND {{membership}} AND {{conditions}}
    GROUP BY account_id, event_hash, model
    HAVING sum(unpriced) > 0
)
GROUP BY account_id
ORDER BY account_id

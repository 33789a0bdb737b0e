-- The groups with the largest amounts of each currency, over the same segments as the totals. `group_key` names a
-- group and its currency in one text.
SELECT toString((groups, currency_code)) AS group_key
FROM
(
    {{segments}}
)
WHERE NOT ({{before}})
GROUP BY groups, currency_code
ORDER BY sum(amount_sum) DESC, groups
LIMIT {top:UInt64} BY currency_code

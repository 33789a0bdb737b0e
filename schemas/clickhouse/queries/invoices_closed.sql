-- The closed invoices of some accounts, in the order of their months: what a close of the next month goes on from.
SELECT
    invoice_id, account, toString(month) AS month_date, toString(currency) AS currency_code, hash,
    toString(total) AS total_amount,
    CAST(cut_topics, 'Array(String)') AS topics, cut_partitions AS partitions, cut_nexts AS nexts
FROM invoices
WHERE kind = {kind:String} AND account IN {accounts:Array(String)}
    AND (topic, partition, offset) < ({topic:String}, {partition:UInt32}, {offset:UInt64})
ORDER BY account, month, currency

-- The last closed month of some accounts, as of a command: the close of the next month goes on from there.
SELECT
    account AS account_id,
    max(month) AS last_month,
    argMax(cut_topics, month) AS topics,
    argMax(cut_partitions, month) AS partitions,
    argMax(cut_nexts, month) AS nexts
FROM invoices
WHERE kind = {kind:String} AND account IN {accounts:Array(String)} AND offset < {offset:UInt64}
GROUP BY account_id

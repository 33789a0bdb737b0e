-- Every month that is closed, with its cut.
SELECT
    toString(kind) AS kind_name, account AS account_id, toString(month) AS month_text,
    any(cut_topics) AS topics, any(cut_partitions) AS partitions, any(cut_nexts) AS nexts
FROM invoices
GROUP BY kind_name, account_id, month_text

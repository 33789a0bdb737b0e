-- Closed invoices, the newest month first, with their canonical text.
SELECT
    invoice_id, toString(kind) AS kind_name, account, toString(month) AS month_text, toString(currency) AS currency_code,
    hash, body
FROM invoices
WHERE {{filters}} AND {{conditions}} AND {{after}}
ORDER BY month DESC, kind, account, currency
LIMIT {limit:UInt64}

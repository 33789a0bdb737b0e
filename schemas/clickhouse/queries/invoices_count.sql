-- How many invoices are closed.
SELECT count() AS invoices FROM invoices

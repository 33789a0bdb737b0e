-- The id of the closed invoice that an entry is on, in the book of customers; empty where it is on none: it is not
-- billed, its customer has no account, or its period is open. A month's invoice holds it where its cut lies behind the
-- entry, else the first later one whose cut does; as months close in order, that is the first that ends after the
-- entry occurred and whose cut lies behind it. An expression over the columns of `entries`; what it reads of `invoices`
-- is read once for a question. The closes of an account are one array at the account's place among all accounts.
if(outcome = 'not_billed', '', arrayFirst(
    closed -> closed.1 > occurred_at AND closed.2 = charge_currency AND offset < closed.5[arrayFirstIndex(
        (name, number) -> name = topic AND number = partition, closed.3, closed.4)],
    (
        SELECT groupArray(closes)
        FROM
        (
            SELECT account, arraySort(closed -> closed.1, groupArray((
                period_to, toString(currency), cut_topics, cut_partitions, cut_nexts, invoice_id))) AS closes
            FROM invoices
            WHERE kind = 'customer'
            GROUP BY account
            ORDER BY account
        )
    )[indexOf(
        (SELECT arraySort(groupUniqArray(toString(account))) FROM invoices WHERE kind = 'customer'),
        toString(customer))]).6)

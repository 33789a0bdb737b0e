-- Whether an entry has a line that one line of an invoice sums, besides being on the invoice: the month, the model, the
-- unit and the unit price of that line. The lines of an entry are those of `invoice_sums.sql`. The line of an
-- adjustment takes any price.
occurred_at >= fromUnixTimestamp64Milli({line_start:Int64} * 1000, 'UTC')
    AND occurred_at < fromUnixTimestamp64Milli({line_end:Int64} * 1000, 'UTC')
    AND charge_currency = {line_currency:String}
    AND model = {line_model:String}
    AND arrayExists(
        line -> line.1 = {line_unit:String}
            AND ({line_adjusts:UInt8} OR if(line.3 = 'minimum' OR startsWith(line.2, '='), '', line.2) = {line_price:String}),
        if(charge_row = '' AND markup = '',
            arrayConcat(
                arrayMap(line -> (line.1, line.3, ''), arrayFilter(line -> line.2 != 0, [
                    {{fixed_lines}}
                ])),
                arrayMap((unit, price) -> (toString(unit), price, ''), line_units, line_prices)),
            arrayMap(line -> (toString(line.unit), line.price, toString(line.basis)), charge_lines)))

-- One segment of a spend question that asks for units: entries taken apart into their lines, always raw. An
-- entry counts once for each unit it has, also where the unit costs nothing; an entry that owes nothing by the
-- measure has lines of amount 0. An entry without a line belongs to no unit and counts under none. Quantities are
-- those that were used; where the plane of the measure has lines of its own, the amounts are theirs.
WITH
    arrayConcat(
        arrayFilter(line -> line.2 != 0, [
            {{fixed_lines}}
        ]),
        arrayMap(
            (unit, quantity, amount) -> (toString(unit), quantity, toDecimal256(amount, 18)),
            line_units, line_quantities, line_amounts)
    ) AS cost_lines,
    if({{is_apart}},
        arrayConcat(
            arrayMap(line -> (line.1, line.2, toDecimal256(0, 18)), cost_lines),
            arrayMap(
                line -> (toString(line.1), toDecimal128(0, 18), toDecimal256(line.4, 18)),
                {{plane_lines}})),
        cost_lines) AS every_line,
    arrayFilter(line -> {{unit_condition}}, every_line) AS lines
SELECT
    {{bucket}} AS bucket,
    {{groups}} AS groups,
    toString({{currency}}) AS currency_code,
    sum(requests) AS requests_sum,
    sum(attempts) AS attempts_sum,
    CAST([], 'Array(Int64)') AS fixed_sums,
    sumMap(arrayMap(line -> line.1, part), arrayMap(line -> line.2, part)) AS rest_sums,
    sum(if({{measure}} = 0, toDecimal256(0, 18), arraySum(line -> line.3, part))) AS amount_sum
FROM entries
ARRAY JOIN {{parts}} AS part
WHERE operation IN {operations:Array(UInt64)} AND ({{time}}) AND {{conditions}} AND notEmpty(lines)
GROUP BY bucket, groups, currency_code

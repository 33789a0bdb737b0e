-- How many entries of a spend question have no price or lack one for a unit.
SELECT sum(entries) AS entries
FROM
(
    {{segments}}
)

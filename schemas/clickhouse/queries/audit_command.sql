-- How many of some commands were carried out, and how many were carried out or refused.
SELECT countIf(outcome = 'applied') AS applied, count() AS decided
FROM commands
WHERE command_id IN {command_ids:Array(String)} AND outcome IN ('applied', 'refused')

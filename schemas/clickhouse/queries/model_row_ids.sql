-- The ids of all published price rows, or of those asked for, with the text of each.
SELECT row_id, argMax(body, (offset, ordinal)) AS body
FROM model_rows
WHERE row_id IN {row_ids:Array(String)}
GROUP BY row_id

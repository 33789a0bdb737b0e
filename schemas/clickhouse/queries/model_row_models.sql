-- Which provider and model some price rows are of.
SELECT
    row_id,
    argMax(toString(provider), (offset, ordinal)) AS provider_name,
    argMax(model, (offset, ordinal)) AS model_name
FROM model_rows
WHERE row_id IN {row_ids:Array(String)}
GROUP BY row_id

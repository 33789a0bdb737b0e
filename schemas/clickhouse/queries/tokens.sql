-- The present state of every token: of the rows of one token, the one with the highest origin.
SELECT
    token_id,
    argMax(name, (topic, partition, offset, ordinal)) AS token_name,
    lower(hex(argMax(secret_hash, (topic, partition, offset, ordinal)))) AS digest,
    CAST(argMax(scopes, (topic, partition, offset, ordinal)), 'Array(String)') AS scope_names,
    argMax(customers, (topic, partition, offset, ordinal)) AS customer_ids,
    argMax(teams, (topic, partition, offset, ordinal)) AS team_ids,
    toUnixTimestamp64Milli(min(created_at)) AS created_ms,
    argMax(ifNull(toUnixTimestamp64Milli(expires_at), -1), (topic, partition, offset, ordinal)) AS expires_ms,
    argMax(revoked, (topic, partition, offset, ordinal)) AS is_revoked
FROM api_tokens
GROUP BY token_id
ORDER BY created_ms, token_id

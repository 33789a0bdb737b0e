-- A token's state before a command: what the latest command said, else what the migration minted.
SELECT
    name, secret_hash, scopes, customers, teams,
    toUnixTimestamp64Milli(created_at) AS created_at,
    toUnixTimestamp64Milli(expires_at) AS expires_at,
    revoked
FROM api_tokens
WHERE token_id = {token_id:String} AND ((topic = {topic:String} AND offset < {offset:UInt64}) OR topic = 'migrate')
ORDER BY topic = 'migrate', offset DESC
LIMIT 1

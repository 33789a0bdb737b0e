-- Versions of a registry by kind, id and number, one page after a given version. With a slot for the versions in
-- effect at an instant: of the versions of one thing, the one that began last, unless it ended the thing. The token's
-- conditions come after that choice, so that a thing that moved away is not seen as it was.
SELECT id, kind_name, version, effective_ms, known_ms, ended, body
FROM
(
    SELECT
        id, toString(kind) AS kind_name, version,
        ifNull(toUnixTimestamp64Milli(effective_from), toInt64(-9223372036854775808)) AS effective_ms,
        toUnixTimestamp64Milli(known_from) AS known_ms,
        ended, customer, team, body
    FROM {{table}}
    WHERE {{filters}}
    ORDER BY effective_ms DESC, version DESC
    {{versions}}
)
WHERE {{conditions}} AND {{after}}
ORDER BY kind_name, id, version
LIMIT {limit:UInt64}

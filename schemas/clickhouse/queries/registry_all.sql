-- Everything that a registry holds, in the order in which it was set.
SELECT id, toString(kind) AS kind, version, toUnixTimestamp64Milli(effective_from) AS effective_from, body
FROM {{table}}
ORDER BY offset, ordinal

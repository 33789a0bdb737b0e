-- The versions of some things of a registry.
SELECT id, version, ifNull(toUnixTimestamp64Milli(effective_from), toInt64(-9223372036854775808)) AS effective_ms, body
FROM {{table}}
WHERE concat(id, '@', toString(version)) IN {versions:Array(String)}
ORDER BY offset, ordinal

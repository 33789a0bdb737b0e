-- The versions of a registry that the commands before a position set, in their order.
SELECT id, toString(kind) AS kind, version, toUnixTimestamp64Milli(effective_from) AS effective_from, body
FROM {table:Identifier}
WHERE topic = {topic:String} AND offset < {through:UInt64}
ORDER BY offset, ordinal

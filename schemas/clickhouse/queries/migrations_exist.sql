-- Whether the store has any schema of ours.
SELECT toUInt8(count() > 0) FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'

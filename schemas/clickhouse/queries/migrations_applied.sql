-- The migrations that the store has; a number counts once, should two processes have recorded it at once.
SELECT version, any(checksum) AS checksum FROM schema_migrations GROUP BY version ORDER BY version

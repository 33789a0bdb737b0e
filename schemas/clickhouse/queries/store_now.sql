-- The store's own time in milliseconds: leases are counted by this clock alone.
SELECT toUnixTimestamp64Milli(now64(3))

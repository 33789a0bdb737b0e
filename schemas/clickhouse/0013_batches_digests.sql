-- What the worker computed while it built a batch: how many rows of `entries` it makes and the sum of their digests,
-- and the sum of the digests of its rows in quarantine. `digested` is 0 for batches from before this migration.
ALTER TABLE batches
    ADD COLUMN IF NOT EXISTS digested UInt8 AFTER holes,
    ADD COLUMN IF NOT EXISTS entry_rows UInt64 AFTER digested,
    ADD COLUMN IF NOT EXISTS entries_digest UInt64 AFTER entry_rows,
    ADD COLUMN IF NOT EXISTS quarantine_digest UInt64 AFTER entries_digest

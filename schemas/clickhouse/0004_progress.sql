-- How far each partition is, as its worker says each second, idle or not. Each row is a statement that stays
-- true (everything before `complete_through` is posted), so readers take maxima and never depend on a merge.
CREATE TABLE IF NOT EXISTS progress
(
    topic            LowCardinality(String),
    partition        UInt32,
    partitions       UInt32,
    next             UInt64,
    end              UInt64,
    complete_through DateTime64(3, 'UTC'),
    commands_through UInt64,
    worker           String,
    seen_at          DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (topic, partition)

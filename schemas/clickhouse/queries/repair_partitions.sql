-- How many partitions of a topic the ledger knows of.
SELECT max(partition + 1) AS partition_count FROM batches WHERE topic = {topic:String}

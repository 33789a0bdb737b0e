-- Inserts of one partition that still run; their query ids share a prefix.
SELECT count() FROM system.processes WHERE startsWith(query_id, {prefix:String})

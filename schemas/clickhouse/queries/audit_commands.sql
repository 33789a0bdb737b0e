-- Records of the command log with more than one row, where each must have exactly one.
SELECT toString(topic) AS topic_name, partition, offset, count() AS rows
FROM commands
GROUP BY topic, partition, offset
HAVING rows != uniqExact(ordinal)
ORDER BY topic, partition, offset
LIMIT 100

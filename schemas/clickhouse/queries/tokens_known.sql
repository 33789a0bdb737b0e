-- How many token states the store has, and its own time in milliseconds.
SELECT count(), toUnixTimestamp64Milli(now64(3)) FROM api_tokens

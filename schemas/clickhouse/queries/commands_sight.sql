-- How far the command log is carried out, and the instant before which every command is.
SELECT
    (SELECT max(next) FROM batches WHERE topic = {topic:String}) AS through,
    toUnixTimestamp64Milli((SELECT max(complete_through) FROM progress WHERE topic = {topic:String})) AS as_of

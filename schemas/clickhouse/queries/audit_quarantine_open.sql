-- How many records that were logged in a period wait in quarantine, of one customer or team, and of nobody who is
-- named. A replay counts as waiting until its event lies in the log.
SELECT
    countIf(owner = {id:String}) AS own,
    countIf(owner = '') AS unnamed
FROM
(
    SELECT toString(if({kind:String} = 'team', team, customer)) AS owner
    FROM quarantine
    WHERE log_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND log_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
      AND topic != {commands_topic:String}
      AND (topic, partition, offset) NOT IN
      (
          SELECT record_topic, record_partition, record_offset
          FROM quarantine_resolutions
          WHERE state IN ('discarded', 'logged')
      )
)

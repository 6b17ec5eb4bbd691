-- Which of these events are stored. Parameters: ids, and since and until, the ns between which their times are.
SELECT toString(id)
FROM audit.events
WHERE time >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
  AND time <= fromUnixTimestamp64Nano({until:Int64}, 'UTC')
  AND toString(id) IN {ids:Array(String)}

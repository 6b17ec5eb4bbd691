-- What a virtual key was used for, a row a day (UTC), the newest first. Parameters: key_id, and days: the last so many, today among them.
SELECT
    toDate(time) AS day,
    sum(count) AS requests,
    sumIf(count, outcome = 'refused') AS refused,
    sumIf(count, outcome IN ('failed', 'crashed')) AS failed,
    sumIf(count, outcome = 'aborted') AS aborted,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(cost_nanousd) AS cost_nanousd,
    sumIf(count, key_old_secret) AS old_secret,
    toUnixTimestamp(max(time)) AS last_use
FROM audit.requests
WHERE key_id = {key_id:String}
  AND time >= toStartOfDay(now64(9, 'UTC')) - toIntervalDay({days:UInt16} - 1)
GROUP BY day
ORDER BY day DESC

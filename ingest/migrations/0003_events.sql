-- One row an administrative event. Columns are those of contracts/events.py, in its order (a test compares).
-- Who writes asks for ids first; what two may write at the same moment the engine makes one of, later. There is no window
-- of remembered inserts: an insert that was taken back must not count as done.
CREATE TABLE IF NOT EXISTS audit.events
(
    id         UUID,
    time       DateTime64(9, 'UTC'),
    category   LowCardinality(String),
    verb       LowCardinality(String),
    outcome    LowCardinality(String),
    actor      LowCardinality(String),
    kind       LowCardinality(String),
    name       String,
    before     String,
    after      String,
    request_id String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (time, id)
;

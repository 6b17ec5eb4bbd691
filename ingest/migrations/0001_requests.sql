-- One row an exchange, whatever became of it. Columns are those of contracts/audit.py, in its order (a test compares).
-- Partitioned by environment and day, so that retention drops whole parts. Inserts carry a token; the window says how
-- many of them are remembered, so that a batch that is offered twice is stored once.
CREATE TABLE IF NOT EXISTS audit.requests
(
    id                  UUID,
    time                DateTime64(9, 'UTC'),
    organisation        LowCardinality(String),
    team                LowCardinality(String),
    project             LowCardinality(String),
    environment         LowCardinality(String),
    key_id              String,
    key_name            LowCardinality(String),
    user                String,
    client_address      String,
    user_agent          String,
    trace_id            String,
    span_id             String,
    metadata            Map(String, String),
    method              LowCardinality(String),
    path                String,
    route               LowCardinality(String),
    dialect             LowCardinality(String),
    model_asked         LowCardinality(String),
    model_served        LowCardinality(String),
    provider            LowCardinality(String),
    credential          LowCardinality(String),
    stream              Bool,
    max_tokens          UInt32,
    choices             UInt16,
    messages            UInt32,
    tools               UInt16,
    request_bytes       UInt64,
    response_bytes      UInt64,
    status              UInt16,
    outcome             LowCardinality(String),
    termination         LowCardinality(String),
    error_code          LowCardinality(String),
    finish_reason       LowCardinality(String),
    provider_status     UInt16,
    provider_request_id String,
    chunks              UInt32,
    allow               Bool,
    reasons             Array(LowCardinality(String)),
    warnings            Array(LowCardinality(String)),
    decision_id         String,
    policy_revision     LowCardinality(String),
    snapshot_revision   LowCardinality(String),
    profile             LowCardinality(String),
    zero_data_retention Bool,
    findings_prompt     Map(LowCardinality(String), UInt32),
    findings_answer     Map(LowCardinality(String), UInt32),
    actions             Map(LowCardinality(String), LowCardinality(String)),
    redacted_prompt     UInt32,
    redacted_answer     UInt32,
    input_tokens        UInt64,
    output_tokens       UInt64,
    cache_read_tokens   UInt64,
    cache_write_tokens  UInt64,
    reasoning_tokens    UInt64,
    cost_nanousd        UInt64,
    reserved_nanousd    UInt64,
    price_version       LowCardinality(String),
    usage_source        LowCardinality(String) DEFAULT 'none',
    gate_us             UInt64,
    policy_us           UInt32,
    redact_us           UInt32,
    upstream_us         UInt64,
    first_token_us      UInt64,
    total_us            UInt64,
    witness             LowCardinality(String) DEFAULT 'extproc',
    envoy_flags         LowCardinality(String),
    envoy_details       LowCardinality(String),
    envoy_id            String,
    plane               LowCardinality(String),
    gateway_version     LowCardinality(String),
    count               UInt32 DEFAULT 1,
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = MergeTree
PARTITION BY (environment, toDate(time))
ORDER BY (time, id)
SETTINGS non_replicated_deduplication_window = 10000
;
-- Asked by whoever watches cost and use: one line a day, team, project, environment and model.
CREATE VIEW IF NOT EXISTS audit.by_day AS
SELECT
    toDate(time) AS day, team, project, environment, model_asked AS model, outcome,
    sum(count) AS exchanges, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cost_nanousd) / 1000000000 AS cost_usd
FROM audit.requests
GROUP BY day, team, project, environment, model, outcome
;

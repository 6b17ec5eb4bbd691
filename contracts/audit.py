"""The audit row: one per exchange, whatever became of it. The truth for the DDL and the reference page.

Each field's metadata says what ClickHouse stores and what a reader needs: `ch` is the column type,
`unit`, `doc`, `example`, and the names it maps to in OpenTelemetry's GenAI conventions (`otel`)
and in OCSF API Activity (`ocsf`). A row holds no text of a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

OUTCOMES: Final = ("served", "refused", "failed", "aborted", "crashed")
"""served: the app got the provider's whole answer. refused: the gate said no, nothing was sent on or the
answer was withheld. failed: the provider did. aborted: the app went away. crashed: a part of the gate died."""

TERMINATIONS: Final[Mapping[str, str]] = {
    "complete": "the app got the provider's whole answer",
    "refused": "the gate answered instead of the provider: error_code says why",
    "gone": "interim, in no stored row: extproc can't tell who left; ingest settles it by Envoy's log line, or as gate_died if none comes",
    "client_gone": "the app closed its connection before the end",
    "upstream_unreachable": "no connection to the provider could be made",
    "upstream_reset": "the provider broke off before the end of its answer",
    "upstream_timeout": "the provider did not answer, or went on answering, in time",
    "upstream_garbage": "the provider's answer is not what its dialect says",
    "upstream_status": "the provider answered with an error status of its own",
    "cut": "the gate ended an answer that had already begun: a block, a limit, or its own failure",
    "truncated": "the answer ended early and cleanly: a stream without its last event",
    "gate_died": "a part of the gate died or stalled, and Envoy ended the exchange; the provider was not asked, or its answer withheld",
    "crashed": "extproc died with the exchange under way: the row is what was known before the credential was used",
    "unknown": "Envoy's log line names an end that this version has no name for",
}
"""What ended an exchange → what that means. The vocabulary of both witnesses."""

LOW: Final = "LowCardinality(String)"
COUNTS: Final = "Map(LowCardinality(String), UInt32)"


def _column(ch: str, doc: str, default: Any = "", *, unit: str = "", example: str = "", otel: str = "", ocsf: str = "") -> Any:
    meta = {"ch": ch, "doc": doc, "unit": unit, "example": example, "otel": otel, "ocsf": ocsf}
    if callable(default):
        return field(default_factory=default, metadata=meta)
    return field(default=default, metadata=meta)


@dataclass(kw_only=True)
class AuditRow:
    """One exchange. Times are nanoseconds of the Unix epoch, durations microseconds, money nano-dollars.

    Not frozen: it is filled in while the exchange goes on, and written once as intent and once at the end.
    Without slots: so the JSON writer takes it in a third of the time, twice an exchange.
    """

    id: str = _column(
        "UUID",
        "the exchange, as told to the app in x-portcullis-request-id",
        example="0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d",
        ocsf="metadata.uid",
    )
    time: int = _column(
        "DateTime64(9, 'UTC')", "when the gate got the request's head", 0, unit="ns", example="2026-11-24 09:51:31.000000000", ocsf="time"
    )
    # who
    organisation: str = _column(LOW, "organisation of the key", example="acme", ocsf="actor.user.org.name")
    team: str = _column(LOW, "team of the key", example="search", ocsf="actor.user.groups[].name")
    project: str = _column(LOW, "project of the key", example="ranking")
    environment: str = _column(LOW, "environment of the key", example="dev", otel="deployment.environment.name")
    key_id: str = _column("String", "public id of the virtual key", example="4rT9bQz01LmX", ocsf="actor.user.credential_uid")
    key_name: str = _column(LOW, "name of the virtual key", example="ranking-dev", ocsf="actor.user.name")
    key_old_secret: bool = _column("Bool", "the key's older secret was used, in the grace after its rotation", False, example="false")
    user: str = _column(
        "String", "end user named by the app, where the key may do so", example="u-1842", otel="user.id", ocsf="actor.user.uid"
    )
    client_address: str = _column(
        "String", "address of the app as Envoy trusts it", example="10.2.0.7", otel="client.address", ocsf="src_endpoint.ip"
    )
    user_agent: str = _column(
        "String",
        "the app's user-agent header, cut at 200 characters",
        example="OpenAI/Python 3.54.0",
        otel="user_agent.original",
        ocsf="http_request.user_agent",
    )
    trace_id: str = _column(
        "String", "trace id of the app's traceparent header", example="4bf92f3577b34da6a3ce929d0e0e4736", otel="trace_id"
    )
    span_id: str = _column("String", "parent span id of the app's traceparent header", example="00f067aa0ba902b7", otel="parent_span_id")
    metadata: Mapping[str, str] = _column("Map(String, String)", "the app's x-portcullis-metadata", dict, example="{'feature':'search'}")
    # what
    method: str = _column(LOW, "HTTP method", example="POST", otel="http.request.method", ocsf="http_request.http_method")
    path: str = _column(
        "String", "request path without its query", example="/v1/chat/completions", otel="url.path", ocsf="http_request.url.path"
    )
    route: str = _column(LOW, "declared route", example="chat", otel="gen_ai.operation.name", ocsf="api.operation")
    dialect: str = _column(LOW, "dialect the app spoke", example="openai")
    model_asked: str = _column(
        LOW, "public model name the app asked for", example="cheap", otel="gen_ai.request.model", ocsf="ai_model.name"
    )
    model_served: str = _column(
        LOW, "model the provider says it used", example="tiny-2026", otel="gen_ai.response.model", ocsf="ai_model.version"
    )
    provider: str = _column(
        LOW, "provider the request was sent to", example="openai", otel="gen_ai.provider.name", ocsf="ai_model.ai_provider"
    )
    credential: str = _column(LOW, "name of the provider credential used", example="openai-main")
    stream: bool = _column("Bool", "the app asked for an event stream", False, example="true", otel="gen_ai.request.stream")
    max_tokens: int = _column(
        "UInt32",
        "token ceiling of each answer: the app's or, where it set none, the key's; 0 if neither has one",
        0,
        unit="tokens",
        example="512",
        otel="gen_ai.request.max_tokens",
    )
    choices: int = _column("UInt16", "answers asked for (n)", 0, example="1", otel="gen_ai.request.choice.count")
    messages: int = _column("UInt32", "messages in the request", 0, example="3")
    tools: int = _column("UInt16", "tools offered in the request", 0, example="2")
    request_bytes: int = _column("UInt64", "bytes of the request body", 0, unit="bytes", example="412", otel="http.request.body.size")
    response_bytes: int = _column(
        "UInt64", "bytes of the answer's body sent to the app", 0, unit="bytes", example="920", otel="http.response.body.size"
    )
    # what became of it
    status: int = _column(
        "UInt16", "HTTP status the app got, 0 if none", 0, example="200", otel="http.response.status_code", ocsf="http_response.code"
    )
    outcome: str = _column(LOW, "served, refused, failed, aborted or crashed", example="served", ocsf="status")
    termination: str = _column(LOW, "what ended the exchange, one of the terminations below", example="complete", ocsf="status_detail")
    error_code: str = _column(
        LOW, "the refusal's code, empty when served", example="not_allowed", otel="error.type", ocsf="api.response.error"
    )
    finish_reason: str = _column(
        LOW, "the provider's finish reasons, comma-separated", example="stop", otel="gen_ai.response.finish_reasons"
    )
    provider_status: int = _column("UInt16", "HTTP status the provider gave, 0 if it gave none", 0, example="200")
    provider_request_id: str = _column("String", "the provider's own id of the answer", example="chatcmpl-9Z", otel="gen_ai.response.id")
    chunks: int = _column("UInt32", "events of a streamed answer", 0, example="41")
    # under which rule
    allow: bool = _column("Bool", "the verdict", False, example="true", ocsf="action_id")
    reasons: tuple[str, ...] = _column(
        "Array(LowCardinality(String))", "reason codes of the verdict", tuple, example="['model_not_allowed']", ocsf="policy.desc"
    )
    warnings: tuple[str, ...] = _column("Array(LowCardinality(String))", "warning codes of the verdict", tuple, example="['budget_soft']")
    decision_id: str = _column(
        "String",
        "id of the decision, as told in x-portcullis-decision-id",
        example="0199f3b2-7c1e-7d04-8a11-5c2e9b7d1f00",
        ocsf="policy.uid",
    )
    policy_revision: str = _column(LOW, "revision of the rules that decided", example="9f2c41d07a1b", ocsf="policy.version")
    snapshot_revision: str = _column(LOW, "revision of keys, models and profiles in force", example="17")
    profile: str = _column(LOW, "personal-data profile in force", example="strict")
    zero_data_retention: bool = _column("Bool", "the environment keeps no content anywhere", False, example="false")
    # personal data
    findings_prompt: Mapping[str, int] = _column(
        COUNTS, "kinds found in the prompt, with counts", dict, example="{'EMAIL_ADDRESS':1}", ocsf="data_classifications[]"
    )
    findings_answer: Mapping[str, int] = _column(COUNTS, "kinds found in the answer, with counts", dict, example="{}")
    actions: Mapping[str, str] = _column(
        "Map(LowCardinality(String), LowCardinality(String))",
        "what was done, by side and kind",
        dict,
        example="{'prompt.EMAIL_ADDRESS':'redact'}",
        ocsf="disposition",
    )
    redacted_prompt: int = _column("UInt32", "places changed in the prompt", 0, example="1")
    redacted_answer: int = _column("UInt32", "places changed in the answer", 0, example="0")
    # cost
    input_tokens: int = _column(
        "UInt64",
        "tokens read, cache included",
        0,
        unit="tokens",
        example="18",
        otel="gen_ai.usage.input_tokens",
        ocsf="message_context.prompt_tokens",
    )
    output_tokens: int = _column(
        "UInt64",
        "tokens written, reasoning included",
        0,
        unit="tokens",
        example="42",
        otel="gen_ai.usage.output_tokens",
        ocsf="message_context.completion_tokens",
    )
    cache_read_tokens: int = _column(
        "UInt64",
        "input tokens served from the provider's cache",
        0,
        unit="tokens",
        example="0",
        otel="gen_ai.usage.cache_read.input_tokens",
    )
    cache_write_tokens: int = _column(
        "UInt64",
        "input tokens written to the provider's cache",
        0,
        unit="tokens",
        example="0",
        otel="gen_ai.usage.cache_creation.input_tokens",
    )
    cache_write_1h_tokens: int = _column(
        "UInt64", "of those written to the cache, the ones kept there for an hour", 0, unit="tokens", example="0"
    )
    input_audio_tokens: int = _column("UInt64", "input tokens that are sound, where the provider says so", 0, unit="tokens", example="0")
    input_image_tokens: int = _column("UInt64", "input tokens that are images, where the provider says so", 0, unit="tokens", example="0")
    reasoning_tokens: int = _column(
        "UInt64", "output tokens spent on reasoning", 0, unit="tokens", example="0", otel="gen_ai.usage.reasoning.output_tokens"
    )
    output_audio_tokens: int = _column("UInt64", "output tokens that are sound", 0, unit="tokens", example="0")
    web_searches: int = _column("UInt32", "searches on the web that the provider made and counted", 0, example="0")
    file_searches: int = _column("UInt32", "searches that the provider made in files it keeps", 0, example="0")
    cost_nanousd: int = _column("UInt64", "cost at the price in force, 0 where no price is known", 0, unit="nano-USD", example="27900")
    reserved_nanousd: int = _column("UInt64", "money held before the answer was known", 0, unit="nano-USD", example="0")
    price_version: str = _column(LOW, "price that was used, empty where none is known", example="declared:17")
    usage_source: str = _column(LOW, "provider, estimated or none", "none", example="provider")
    # how long
    gate_us: int = _column("UInt64", "time spent in extproc", 0, unit="µs", example="210")
    policy_us: int = _column("UInt32", "of that, the policy decision", 0, unit="µs", example="64")
    redact_us: int = _column("UInt32", "of that, finding and replacing personal data", 0, unit="µs", example="31")
    upstream_us: int = _column(
        "UInt64",
        "from the request sent on to the provider's response head",
        0,
        unit="µs",
        example="412000",
        otel="gen_ai.server.request.duration",
    )
    first_token_us: int = _column(
        "UInt64",
        "from the request's head to the first body bytes of the answer",
        0,
        unit="µs",
        example="420000",
        otel="gen_ai.response.time_to_first_chunk",
    )
    total_us: int = _column(
        "UInt64",
        "from the request's head to the end",
        0,
        unit="µs",
        example="980000",
        otel="gen_ai.client.operation.duration",
        ocsf="duration",
    )
    # who says so
    witness: str = _column(LOW, "who wrote the row: extproc, or envoy (the second witness)", "extproc", example="extproc")
    envoy_flags: str = _column(LOW, "Envoy's response flags, where the second witness wrote the row", example="DC")
    envoy_details: str = _column(LOW, "Envoy's response code details, where the second witness wrote the row", example="ext_proc_error")
    envoy_id: str = _column("String", "Envoy's own x-request-id", example="5c2e9b7d-1f00-4d04-8a11-0199f3b27c1e")
    plane: str = _column(LOW, "data plane that wrote the row", example="extproc-0")
    gateway_version: str = _column(LOW, "version of Portcullis", example="0.1.0", otel="service.version", ocsf="metadata.product.version")
    count: int = _column(
        "UInt32", "exchanges this row stands for; over 1 only in an aggregated row of refusals without a key", 1, example="1", ocsf="count"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is on record before a credential is used: the part of the row known by then.

    If no row with this id ever follows, the exchange crashed and the intent becomes its row.
    """

    row: AuditRow


COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {f.name: dict(f.metadata) for f in fields(AuditRow)}
"""Column name → its metadata, in order."""

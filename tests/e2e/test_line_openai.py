"""OpenAI's routes through the whole gate: what the provider gets, what the app gets, and the row of each."""

from __future__ import annotations

import base64
import http.client
import json
import struct
from collections.abc import Iterator
from typing import Any, Final

import pytest
from openai import OpenAI
from plain_http import Reply, ask
from stack import PROVIDER_SECRET, Stack, eventually

DECLARED: Final = """\
organisation: acme
providers:
  local: {dialect: openai, url: http://mock/v1, insecure: true}
  claude: {dialect: anthropic, url: http://mock, insecure: true}
credentials:
  local-main: {provider: local, secret: {env: E2E_PROVIDER_SECRET}}
  claude-main: {provider: claude, secret: {env: E2E_PROVIDER_SECRET}}
models:
  cheap: {provider: local, credential: local-main, model: tiny, price: {input: 0.15, output: 0.60}}
  vectors: {provider: local, credential: local-main, price: {input: 0.02, output: 0}}
  judge: {provider: local, credential: local-main, price: {input: 7, output: 7}}
  dear: {provider: local, credential: local-main, price: {input: 15, output: 60}}
  claude-tiny: {provider: claude, credential: claude-main, price: {input: 3, output: 15}}
environments:
  dev: {}
  health: {zero_data_retention: true}
teams:
  search: {projects: {ranking: {}}}
keys:
  app: {team: search, project: ranking, environment: dev, models: [cheap, vectors, judge, "claude-*"], profile: careful}
  looking: {team: search, project: ranking, environment: dev, models: ["*"], profile: looking}
  patient: {team: search, project: ranking, environment: health, models: ["*"], routes: [chat, embeddings], profile: careful}
profiles:
  careful: {prompt: {CREDIT_CARD: block, "*": redact}, answer: {"*": redact}, unscanned: block}
  looking: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: alert}
"""
ADDRESS: Final = "anna.berg@example.com"
PIECES: Final = ["Ask anna", ".berg@exam", "ple.com, ", "she knows."]
ASKS: Final = {
    "/v1/chat/completions": {"model": "cheap", "messages": [{"role": "user", "content": f"to {ADDRESS}"}]},
    "/v1/completions": {"model": "cheap", "prompt": f"to {ADDRESS}"},
    "/v1/responses": {"model": "cheap", "input": f"to {ADDRESS}"},
    "/v1/embeddings": {"model": "vectors", "input": f"to {ADDRESS}"},
    "/v1/moderations": {"model": "judge", "input": f"to {ADDRESS}"},
}
"""A request of each route, with an address in it."""

STREAMS: Final = ["/v1/chat/completions", "/v1/completions"]
"""Routes on whose streams usage is asked for."""


@pytest.fixture(scope="module")
def shared_line() -> Iterator[Stack]:
    """One gate with providers of both dialects."""
    with Stack(DECLARED) as stack:
        yield stack


@pytest.fixture
def line(shared_line: Stack) -> Stack:
    """That gate, its mock provider fresh."""
    shared_line.forget()
    return shared_line


def got(line: Stack) -> dict[str, Any]:
    """The one body that reached the provider."""
    (received,) = line.mock_received()
    assert received["headers"]["authorization"] == f"Bearer {PROVIDER_SECRET}"
    body: dict[str, Any] = json.loads(received["body"])
    return body


def events(reply: Reply) -> list[dict[str, Any]]:
    """The JSON of a stream's events."""
    return [json.loads(line[6:]) for line in reply.body.decode().split("\n") if line.startswith("data: {")]


def said(reply: Reply) -> str:
    """What the model said in a stream of chat or of completions."""
    choices = [choice for event in events(reply) for choice in event["choices"]]
    return "".join(choice["text"] if "text" in choice else choice["delta"].get("content") or "" for choice in choices)


# ── every route ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ASKS)
def test_each_route_serves_without_the_address(line: Stack, path: str) -> None:
    """It reaches the provider at its own path, redacted, under the provider's name of the model; the row says what was done."""
    reply = line.ask(ASKS[path], path=path)
    assert reply.status == 200, reply.body
    (received,) = line.mock_received()
    assert received["path"] == path
    assert ADDRESS not in received["body"]
    assert "to [EMAIL_ADDRESS]" in received["body"]
    asked = ASKS[path]["model"]
    assert got(line)["model"] == {"cheap": "tiny"}.get(str(asked), asked)
    row = line.row(reply.id)
    assert (row["dialect"], row["model_asked"], row["outcome"], row["termination"]) == ("openai", asked, "served", "complete")
    assert (row["findings_prompt"], row["redacted_prompt"], row["actions"]) == ({"EMAIL_ADDRESS": 1}, 1, {"prompt.EMAIL_ADDRESS": "redact"})
    assert int(row["input_tokens"]) > 0


@pytest.mark.parametrize("path", ASKS)
def test_each_route_refuses_what_its_profile_blocks(line: Stack, path: str) -> None:
    """A card's number never leaves, whatever the route."""
    document = json.loads(json.dumps(ASKS[path]).replace(ADDRESS, "4111 1111 1111 1111"))
    reply = line.ask(document, path=path)
    assert (reply.status, reply.code) == (400, "guardrail_blocked")
    assert line.mock_received() == []
    assert line.row(reply.id)["findings_prompt"] == {"CREDIT_CARD": 1}


@pytest.mark.parametrize("path", ASKS)
def test_no_route_serves_a_model_of_another_dialect(line: Stack, path: str) -> None:
    """The app is told which dialect the model's provider speaks; nothing is sent."""
    reply = line.ask({**ASKS[path], "model": "claude-tiny"}, path=path)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert path in reply.document["error"]["message"]
    assert line.mock_received() == []
    row = line.row(reply.id)
    assert (row["outcome"], row["error_code"], row["model_asked"]) == ("refused", "invalid_request", "claude-tiny")


# ── streams and their usage ────────────────────────────────────────────────────


@pytest.mark.parametrize("path", STREAMS)
def test_a_streams_usage_is_asked_for_and_hidden(line: Stack, path: str) -> None:
    """The provider is asked, the row counts, and an app that did not ask sees no event more; an address in pieces is taken out."""
    line.script({"text": PIECES})
    reply = line.ask({**ASKS[path], "stream": True}, path=path)
    assert got(line)["stream_options"] == {"include_usage": True}
    assert said(reply) == "Ask [EMAIL_ADDRESS], she knows."
    assert all(event["choices"] and not event.get("usage") for event in events(reply))
    assert reply.body.endswith(b"data: [DONE]\n\n")
    row = line.row(reply.id)
    assert (row["usage_source"], row["stream"], row["outcome"], row["finish_reason"]) == ("provider", True, "served", "stop")
    assert int(row["output_tokens"]) > 0
    assert int(row["cost_nanousd"]) == int(row["input_tokens"]) * 150 + int(row["output_tokens"]) * 600
    assert row["findings_answer"] == {"EMAIL_ADDRESS": 1}


@pytest.mark.parametrize("path", STREAMS)
def test_a_usage_that_the_app_asked_for_is_shown(line: Stack, path: str) -> None:
    """As the provider sends it."""
    reply = line.ask({**ASKS[path], "stream": True, "stream_options": {"include_usage": True}}, path=path)
    last = events(reply)[-1]
    row = line.row(reply.id)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == int(row["output_tokens"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", STREAMS)
def test_what_the_provider_does_not_count_is_estimated(line: Stack, path: str, *, stream: bool) -> None:
    """From the bytes that flowed, and marked; never zero."""
    line.script({"text": "word " * 80, "usage": {}})
    reply = line.ask({**ASKS[path], "stream": stream}, path=path)
    assert reply.status == 200
    row = line.row(reply.id)
    assert (row["usage_source"], int(row["output_tokens"])) == ("estimated", 100)
    assert int(row["input_tokens"]) == -(-len(json.dumps({**ASKS[path], "stream": stream})) // 4)
    assert int(row["cost_nanousd"]) == int(row["input_tokens"]) * 150 + 100 * 600


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_that_the_app_leaves_is_billed_by_what_flowed(line: Stack, path: str) -> None:
    """The provider's count comes at the end, and there was none: the texts that left are counted."""
    line.script({"text": "word " * 20, "bulk": 1 << 20, "chunk_delay_ms": 5})
    host, _, port = line.gateway.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    headers = {"content-type": "application/json", "authorization": f"Bearer {line.key()}"}
    connection.request("POST", path, json.dumps({**ASKS[path], "stream": True}), headers)
    answer = connection.getresponse()
    read = len(answer.read(20_000))
    exchange = answer.getheader("x-portcullis-request-id") or ""
    answer.close()
    connection.close()
    row = line.row(exchange)
    assert (row["outcome"], row["termination"], row["usage_source"]) == ("aborted", "client_gone", "estimated")
    assert int(row["response_bytes"]) >= read
    assert 0 < int(row["output_tokens"]) <= int(row["response_bytes"]) // 4
    assert int(row["cost_nanousd"]) == int(row["input_tokens"]) * 150 + int(row["output_tokens"]) * 600
    eventually(lambda: json.loads(ask(line.mock, "GET", "/__sent").body)["state"] != "under way", "the provider heard of it")


# ── completions, embeddings, moderations ───────────────────────────────────────


def sdk(line: Stack, key: str = "app") -> OpenAI:
    """The official SDK, unmodified."""
    return OpenAI(base_url=f"{line.gateway}/v1", api_key=line.key(key), max_retries=0)


def test_completions_of_several_prompts(line: Stack) -> None:
    """Each choice is redacted with the tokens that spell it; a clean one keeps its own."""
    line.script({"text": f"Ask {ADDRESS}"})
    with sdk(line) as client:
        answer = client.completions.with_raw_response.create(model="cheap", prompt=["a", "b"], n=2, suffix="!", logprobs=1)
    found = answer.parse()
    assert [(choice.index, choice.text, choice.logprobs) for choice in found.choices] == [
        (number, "Ask [EMAIL_ADDRESS]", None) for number in range(4)
    ]
    with sdk(line) as client:
        clean = client.completions.create(model="cheap", prompt="a", logprobs=1)
    assert clean.choices[0].logprobs is not None
    assert clean.choices[0].logprobs.tokens
    row = line.row(answer.headers["x-portcullis-request-id"])
    assert (int(row["choices"]), int(row["messages"])) == (4, 2)
    assert int(row["redacted_answer"]) >= 4


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings"])
@pytest.mark.parametrize("tokens", [[9906, 1917], [[9906], [1917]]])
def test_token_ids_are_what_nobody_reads(line: Stack, path: str, tokens: Any) -> None:
    """They follow the profile: blocked by one, counted by the other."""
    document = {"model": "vectors" if "emb" in path else "cheap", "input" if "emb" in path else "prompt": tokens}
    refused = line.ask(document, path=path)
    assert (refused.status, refused.code) == (400, "guardrail_blocked")
    assert "UNSCANNED_TOKENS" in refused.document["error"]["message"]
    assert line.mock_received() == []
    served = line.ask(document, path=path, key="looking")
    assert served.status == 200
    count = 2 if isinstance(tokens[0], list) else 1
    assert line.row(served.id)["findings_prompt"] == {"UNSCANNED_TOKENS": count}
    assert line.row(refused.id)["findings_prompt"] == {"UNSCANNED_TOKENS": count}


def test_embeddings_come_as_the_provider_made_them(line: Stack) -> None:
    """As numbers, in base64, and by the SDK, which asks for base64 and unpacks it; paid for is the input."""
    asked = {"model": "vectors", "input": ["a", f"to {ADDRESS}"], "dimensions": 32}
    numbers = line.ask(asked, path="/v1/embeddings")
    coded = line.ask({**asked, "encoding_format": "base64"}, path="/v1/embeddings")
    with sdk(line) as client:
        by_sdk = client.embeddings.create(**asked)
    vectors = [item["embedding"] for item in numbers.document["data"]]
    assert [list(struct.unpack("<32f", base64.b64decode(item["embedding"]))) for item in coded.document["data"]] == vectors
    assert [item.embedding for item in by_sdk.data] == [pytest.approx(vector) for vector in vectors]
    row = line.row(numbers.id)
    assert (row["route"], row["usage_source"], int(row["output_tokens"]), int(row["messages"])) == ("embeddings", "provider", 0, 2)
    assert int(row["cost_nanousd"]) == int(row["input_tokens"]) * 20 > 0
    assert numbers.headers["x-portcullis-cost-usd"]


def test_moderations_cost_nothing(line: Stack) -> None:
    """The row has an estimate of its tokens, and the price of a free route; an image in it is what nobody reads."""
    with sdk(line) as client:
        answer = client.moderations.with_raw_response.create(model="judge", input=["a", "b"])
    assert len(answer.parse().results) == 2
    row = line.row(answer.headers["x-portcullis-request-id"])
    assert (row["route"], row["price_version"], int(row["cost_nanousd"]), row["usage_source"]) == ("moderations", "free", 0, "estimated")
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    refused = line.ask({"model": "judge", "input": [image]}, path="/v1/moderations")
    assert (refused.status, refused.code) == (400, "guardrail_blocked")
    assert "UNSCANNED_URL" in refused.document["error"]["message"]


# ── what is kept at the provider ───────────────────────────────────────────────


def test_zero_data_retention_forbids_the_provider_to_store(line: Stack) -> None:
    """The gate says so for the app; where nothing is to be forgotten it says nothing. Asking to store is refused by name."""
    assert line.ask(ASKS["/v1/chat/completions"], path="/v1/chat/completions").status == 200
    assert "store" not in got(line)
    line.forget()
    reply = line.ask(ASKS["/v1/chat/completions"], key="patient")
    assert reply.status == 200
    assert got(line)["store"] is False
    assert line.row(reply.id)["zero_data_retention"] is True
    line.forget()
    for key in ("app", "patient"):
        refused = line.ask({**ASKS["/v1/chat/completions"], "store": True}, key=key)
        assert (refused.status, refused.code) == (400, "unsupported_feature")
        assert "store" in refused.document["error"]["message"]
        assert line.row(refused.id)["outcome"] == "refused"
    assert line.mock_received() == []


# ── the list of models ─────────────────────────────────────────────────────────


def listed(line: Stack, key: str, **headers: str) -> Reply:
    """GET /v1/models."""
    return ask(line.gateway, "GET", "/v1/models", authorization=f"Bearer {line.key(key)}", **headers)


def test_the_gate_lists_what_a_key_may_use(line: Stack) -> None:
    """Of both dialects, by name; no provider is asked. A key with routes may list too. The row says that it was served."""
    for key, names in {
        "app": ["cheap", "claude-tiny", "judge", "vectors"],
        "patient": ["cheap", "claude-tiny", "dear", "judge", "vectors"],
    }.items():
        reply = listed(line, key)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        assert [model["id"] for model in reply.document["data"]] == names
        row = line.row(reply.id)
        assert (row["route"], row["outcome"], row["termination"], int(row["status"])) == ("models", "served", "complete", 200)
        assert (row["provider"], row["allow"], int(row["response_bytes"])) == ("", True, len(reply.body))
    with sdk(line) as client:
        assert [model.id for model in client.models.list()] == ["cheap", "claude-tiny", "judge", "vectors"]
    assert line.mock_received() == []


def test_nobody_lists_models_without_a_key(line: Stack) -> None:
    """Nor with a query, nor with a body, nor one model by its name: a row for each, and no provider is asked."""
    stranger = ask(line.gateway, "GET", "/v1/models", authorization="Bearer sk-of-somebody-else")
    with_query = ask(line.gateway, "GET", "/v1/models?limit=1", authorization=f"Bearer {line.key()}")
    with_body = ask(line.gateway, "GET", "/v1/models", b"{}", authorization=f"Bearer {line.key()}", content_type="application/json")
    one = ask(line.gateway, "GET", "/v1/models/cheap", authorization=f"Bearer {line.key()}")
    posted = line.ask({}, path="/v1/models")
    replies = [stranger, with_query, with_body, one, posted]
    assert [(reply.status, reply.code) for reply in replies] == [
        (401, "invalid_api_key"),
        (400, "invalid_request"),
        (400, "invalid_request"),
        (404, "unknown_route"),
        (404, "unknown_route"),
    ]
    assert [line.row(reply.id)["outcome"] for reply in replies] == ["refused"] * 5
    assert line.mock_received() == []

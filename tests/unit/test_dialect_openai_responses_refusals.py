"""How the gate refuses in OpenAI's Responses API, before an answer and in the middle of a stream."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import orjson
import pytest

from contracts.errors import GuardrailBlocked, NotAllowed
from extproc.core.dialects import openai_responses

HI: dict[str, Any] = {"model": "cheap", "input": "hi"}
WHERE: dict[str, Any] = {"item_id": "msg_1", "output_index": 2, "content_index": 1}


def client(status: int, body: bytes, media_type: str) -> openai.OpenAI:
    """The official SDK, talking to an answer that is already there."""
    answer = httpx2.Response(status, content=body, headers={"content-type": media_type})
    transport = httpx2.MockTransport(lambda _: answer)
    return openai.OpenAI(api_key="k", base_url="http://gate/v1", max_retries=0, http_client=httpx2.Client(transport=transport))


def test_the_sdk_raises_its_own_error_on_a_refusal() -> None:
    """The app sees PermissionDeniedError with our code and message."""
    with client(403, openai_responses.refusal(NotAllowed("not this model"), "req-1"), "application/json") as sdk:
        with pytest.raises(openai.PermissionDeniedError, match="not this model") as caught:
            sdk.responses.create(**HI)
        assert (caught.value.code, caught.value.type) == ("not_allowed", "permission_error")


def test_the_sdk_raises_its_own_error_in_the_middle_of_a_stream() -> None:
    """A stream that is cut ends in the SDK's APIError with our code, after what came before."""
    delta = {"type": "response.output_text.delta", **WHERE, "delta": "Hi", "logprobs": [], "sequence_number": 4}
    stream = b"data: " + orjson.dumps(delta) + b"\n\n" + openai_responses.stream_refusal(GuardrailBlocked("a card number"), "req-1")
    with client(200, stream, "text/event-stream") as sdk:
        events = iter(sdk.responses.create(**HI, stream=True))
        assert next(events).delta == "Hi"
        with pytest.raises(openai.APIError, match="a card number") as caught:
            next(events)
    assert caught.value.code == "guardrail_blocked"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["request_id"] == "req-1"


def test_the_last_event_is_the_documented_one_too() -> None:
    """Readers that know the event by its name or by its type, and look for the message beside it, find it there."""
    refusal = GuardrailBlocked("a card number", reasons=("why",))
    name, data, end = openai_responses.stream_refusal(refusal, "req-1").split(b"\n", 2)
    told = orjson.loads(data.removeprefix(b"data: "))
    assert (name, end) == (b"event: error", b"\n")
    assert {member: told[member] for member in ("type", "code", "message", "param", "sequence_number")} == {
        "type": "error",
        "code": "guardrail_blocked",
        "message": "a card number",
        "param": None,
        "sequence_number": 0,
    }
    assert told["error"]["reasons"] == ["why"]
    assert openai.types.responses.ResponseErrorEvent.model_validate(told).message == "a card number"

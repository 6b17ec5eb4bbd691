"""Laws of a streamed response: the split of its bytes doesn't matter, and what its events say again is redacted like the first time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import openai
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapes import stream_laws
from shapes.recorded_responses import MOCKED, STREAMS, answers, streams
from shapes.stream_laws import ALERT, BLOCK_CARDS, REDACT, TABLES, known, nothing_of_a_card_leaves, redacted, same_for_any_split

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core import dialects
from extproc.core.answer import buffered
from extproc.core.sse import Splitter
from extproc.redact import actions
from extproc.redact.scanner import scan

ROUTE = dialects.named("responses")
run = partial(stream_laws.run, ROUTE)


# ── what became of them ───────────────────────────────────────────────────────


def events_of(stream: bytes) -> list[Any]:
    """The documents of a stream."""
    splitter = Splitter()
    found = [event.data for event in (*splitter.feed(stream), *splitter.finish())]
    return [orjson.loads(data) for data in found if data and data != b"[DONE]"]


Where = tuple[int, int, str]
MEMBERS = ("text", "refusal", "arguments", "input", "code")


def pieces_of(stream: bytes) -> dict[Where, str]:
    """The texts of a stream as SDKs join them, by item, part and kind."""
    joined: dict[Where, str] = {}
    for event in events_of(stream):
        if event["type"].endswith(".delta"):
            where = (event["output_index"], part_number(event), event["type"].removesuffix(".delta"))
            joined[where] = joined.get(where, "") + event["delta"]
    return joined


def part_number(event: dict[str, Any]) -> int:
    """Which part of its item an event is about."""
    return int(event.get("content_index", event.get("summary_index", 0)))


def repeats_of(stream: bytes) -> Iterator[tuple[int, int, str]]:
    """Item, part and text of everything that is said again."""
    for event in events_of(stream):
        kind = event["type"]
        if kind.endswith("_item.done"):
            yield from texts_of(event["output_index"], event["item"])
        elif kind.endswith("_part.done"):
            yield event["output_index"], part_number(event), whole_of(event["part"])
        elif kind.endswith(".done"):
            yield event["output_index"], part_number(event), whole_of(event)
        elif "response" in event:
            for number, item in enumerate(event["response"]["output"] or ()):
                yield from texts_of(number, item)


def texts_of(number: int, item: dict[str, Any]) -> Iterator[tuple[int, int, str]]:
    """The texts of an item."""
    parts = item.get("content", item.get("summary"))
    if parts is None:
        yield number, 0, whole_of(item)
    for position, part in enumerate(parts or ()):
        yield number, position, whole_of(part)


def whole_of(holder: dict[str, Any]) -> str:
    """The text that an event, a part or an item has."""
    return next(str(holder[member]) for member in MEMBERS if member in holder)


@settings(deadline=None)
@given(STREAMS, st.lists(st.integers(0, 9000), max_size=20), st.sampled_from([*TABLES, BLOCK_CARDS]))
def test_the_split_of_the_bytes_does_not_matter(stream: bytes, places: list[int], table: dict[str, str]) -> None:
    """Same bytes out, same facts, and a block at the same place, for any split."""
    same_for_any_split(ROUTE, stream, [places], table)


def test_byte_by_byte_is_like_whole() -> None:
    """Also where an end of line, a character or a number is cut."""
    for stream in MOCKED:
        for raw in (stream, stream.replace(b"\n", b"\r\n")):
            whole, answer, _ = run(raw, [], REDACT)
            again, same, _ = run(raw, range(len(raw)), REDACT)
            assert again == whole
            assert known(same) == known(answer)


@settings(deadline=None)
@given(STREAMS, st.sampled_from(TABLES))
def test_each_text_is_redacted_as_if_it_came_whole_each_time_it_is_said(stream: bytes, table: dict[str, str]) -> None:
    """In its pieces, when it is done, in its part, in its item and in the response at the end."""
    out, _, _ = run(stream, [], table)
    came, left = pieces_of(stream), pieces_of(out)
    assert left == {where: redacted(text, table) for where, text in came.items()}
    assert list(repeats_of(out)) == [(number, part, redacted(text, table)) for number, part, text in repeats_of(stream)]


@settings(deadline=None)
@given(streams(), st.sampled_from(TABLES))
def test_what_is_said_again_is_counted_once(stream: bytes, table: dict[str, str]) -> None:
    """As many findings and changed places as the texts have, though each is said up to five times."""
    bare = b"".join(b"data: " + orjson.dumps(without_logprobs(event)) + b"\n\n" for event in events_of(stream))
    _, answer, _ = run(bare, [], table)
    found = Counter(finding.kind for text in pieces_of(stream).values() for finding in scan(text))
    assert answer.findings == found
    assert answer.redacted == sum(count for kind, count in found.items() if actions.strongest(table, kind) == "redact")


def without_logprobs(node: Any) -> Any:
    """A document whose log probabilities are empty: they count for themselves."""
    if isinstance(node, dict):
        return {name: [] if name == "logprobs" else without_logprobs(value) for name, value in node.items()}
    return [without_logprobs(value) for value in node] if isinstance(node, list) else node


@settings(deadline=None)
@given(STREAMS)
def test_log_probabilities_spell_no_text_that_was_changed(stream: bytes) -> None:
    """They stay beside a text that stays, as the list that readers expect, and are gone beside one that does not."""
    out, _, _ = run(stream, [], REDACT)
    for before, after in zip(events_of(stream), events_of(out), strict=True):
        for (text, spelt), (left, kept) in zip(spelt_texts(before), spelt_texts(after), strict=True):
            assert kept == (spelt if left == text else [])


def spelt_texts(node: Any) -> Iterator[tuple[str, Any]]:
    """Texts with the log probabilities beside them."""
    if isinstance(node, dict):
        if "logprobs" in node:
            yield str(node["delta"] if "delta" in node else whole_of(node)), node["logprobs"]
        for value in node.values():
            yield from spelt_texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from spelt_texts(value)


@settings(deadline=None)
@given(STREAMS)
def test_events_keep_their_order_and_their_bytes(stream: bytes) -> None:
    """As many events leave as came, in order; with nothing to change, byte for byte."""
    out, answer, _ = run(stream, [], REDACT)
    assert [event["type"] for event in events_of(out)] == [event["type"] for event in events_of(stream)]
    assert (answer.done, answer.id.startswith("resp_"), len(answer.finish_reasons)) == (True, True, 1)
    assert run(stream, [], ALERT)[0] == stream


@settings(deadline=None)
@given(STREAMS)
def test_nothing_of_a_blocked_card_leaves(stream: bytes) -> None:
    """What left is a beginning of what redaction alone would have let out."""
    nothing_of_a_card_leaves(ROUTE, stream)


@settings(deadline=None)
@given(answers())
@example([])
def test_a_stream_and_the_same_response_whole_come_to_the_same(events: list[dict[str, Any]]) -> None:
    """Usage, reason, model, the model's bytes where nobody counted, findings and texts."""
    events = [without_logprobs(event) for event in events]
    stream = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    out, streamed, _ = run(stream, [], REDACT)
    if not events:
        return
    whole = buffered(ROUTE, orjson.dumps(events[-1]["response"]), Actions({}, REDACT), 64)
    assert (streamed.usage, streamed.model, streamed.id) == (whole.usage, whole.model, whole.id)
    assert tuple(streamed.finish_reasons) == whole.finish_reasons
    assert streamed.usage in (None, Usage(9, 7, cache_read=4, reasoning=2))
    assert (streamed.findings, streamed.redacted) == (whole.findings, whole.redacted)
    names = len(b"send") * sum(1 for item in events[-1]["response"]["output"] if "name" in item)
    if "CREDIT_CARD" not in whole.findings:  # a bare number's placeholder has quotes, which an estimate may leave out
        assert whole.text_bytes_out == (0 if whole.usage else streamed.text_bytes_out + names)
    if whole.body is not None:
        assert events_of(out)[-1]["response"] == orjson.loads(whole.body)


# ── as the official SDK reads it ──────────────────────────────────────────────


@pytest.fixture(scope="module")
def sdk() -> Iterator[openai.OpenAI]:
    """The official SDK, which gets its own request's body back as an event stream."""

    def echo(request: httpx2.Request) -> httpx2.Response:
        stream = orjson.loads(request.content)["input"].encode()
        return httpx2.Response(200, content=stream, headers={"content-type": "text/event-stream"})

    transport = httpx2.MockTransport(echo)
    with openai.OpenAI(api_key="k", base_url="http://gate/v1", max_retries=0, http_client=httpx2.Client(transport=transport)) as made:
        yield made


@settings(deadline=None, max_examples=25)
@given(stream=streams(tails=["completed"]) | st.sampled_from(MOCKED[:3]))
def test_the_sdk_puts_together_what_left(sdk: openai.OpenAI, stream: bytes) -> None:
    """What it has put together of the pieces is what the response says at the end."""
    out, _, _ = run(stream, [], REDACT)
    with sdk.responses.stream(model="m", input=out.decode()) as events:
        seen = [event for event in events if event.type == "response.output_text.done"]
        final = events.get_final_response()
    texts = {where: text for where, text in pieces_of(out).items() if where[2] == "response.output_text"}
    assert {(event.output_index, event.content_index, "response.output_text"): event.text for event in seen} == texts
    assert final.output_text == "".join(text for _, text in sorted(texts.items()))

"""Tests of the exchange as conversations: a list of what comes in and what must be asked or said, in order.

`play(world, head, *lines)` steps one exchange through the lines. Any effect that is not the next line
fails with both written out. `Clock` is answered by the playbook itself (1 µs a look), `Compute` is done at once, and
`Hold` is granted: none of them is a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from contracts.audit import AuditRow
from contracts.policy import Actions, Reason, Verdict
from contracts.settings import Limits
from contracts.snapshot import (
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    LiveSecret,
    ModelRecord,
    ProfileRecord,
    ProviderRecord,
    Snapshot,
    TeamRecord,
)
from contracts.usage import Price
from custody import virtual_key
from custody.reveal import REVEAL
from custody.secret import Secret
from extproc.core.effects import (
    Answer,
    AskPolicy,
    Clock,
    Complain,
    Compute,
    Emit,
    Hold,
    Next,
    OpenCredential,
    OpenRoute,
    OwnAnswer,
    PassHead,
    Record,
    Reply,
)
from extproc.core.events import Event, Gone, RequestBody, RequestHead, ResponseBody, ResponseHead, ResponseTrailers
from extproc.core.exchange import exchange
from extproc.core.world import World

PEPPER = Secret(b"pepper-for-tests")
MINTED = virtual_key.mint(bytes(range(41)))
KEY_TEXT = MINTED.text.reveal(REVEAL).decode()
PROVIDER_SECRET = Secret(b"sk-provider-secret")

SNAPSHOT = Snapshot(
    revision="7",
    organisation="acme",
    peppers={1: "sealed"},
    keys={
        MINTED.public_id: KeyRecord(
            id=MINTED.public_id,
            name="ranking-dev",
            secrets=(LiveSecret(virtual_key.keyed_hash(PEPPER, MINTED.public_id, MINTED.secret)),),
            team="search",
            project="ranking",
            environment="dev",
            models=("cheap",),
            profile="strict",
            expires=2_000_000_000,
        )
    },
    models={"cheap": ModelRecord("cheap", "local", "local-main", "tiny", (Price(150_000_000, 600_000_000, "declared:7"),))},
    credentials={"local-main": CredentialRecord("local-main", "local", "sealed", 1)},
    providers={"local": ProviderRecord("local", "openai", "http://127.0.0.1:9901/v1", insecure=True)},
    environments={"dev": EnvironmentRecord("dev")},
    teams={"search": TeamRecord("search", ("ranking",))},
    profiles={"strict": ProfileRecord("strict", {"CREDIT_CARD": "block", "*": "redact"}, {"*": "redact"}, "block")},
)
WORLD = World(SNAPSHOT, Limits(), "extproc-0", "0.0.0", {1: PEPPER})
NOW = 1_700_000_000_000_000_000
ID, DECISION = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d", "0199f3b2-7c1e-7d04-8a11-5c2e9b7d1f00"
ALLOWED = Verdict(True, (), Actions({"CREDIT_CARD": "block", "*": "redact"}, {"*": "redact"}), "rules-1")
DENIED = Verdict(False, (Reason("model_not_allowed", "This key may not use that model."),), ALLOWED.actions, "rules-1")

ticks = count(1_000_000, 1_000)


def head(
    *extra: tuple[str, str], key: str | None = KEY_TEXT, path: str = "/v1/chat/completions", method: str = "POST", end: bool = False
) -> RequestHead:
    """A request's head as Envoy shows it."""
    auth = (("authorization", f"Bearer {key}"),) if key else ()
    base = ((":method", method), (":path", path), (":authority", "gate"), ("content-type", "application/json"), ("user-agent", "test"))
    return RequestHead(ID, DECISION, NOW, next(ticks), (*base, *auth, *extra), end, "10.0.0.7", "envoy-1")


def chat(text: str = "hello", model: str = "cheap", **more: Any) -> RequestBody:
    """A chat request's body."""
    return RequestBody(next(ticks), json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode())


def answer_head(
    status: int = 200, kind: str = "application/json", details: str = "via_upstream", *extra: tuple[str, str], end: bool = False
) -> ResponseHead:
    """The answer's head."""
    return ResponseHead(next(ticks), status, ((":status", str(status)), ("content-type", kind), *extra), end, details)


def completion(text: str = "hi there", **usage: int) -> ResponseBody:
    """A unary answer."""
    tokens = {"prompt_tokens": 9, "completion_tokens": 3, **usage}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "tiny-1", "choices": [choice], "usage": tokens}
    return ResponseBody(next(ticks), json.dumps(body).encode(), end=True)


def piece(data: str | bytes, *, end: bool = False) -> ResponseBody:
    """Bytes of a streamed answer."""
    return ResponseBody(next(ticks), data.encode() if isinstance(data, str) else data, end)


def delta(text: str, finish: str | None = None) -> str:
    """One event of a streamed answer."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return "data: " + json.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "tiny-1", "choices": [choice]}) + "\n\n"


def trailers() -> ResponseTrailers:
    """The answer's trailers."""
    return ResponseTrailers(next(ticks))


# ── lines of a play ───────────────────────────────────────────────────────────

Check = Callable[[Any], object]
"""Looks at what is asked for or replied. Where that is wrong it raises, or says False."""


def unchecked(_said: Any) -> None:
    """Whatever it is."""


@dataclass
class To:
    """An event comes in, in answer to the reply before it."""

    event: Event | Gone


@dataclass
class Asks:
    """The exchange must ask this; `answer` is sent in, or raised if it is an exception."""

    kind: type
    answer: Any = None
    check: Check = unchecked


@dataclass
class Replies:
    """The exchange must reply to the message in hand, and wait."""

    kind: type
    check: Check = unchecked


@dataclass
class Ends:
    """The exchange must give its last reply."""

    kind: type
    check: Check = unchecked


@dataclass
class Row:
    """The exchange must emit its row, with these columns, and be over."""

    columns: dict[str, Any]


def to(event: Event) -> To:
    """An event comes in."""
    return To(event)


def leaves() -> To:
    """The stream ends early."""
    return To(Gone())


def asks(kind: type, answer: Any = None, check: Check = unchecked) -> Asks:
    """An effect is asked for."""
    return Asks(kind, answer, check)


def replies(kind: type, check: Check = unchecked) -> Replies:
    """A reply goes out."""
    return Replies(kind, check)


def ends(kind: type, check: Check = unchecked) -> Ends:
    """The last reply goes out."""
    return Ends(kind, check)


def refuses(status: int, code: str) -> Ends:
    """The last reply is a refusal in OpenAI's shape with this status and code."""

    def check(reply: OwnAnswer) -> None:
        error = json.loads(reply.body)["error"]
        assert (reply.status, error["code"]) == (status, code)
        assert error["request_id"] == ID
        assert dict(reply.headers)["x-portcullis-request-id"] == ID

    return Ends(OwnAnswer, check)


def emits(**columns: Any) -> Row:
    """The row is emitted and the exchange is over."""
    return Row(columns)


def governed(
    *turn: Asks,
    body: RequestBody | None = None,
    verdict: Verdict = ALLOWED,
    recorded: Check = unchecked,
    opened: Check = unchecked,
    routed: Check = unchecked,
) -> tuple[To | Asks | Replies, ...]:
    """The first half of every allowed exchange, up to the open route. `turn`: what is asked for between the verdict and the record."""
    return (
        replies(PassHead),
        to(body or chat()),
        asks(AskPolicy, verdict),
        *turn,
        asks(Record, check=recorded),
        asks(OpenCredential, PROVIDER_SECRET, opened),
        replies(OpenRoute, routed),
    )


def play(head: RequestHead, *lines: To | Asks | Replies | Ends | Row, world: World = WORLD) -> AuditRow:
    """Step one exchange through the lines; its row."""
    script = iter(lines)
    story = exchange(world, head)
    resume: Callable[[], Any] = lambda: story.send(None)  # noqa: E731 - a step, not a function
    row: AuditRow | None = None
    while True:
        try:
            effect = resume()
        except StopIteration:
            break
        if isinstance(effect, Clock):
            resume = lambda: story.send(next(ticks))  # noqa: E731
            continue
        if isinstance(effect, Hold):
            resume = lambda: story.send(None)  # noqa: E731
            continue
        if isinstance(effect, Compute):
            resume = _computed(effect, story)
            continue
        line = next(script, None)
        resume, emitted = _meet(effect, line, script, story)
        row = emitted or row
    left = list(script)
    assert not left, f"the exchange ended before {left[0]}"
    assert row is not None, "no row was emitted"
    return row


def _computed(effect: Compute[Any], story: Coroutine[Any, Any, None]) -> Callable[[], Any]:
    try:
        done = effect.work(*effect.arguments)
    except Exception as why:  # noqa: BLE001 - what the work raises is raised in the exchange
        return lambda why=why: story.throw(why)
    return lambda: story.send(done)


def _meet(effect: Any, line: Any, script: Any, story: Coroutine[Any, Any, None]) -> tuple[Callable[[], Any], AuditRow | None]:
    if isinstance(effect, Emit):
        assert isinstance(line, Row), f"the row came where the play says {line}: {effect.row}"
        actual = {name: getattr(effect.row, name) for name in line.columns}
        assert actual == line.columns
        return lambda: story.send(None), replace(effect.row)
    if isinstance(effect, Next):
        assert isinstance(line, Replies), f"said {effect.answering} where the play says {line}"
        _expect(effect.answering, line)
        then = next(script, None)
        assert isinstance(then, To), f"waits for an event where the play says {then}"
        if isinstance(then.event, Gone):
            return lambda: story.throw(then.event), None
        return lambda: story.send(then.event), None
    if isinstance(effect, Answer):
        assert isinstance(line, Ends), f"ended with {effect.reply} where the play says {line}"
        _expect(effect.reply, line)
        return lambda: story.send(None), None
    assert isinstance(line, Asks), f"asked {effect} where the play says {line}"
    assert type(effect) is line.kind, f"asked {effect} where the play says {line}"
    assert line.check(effect) is not False, f"asked {effect}, which is not what the play looks for"
    if isinstance(line.answer, Exception):
        return lambda: story.throw(line.answer), None
    return lambda: story.send(line.answer), None


def _expect(reply: Reply, line: Replies | Ends) -> None:
    assert type(reply) is line.kind, f"replied {reply} where the play says {line}"
    assert line.check(reply) is not False, f"replied {reply}, which is not what the play looks for"


__all__ = [
    "ALLOWED", "DENIED", "PROVIDER_SECRET", "AskPolicy", "Complain", "OpenCredential", "Record",
    "answer_head", "asks", "chat", "completion", "delta", "emits", "ends", "governed", "head", "leaves", "piece", "play", "refuses", "replies", "to", "trailers",
]  # fmt: skip

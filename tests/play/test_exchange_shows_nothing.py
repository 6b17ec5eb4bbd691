"""What an exchange holds while it is under way shows neither key nor credential nor text when it is printed.

A debugger, an error page or a careless log line prints objects. The bytes are there, they have to be; the product's own
objects around them keep them to themselves.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playbook import (
    ALLOWED,
    KEY_TEXT,
    PROVIDER_SECRET,
    WORLD,
    AskPolicy,
    OpenCredential,
    Record,
    answer_head,
    chat,
    completion,
    delta,
    head,
    piece,
)

from custody.reveal import REVEAL
from extproc.core.effects import Answer, Clock, Compute, Emit, Hold, Next
from extproc.core.events import Event
from extproc.core.exchange import exchange

PRODUCT: Final = ("contracts", "custody", "extproc")
TEXT: Final = {"Leaf", "Event", "BufferedAnswer", "_Piece", "_Held"}
"""Pieces of text with their place: what they are made for is to hold some. Secrets must not be in them either."""

SECRETS: Final = ("key", "credential")
PLANTED: Final = {
    "key": KEY_TEXT.split("_")[2],
    "credential": PROVIDER_SECRET.reveal(REVEAL).decode(),
    "prompt": "canary-of-the-prompt",
    "address": "jane@example.com",
    "answer": "canary-of-the-answer",
}
GRANTED: Final = {AskPolicy: ALLOWED, OpenCredential: PROVIDER_SECRET, Clock: 1}
ANSWERS: Final = {
    "whole": [answer_head(), completion(f"{PLANTED['answer']} {PLANTED['address']}")],
    "streamed": [
        answer_head(kind="text/event-stream"),
        piece(delta(f"{PLANTED['answer']} jane@exam")),
        piece(delta("ple.com", "stop")),
        piece("data: [DONE]\n\n", end=True),
    ],
}


def held(story: Any) -> Iterator[object]:
    """The product's objects that a suspended exchange holds, however deep."""
    frames, waits = [], story
    while waits is not None and getattr(waits, "cr_frame", None) is not None:
        frames.append(waits.cr_frame)
        waits = waits.cr_await
    left: list[object] = [value for frame in frames for value in frame.f_locals.values()]
    seen: set[int] = set()
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType | types.FrameType):
            continue
        seen.add(id(one))
        left += gc.get_referents(one)
        if type(one).__module__.partition(".")[0] in PRODUCT:
            yield one


@pytest.mark.parametrize("answer", list(ANSWERS))
def test_nothing_that_is_held_shows_what_it_must_not(answer: str) -> None:
    """At each step of an exchange, each object within reach is printed."""
    coming: list[Event] = [chat(f"{PLANTED['prompt']} {PLANTED['address']}", stream=answer == "streamed"), *ANSWERS[answer]]
    story = exchange(WORLD, head())
    send: Any = None
    shown: set[tuple[str, str]] = set()
    kinds: set[str] = set()
    rows = 0
    while True:
        try:
            effect = story.send(send)
        except StopIteration:
            break
        for one in [effect, *held(story)]:
            kinds.add(type(one).__name__)
            planted = SECRETS if type(one).__name__ in TEXT else PLANTED
            shown |= {(type(one).__name__, name) for name in planted if PLANTED[name] in repr(one)}
        match effect:
            case Next():
                send = coming.pop(0)
            case Compute():
                send = effect.work(*effect.arguments)
            case AskPolicy() | OpenCredential() | Clock():
                send = GRANTED[type(effect)]
            case Emit():
                send, rows = None, rows + 1
            case _:
                assert isinstance(effect, Record | Answer | Hold)
                send = None
    assert shown == set()
    assert not coming
    assert rows == 1
    assert kinds >= {"RequestHead", "Reading", "Call", "Secret", "OpenRoute", "AuditRow", "ResponseHead"}

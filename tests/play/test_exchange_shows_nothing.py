"""What an exchange holds while it is under way shows neither key nor credential nor text when it is printed.

A debugger, an error page or a careless log line prints objects. The bytes are there, they have to be; the product's own
objects around them keep them to themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from playbook import (
    ALLOWED,
    KEY_TEXT,
    PEPPER,
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
from reachable import held_by, reachable, tells

from contracts.errors import GateUnavailable
from custody.reveal import REVEAL
from custody.secret import Secret
from extproc.core.effects import Answer, Clock, Compute, Emit, Hold, Next
from extproc.core.events import Event, RequestHead
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
    return (one for one in reachable(held_by(story)) if type(one).__module__.partition(".")[0] in PRODUCT)


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


NOWHERE: Final = (PROVIDER_SECRET.reveal(REVEAL).decode(), PEPPER.reveal(REVEAL).decode())
"""In nothing but a Secret."""


def refused() -> Exception:
    """A fault of whoever opens credentials."""
    return GateUnavailable("The gate can't use its own credential for this model.")


@pytest.mark.parametrize("fault", [None, refused], ids=["served", "refused"])
@pytest.mark.parametrize("answer", list(ANSWERS))
def test_credential_and_pepper_are_in_no_object_but_a_secret(answer: str, fault: Any) -> None:
    """Not only the product's own: every string, tuple, dict and number within reach of frames, effects, rows and errors is looked at.

    The virtual key's secret is, besides, in the head of the request as the app sent it, and nowhere else.
    """
    coming: list[Event] = [chat("hello", stream=answer == "streamed"), *ANSWERS[answer]]
    story = exchange(WORLD, head())
    resume: Any = lambda: story.send(None)  # noqa: E731 - a step, not a function
    told: set[tuple[str, str]] = set()
    secrets = rows = 0
    while True:
        try:
            effect = resume()
        except StopIteration:
            break
        roots = [effect, *held_by(story)]
        for one in reachable(roots):
            secrets += isinstance(one, Secret)
            told |= {(type(one).__name__, text) for text in tells(one, NOWHERE)}
        for one in reachable(roots, closed=(RequestHead,)):
            told |= {(type(one).__name__, text) for text in tells(one, [PLANTED["key"]])}
        match effect:
            case Next():
                resume = lambda: story.send(coming.pop(0))  # noqa: E731
            case Compute():
                done = effect.work(*effect.arguments)
                resume = lambda done=done: story.send(done)  # noqa: E731
            case OpenCredential() if fault:
                resume = lambda: story.throw(fault())  # noqa: E731
            case AskPolicy() | OpenCredential() | Clock():
                resume = lambda effect=effect: story.send(GRANTED[type(effect)])  # noqa: E731
            case _:
                rows += isinstance(effect, Emit)
                resume = lambda: story.send(None)  # noqa: E731
    assert told == set()
    assert (rows, secrets > 0) == (1, True)


def test_a_plain_copy_would_be_found() -> None:
    """However it is hidden: in a closure's cell, in a slot, behind a repr that says nothing, in bytes."""

    class Quiet(dict[str, Any]):
        def __repr__(self) -> str:
            return "quiet"

    for hidden in ([NOWHERE[0]], Quiet(a={"b": (NOWHERE[0].encode(),)}), iter([NOWHERE[0]]), (bytearray(NOWHERE[0].encode()),)):
        assert any(tells(one, NOWHERE) for one in reachable([hidden]))
    assert not any(tells(one, NOWHERE) for one in reachable([[PROVIDER_SECRET, WORLD]]))

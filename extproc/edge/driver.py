"""Steps exchanges: each message of Envoy goes in, each effect is carried out, one reply comes out.

Effects that stay in the process are answered at once, so most messages are answered without a task.
An effect that leaves it (a group-committed write) makes the rest of that message's handling awaitable.

An exchange is never closed, only told: when its stream ends early, `Gone` is thrown into it and it
is stepped on until its row is out. Those last steps run outside the task that the reset cancels.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from contracts.audit import AuditRow, Intent
from contracts.errors import Refused
from contracts.policy import PolicyInput, Verdict
from contracts.snapshot import Snapshot
from custody.secret import Secret
from extproc.core.effects import Answer, AnyEffect, AskPolicy, Clock, Complain, Cut, Emit, Next, OpenCredential, Record
from extproc.core.events import Event, Gone, RequestHead
from extproc.core.exchange import World, exchange
from extproc.edge import envoy_wire
from extproc.edge.grpc_stream import Stream

log = logging.getLogger(__name__)

INTERNAL: Final = 13  # grpc status: Envoy turns it into its local reply, or resets what is under way
MASK_62: Final = (1 << 62) - 1


class Policy(Protocol):
    """Whoever decides."""

    def decide(self, question: PolicyInput) -> Verdict:
        """A verdict, or PolicyUnavailable."""


class Book(Protocol):
    """Where intents and rows go."""

    def intent(self, intent: Intent) -> Awaitable[None] | None:
        """Put an intent on record, or raise AuditUnavailable."""

    def row(self, row: AuditRow) -> None:
        """Put a row on record; never raises."""


class Opener(Protocol):
    """Whoever can unseal credentials."""

    def open(self, snapshot: Snapshot, name: str) -> Secret:
        """The credential of that snapshot, or GateUnavailable."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The exchange waits for something outside the process."""

    what: Any


class Gate:
    """All exchanges of one data plane. `world` gives what a new exchange begins with."""

    def __init__(self, world: Callable[[], World], policy: Policy, book: Book, opener: Opener) -> None:
        self.world = world
        self.policy = policy
        self.book = book
        self.opener = opener
        self.finishing: set[asyncio.Task[None]] = set()

    def message(self, data: bytes, stream: Stream) -> bytes | Awaitable[bytes | None] | None:
        """One message of Envoy; the reply, now or later."""
        at = time.monotonic_ns()
        conversation: Conversation | None = stream.state
        if conversation is None:
            head = envoy_wire.request_head(data, at, time.time_ns(), *fresh_ids())
            conversation = stream.state = Conversation(self, stream, head)
            return conversation.step(None)
        return conversation.step(envoy_wire.event(data, at, at - conversation.replied))

    def ended(self, stream: Stream) -> None:
        """The stream is over. Every good exchange ends so too: only an unfinished one hears of it."""
        conversation: Conversation | None = stream.state
        if conversation is not None and not conversation.over:
            conversation.gone()


class Conversation:
    """One exchange under way."""

    __slots__ = ("exchange_id", "gate", "over", "replied", "reply", "story", "stream", "world")

    def __init__(self, gate: Gate, stream: Stream, head: RequestHead) -> None:
        self.gate = gate
        self.stream = stream
        self.world = gate.world()
        self.exchange_id = head.id
        self.over = False
        self.replied = 0
        self.reply: bytes | None = None
        self.story: Coroutine[AnyEffect, Any, None] = exchange(self.world, head)

    def step(self, event: Event | None) -> bytes | Awaitable[bytes | None] | None:
        """Go on with what the exchange waited for, until it has replied or waits for the outside."""
        self.reply = None
        state = self._run(event)
        return self.reply if state is None else self._later(state)

    def gone(self) -> None:
        """Tell the exchange that nobody listens any more, and let it finish."""
        state = self._run(None, Gone())
        if state is not None:
            task = asyncio.ensure_future(self._finish(state))
            self.gate.finishing.add(task)
            task.add_done_callback(self.gate.finishing.discard)

    async def _later(self, state: Pending | None) -> bytes | None:
        while state is not None:
            try:
                value = await state.what
            except Refused as why:
                state = self._run(None, why)
            else:
                state = self._run(value)
        return self.reply

    async def _finish(self, state: Pending) -> None:
        await self._later(state)

    def _run(self, value: object, fault: Exception | None = None) -> Pending | None:
        """Send `value` in (or throw `fault`) and carry out effects, until one is a reply that waits for Envoy or must be waited for."""
        story = self.story
        while True:
            try:
                effect = story.send(value) if fault is None else story.throw(fault)
            except StopIteration:
                self.over = True
                return None
            except Exception as broken:  # noqa: BLE001 - the last line of defence: closed by an error status, never cleanly
                self.over = True
                complain(broken)
                self.stream.fail(INTERNAL, "exchange")
                return None
            kind = type(effect)
            if kind is Next:
                self.reply = envoy_wire.reply(effect.answering, self.exchange_id)  # type: ignore[attr-defined] # kind is Next
                self.replied = time.monotonic_ns()
                return None
            value, fault = None, None
            try:
                value = CARRY[kind](self, effect)
            except Refused as why:
                fault = why
            if kind is Record and value is not None:
                return Pending(value)

    def answer(self, effect: Answer) -> None:
        """The last reply of this exchange."""
        if isinstance(effect.reply, Cut):
            self.stream.fail(INTERNAL, "cut")
        else:
            self.reply = envoy_wire.reply(effect.reply, self.exchange_id)


CARRY: Final[dict[type, Callable[[Conversation, Any], Any]]] = {
    AskPolicy: lambda c, effect: c.gate.policy.decide(effect.input),
    Record: lambda c, effect: c.gate.book.intent(effect.intent),
    OpenCredential: lambda c, effect: c.gate.opener.open(c.world.snapshot, effect.name),
    Answer: lambda c, effect: c.answer(effect),
    Emit: lambda c, effect: c.gate.book.row(effect.row),
    Clock: lambda _c, _effect: time.monotonic_ns(),
    Complain: lambda _c, effect: complain(effect.fault),
}


def complain(fault: BaseException) -> None:
    """Log an exception's type and place. Its text may hold what no log may: it stays out."""
    places = traceback.extract_tb(fault.__traceback__)
    where = " < ".join(f"{Path(place.filename).name}:{place.lineno}" for place in reversed(places[-6:]))
    log.error("an exchange broke: %s at %s", type(fault).__name__, where)


def fresh_ids() -> tuple[str, str]:
    """Two UUIDv7s (RFC 9562, section 5.7): the exchange's and the decision's."""
    millis = time.time_ns() // 1_000_000
    dice = os.urandom(20)
    return uuid7(millis, dice[:10]), uuid7(millis, dice[10:])


def uuid7(millis: int, dice: bytes) -> str:
    """48 bits of Unix milliseconds, version 7, variant 2, and 74 random bits."""
    number = int.from_bytes(dice, "big")
    text = f"{millis << 80 | 7 << 76 | (number >> 62 & 0xFFF) << 64 | 2 << 62 | number & MASK_62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

"""Steps exchanges: each message of Envoy goes in, each effect is carried out, one reply comes out.

Effects that stay in the process are answered at once, so most messages are answered without a task.
An effect that leaves it (a group-committed write, work over a large body) makes the rest of that message's handling awaitable.

An exchange is never closed, only told: when its stream ends early, `Gone` is thrown into it and it
is stepped on until its row is out. Those last steps run outside the task that the reset cancels.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from contracts.audit import AuditRow, Intent
from contracts.errors import GateUnavailable
from contracts.policy import PolicyInput, Verdict
from contracts.snapshot import LiveSecret, Snapshot
from custody.secret import Secret
from extproc.core.effects import (
    AT_ONCE,
    Answer,
    AnyEffect,
    AskPolicy,
    Clock,
    Complain,
    Compute,
    Cut,
    Emit,
    Hold,
    Next,
    OpenCredential,
    Pause,
    Record,
    Rehash,
    TakeTurn,
)
from extproc.core.events import Event, Gone, RequestHead
from extproc.core.exchange import exchange
from extproc.core.world import World
from extproc.edge import envoy_wire
from extproc.edge.grpc_stream import Stream
from extproc.edge.worker import InWorker, places

log = logging.getLogger(__name__)

INTERNAL: Final = 13  # grpc status: Envoy turns it into its local reply, or resets what is under way
PATIENCE_S: Final = 50
"""What Envoy is asked to wait for a message whose work is done elsewhere: twice a worker's limit, for reading and for rewriting."""

MORE_TIME: Final = envoy_wire.more_time(PATIENCE_S)

FULL: Final = "The gate holds as many bytes as it may (limits.inflight_bytes). Send the request again in a moment."

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
        """The credential of that snapshot, or GateUnavailable; an empty secret where `name` is empty."""


class Elsewhere(Protocol):
    """Whoever does long work away from the event loop."""

    def run(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Awaitable[Any]:
        """What `work(*arguments)` gives or raises, or GateUnavailable."""


class Rehashed(Protocol):
    """Whoever hears of a key's secret that was used while it is kept under an older pepper: once for each use, until it is not."""

    def __call__(self, key_id: str, old: LiveSecret, new: LiveSecret, /) -> None:
        """The secret kept as `old` is `new` under the newest pepper of the exchange's snapshot. Returns at once."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The exchange waits for something outside the process."""

    what: Awaitable[Any]


class Turn:
    """One turn of the event loop for everybody else. No coroutine: one whose exchange ends first would warn that nobody awaited it."""

    def __await__(self) -> Generator[None]:
        """As `asyncio.sleep(0)`."""
        yield


REPLIED: Final = object()
"""The message in hand has its reply, and the exchange waits for the next one."""


class Gate:
    """All exchanges of one data plane. `world` gives what a new exchange begins with; `held` bytes are held by all of them.

    Without `elsewhere`, long work holds up the event loop. `rehashed` may be set later.
    """

    def __init__(self, world: Callable[[], World], policy: Policy, book: Book, opener: Opener, elsewhere: Elsewhere | None = None) -> None:
        self.world = world
        self.policy = policy
        self.book = book
        self.opener = opener
        self.elsewhere = elsewhere
        self.rehashed: Rehashed | None = None
        self.turns: dict[str, int] = {}
        self.held = 0
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

    __slots__ = ("exchange_id", "gate", "held", "over", "replied", "reply", "story", "stream", "world")

    def __init__(self, gate: Gate, stream: Stream, head: RequestHead) -> None:
        self.gate = gate
        self.stream = stream
        self.world = gate.world()
        self.exchange_id = head.id
        self.over = False
        self.held = 0
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
            except Exception as why:  # noqa: BLE001 - whatever the outside raises is raised where it was asked
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
                self.end()
                return None
            except Exception as broken:  # noqa: BLE001 - the last line of defence: closed by an error status, never cleanly
                self.end()
                complain(broken)
                self.stream.fail(INTERNAL, "exchange")
                return None
            value, fault = None, None
            try:
                value = CARRY[type(effect)](self, effect)
            except Exception as why:  # noqa: BLE001 - a refusal or a bug: the exchange refuses, and its row gets out
                fault = why
            if type(value) is Pending:
                return value
            if value is REPLIED:
                return None

    def end(self) -> None:
        """The story is over: nothing is held any more."""
        self.over = True
        self.gate.held -= self.held
        self.held = 0

    # ── effects ──

    def next(self, effect: Next) -> object:
        """The reply to the message in hand; the next message goes on from here."""
        self.reply = envoy_wire.reply(effect.answering, self.exchange_id)
        self.replied = time.monotonic_ns()
        return REPLIED

    def answer(self, effect: Answer) -> None:
        """The last reply of this exchange."""
        if isinstance(effect.reply, Cut):
            self.stream.fail(INTERNAL, "cut")
        else:
            self.reply = envoy_wire.reply(effect.reply, self.exchange_id)

    def record(self, effect: Record) -> Pending | None:
        """The intent, on record now or soon."""
        written = self.gate.book.intent(effect.intent)
        return None if written is None else Pending(written)

    def compute(self, effect: Compute[Any]) -> Any:
        """The work's result, or a wait for it."""
        elsewhere = self.gate.elsewhere
        if effect.size <= AT_ONCE or elsewhere is None:
            return effect.work(*effect.arguments)
        result = elsewhere.run(effect.work, effect.arguments)
        self.stream.aside(MORE_TIME)
        return Pending(result)

    def hold(self, effect: Hold) -> None:
        """So many bytes from now on, unless all exchanges together would hold too many."""
        gate = self.gate
        total = gate.held - self.held + effect.size
        if total > self.world.limits.inflight_bytes:
            raise GateUnavailable(FULL, retry_after_s=1)
        gate.held, self.held = total, effect.size

    def take_turn(self, effect: TakeTurn) -> int:
        """One after the other, for each circle."""
        turn = self.gate.turns.get(effect.circle, 0)
        self.gate.turns[effect.circle] = turn + 1
        return turn

    def rehash(self, effect: Rehash) -> None:
        """Told, if anybody listens. What goes wrong with it is no matter of this exchange."""
        if self.gate.rehashed is None:
            return
        try:
            self.gate.rehashed(effect.key_id, effect.old, effect.new)
        except Exception as why:  # noqa: BLE001 - as above
            complain(why)


CARRY: Final[dict[type, Callable[[Conversation, Any], Any]]] = {
    Next: Conversation.next,
    AskPolicy: lambda c, effect: c.gate.policy.decide(effect.input),
    Record: Conversation.record,
    Hold: Conversation.hold,
    TakeTurn: Conversation.take_turn,
    Rehash: Conversation.rehash,
    Compute: Conversation.compute,
    OpenCredential: lambda c, effect: c.gate.opener.open(c.world.snapshot, effect.name),
    Answer: Conversation.answer,
    Emit: lambda c, effect: c.gate.book.row(effect.row),
    Pause: lambda _c, _effect: Pending(Turn()),
    Clock: lambda _c, _effect: time.monotonic_ns(),
    Complain: lambda _c, effect: complain(effect.fault),
}


def complain(fault: BaseException) -> None:
    """Log an exception's type and place. Its text may hold what no log may: it stays out."""
    where = places(fault)
    if type(fault.__cause__) is InWorker:
        where += f", in a worker at {fault.__cause__}"
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

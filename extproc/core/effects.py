"""What an exchange asks of the outside. The driver carries each out and sends the answer back in."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from contracts.audit import AuditRow, Intent
from contracts.policy import PolicyInput, Verdict
from contracts.snapshot import LiveSecret
from custody.secret import Secret
from extproc.core.events import Event, Headers

T = TypeVar("T")


class Effect(Generic[T]):
    """A question to the outside; awaiting it gives the answer."""

    __slots__ = ()

    def __await__(self) -> Generator[Effect[T], T, T]:
        """Hand this effect to the driver and wait for its answer."""
        return (yield self)


# ── answers to Envoy's messages ────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PassHead:
    """Go on after the request's head, and show its body whole. `set_headers` overwrite, `remove_headers` go."""

    set_headers: Headers = ()
    remove_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PassAnswerHead:
    """Go on after the answer's head. `streamed`: show the body piece by piece, not whole."""

    set_headers: Headers = ()
    remove_headers: tuple[str, ...] = ()
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """Go on after the request body: new body (None: as it was), the credential, and the metadata that opens the route.

    The credential goes into `header`, after `prefix` (`authorization`, `Bearer `).
    """

    provider: str
    route: str
    header: str
    prefix: str
    secret: Secret = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PassBody:
    """Go on after a piece of the answer: new bytes (None: as they were). Headers count only where it was buffered."""

    body: bytes | None = field(default=None, repr=False)
    set_headers: Headers = ()


@dataclass(frozen=True, slots=True)
class PassTrailers:
    """Go on after trailers, of which none is kept."""


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """The gate's own answer in the provider's stead, in the caller's dialect. Once an answer's head has left, Envoy can only cut.

    `code` goes to Envoy's access log too: the second witness reads it where this exchange's row can't be written.
    It is a refusal's code, or `served`.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    code: str = "refused"


@dataclass(frozen=True, slots=True)
class Cut:
    """End the exchange with an error after the answer's head has left: Envoy resets the app's and the provider's side."""


Reply = PassHead | OpenRoute | PassAnswerHead | PassBody | PassTrailers | OwnAnswer | Cut


# ── effects ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Next(Effect[Event]):
    """Answer the message in hand, then wait for the next one. One answer for each message is thus a shape."""

    answering: Reply


@dataclass(frozen=True, slots=True)
class AskPolicy(Effect[Verdict]):
    """Decide. Raises PolicyUnavailable where no usable verdict comes in time."""

    input: PolicyInput


@dataclass(frozen=True, slots=True)
class Record(Effect[None]):
    """Put the intent on record. Raises AuditUnavailable where that can't be done."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class OpenCredential(Effect[Secret]):
    """Unseal a credential of the snapshot the exchange began with. Raises GateUnavailable where it can't be."""

    name: str


@dataclass(frozen=True, slots=True)
class TakeTurn(Effect[int]):
    """How many have taken their turn in this circle before: 0, 1, …, one more each time."""

    circle: str


@dataclass(frozen=True, slots=True)
class Rehash(Effect[None]):
    """Tell whoever keeps the keys that a secret, known by `old`, is `new` under the newest pepper. Never raises."""

    key_id: str
    old: LiveSecret = field(repr=False)
    new: LiveSecret = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hold(Effect[None]):
    """Count `size` bytes as held for this exchange until it is over, in place of what it held before.

    Raises GateUnavailable where all exchanges together would hold more than `limits.inflight_bytes`.
    """

    size: int


AT_ONCE: Final = 256 << 10
"""Bytes that are worked over on the event loop: about 3 ms, in which nobody else is served. Sending them away takes 0.3 ms more."""


@dataclass(frozen=True, slots=True)
class Compute(Effect[T]):
    """Pure work over `size` bytes: `work(*arguments)`. Small work is done at once, large work away from the event loop.

    Work, arguments and result must be picklable. What the work raises is raised here; a worker that dies is GateUnavailable.
    """

    size: int
    work: Callable[..., T]
    arguments: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer(Effect[None]):
    """Answer the message in hand for the last time; nothing more is wanted of this exchange."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Emit(Effect[None]):
    """Put the exchange's row on record. Never raises: the spool keeps what it can't write yet."""

    row: AuditRow


@dataclass(frozen=True, slots=True)
class Clock(Effect[int]):
    """Monotonic nanoseconds now, for durations inside the gate."""


@dataclass(frozen=True, slots=True)
class Pause(Effect[None]):
    """Let the others have their turn, in the middle of what would hold them up."""


@dataclass(frozen=True, slots=True)
class Complain(Effect[None]):
    """Tell the operator of a fault in the gate itself: the exception's type and place, never its text."""

    fault: BaseException


AnyEffect = Effect[Any]

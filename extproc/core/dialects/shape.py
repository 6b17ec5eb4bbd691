"""What every dialect says about its bodies, so that nothing else needs to know a member's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from contracts.errors import Refused
from contracts.usage import Usage
from extproc.core.body import Document, Path
from extproc.core.spans import Added, Change, Replaced

Channel = tuple[str | int, ...]
"""Names a text that comes in pieces, one piece an event: what may fall behind together (a choice), then the way to the text."""

UNSCANNED: Final = "UNSCANNED_"
"""What no text rule can read is a finding of a kind that begins so."""

IMAGE, AUDIO, FILE, TOKENS, URL = (UNSCANNED + what for what in ("IMAGE", "AUDIO", "FILE", "TOKENS", "URL"))


@dataclass(frozen=True, slots=True)
class Encoded:
    """The string at `path` is text in base64, from character `start` on."""

    path: Path
    start: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for. `max_tokens` None: the app set no ceiling.

    `unread` counts parts whose content no text rule can read, by kind. `files` are texts in base64. `features` names members
    that keep state at the provider or reach out, sorted. `asks` is what the gate asks the provider for besides: the usage of
    a stream, which then `hides_usage` from an app that did not ask for it. `forgets` makes the provider keep nothing. `caps` sets
    a ceiling, its number yet to be put in; None where the app has set one, and where answers have none.
    `names_model`: the body has the member, so that the provider's name of the model takes its place.
    """

    model: str
    names_model: bool = True
    stream: bool = False
    max_tokens: int | None = None
    choices: int = 1
    messages: int = 0
    tools: int = 0
    unread: Mapping[str, int] = field(default_factory=dict)
    files: tuple[Encoded, ...] = ()
    features: tuple[str, ...] = ()
    asks: tuple[Change, ...] = ()
    forgets: tuple[Change, ...] = ()
    caps: Replaced | Added | None = None
    hides_usage: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer, or one event of it, says about itself; empty where it says nothing.

    `reasons`: finish reasons. `closed`: texts that end here, each by a beginning of its channel. `done`: the dialect's own end
    of the stream. `extra`: there is nothing in it but the usage that was asked for. `repeats`: an event says again what was
    said before it, which is edited like the first time and counted once. `unread`: as a call's.
    """

    model: str = ""
    id: str = ""
    reasons: tuple[str, ...] = ()
    closed: tuple[Channel, ...] = ()
    failed: bool = False
    done: bool = False
    extra: bool = False
    repeats: bool = False
    unread: Mapping[str, int] = field(default_factory=dict)


class Dialect(Protocol):
    """The shape of a dialect's module. Trees are what JSON gives; paths lead to texts in them."""

    @property
    def name(self) -> str:
        """The family's name in rows, rules and providers."""

    @property
    def credential_header(self) -> tuple[str, str]:
        """The header that carries the provider's credential, and what stands before it in the value."""

    @property
    def structural(self) -> frozenset[tuple[str, ...]]:
        """Ways (paths without positions) to roles, ids, enums: no text, as long as a plain word stands there."""

    @property
    def done(self) -> bytes:
        """Data of the event that ends a stream and is no JSON; empty where there is none."""

    def call(self, document: Document, /) -> Call:
        """What the request asks for. Raises Malformed, naming the member."""

    def usage(self, tree: Any, before: Usage | None, /) -> Usage | None:
        """Tokens as the provider counts them, by this answer or event and those `before`; None where nobody has counted."""

    def facts(self, tree: Any, /) -> Facts:
        """What the answer or event says about itself. Raises Malformed for one whose texts can't be told apart."""

    def channel(self, tree: Any, path: Path, /) -> Channel | None:
        """The text that the leaf at `path` of an event goes on with; None: the leaf is a whole text."""

    def echo(self, tree: Any, path: Path, /) -> Path | None:
        """Where the answer repeats the leaf's text in a form that can't be edited; None: nowhere."""

    def generated(self, tree: Any, path: Path, /) -> bool:
        """Whether the leaf at `path` was written by the model, and so is paid for; what repeats it is not."""

    def refusal(self, error: Refused, request_id: str, /) -> bytes:
        """The body of a refusal."""

    def stream_refusal(self, error: Refused, request_id: str, /) -> bytes:
        """The last event of a stream that is cut: the official SDK raises its own error on it."""


Price = Literal["tokens", "free"]
"""How a route is paid: by the tokens of its usage, or not at all."""

Guard = Literal["prompt and answer", "no content"]
"""What is looked into: all that either side says, or nothing because the gate itself answers from its own names."""


@dataclass(frozen=True, slots=True)
class Route:
    """A declared route. `upstream_path` is put behind the provider's URL; empty: the gate answers, no provider is asked.

    `query` is the one query that may stand behind the path, letter by letter; any other is read by nobody, and refused.
    """

    name: str
    method: str
    path: str
    upstream_path: str
    dialect: Dialect
    price: Price = "tokens"
    guard: Guard = "prompt and answer"
    query: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Modules can't be pickled: elsewhere the route is found again by its name."""
        from extproc.core import dialects  # noqa: PLC0415 - the table is made of routes

        return dialects.named, (self.name,)

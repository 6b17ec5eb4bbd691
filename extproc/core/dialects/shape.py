"""What every dialect says about its bodies, so that nothing else needs to know a member's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from contracts.errors import Refused
from contracts.usage import Usage
from extproc.core.body import Document, Path, Structure

Channel = tuple[str | int, ...]
"""Names a text that comes in pieces, one piece an event: a choice's number, then the members' names."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for. `max_tokens` None: the app set no ceiling.

    `unscanned` counts parts whose content no text rule can read: images, sound, files.
    """

    model: str
    stream: bool
    max_tokens: int | None
    choices: int
    messages: int
    tools: int
    unscanned: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer, or one event of it, says about itself; empty where it says nothing.

    `finished` pairs a choice's number with its finish reason.
    """

    model: str
    id: str
    finished: tuple[tuple[int, str], ...]
    failed: bool


class Dialect(Protocol):
    """The shape of a dialect's module."""

    @property
    def name(self) -> str:
        """The dialect's name in rows and rules."""

    @property
    def credential_header(self) -> tuple[str, str]:
        """The header that carries the provider's credential, and what stands before it in the value."""

    @property
    def prompt_structural(self) -> Structure:
        """Members of a request that hold no text."""

    @property
    def answer_structural(self) -> Structure:
        """Members of an answer, and of the events of a streamed one, that hold no text."""

    @property
    def done(self) -> bytes:
        """Data of the event that ends a stream; it is no JSON."""

    def call(self, document: Document, /) -> Call:
        """What the request asks for. Raises Malformed, naming the member."""

    def usage(self, tree: Any, /) -> Usage | None:
        """Tokens as the provider counts them; None where the answer or event has no count."""

    def facts(self, tree: Any, /) -> Facts:
        """What the answer or event says about itself."""

    def channel(self, tree: Any, path: Path, /) -> Channel | None:
        """The text that the leaf at `path` of an event goes on with; None: the leaf is a whole text."""

    def echo(self, tree: Any, path: Path, /) -> Path | None:
        """Where the answer repeats the leaf's text in a form that can't be edited; None: nowhere."""

    def generated(self, path: Path, /) -> bool:
        """Whether the leaf at `path` of an answer was written by the model, and so is paid for."""

    def refusal(self, error: Refused, request_id: str, /) -> bytes:
        """The body of a refusal."""

    def stream_refusal(self, error: Refused, request_id: str, /) -> bytes:
        """The last event of a stream that is cut: the official SDK raises its own error on it."""


@dataclass(frozen=True, slots=True)
class Route:
    """A declared route. `upstream_path` is put behind the provider's URL."""

    name: str
    method: str
    path: str
    upstream_path: str
    dialect: Dialect

"""What reaches an exchange. Times and ids come in with the events; the core has no clock and no dice.

Heads hold the app's key and bodies hold text, so neither is shown when an event is printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SECOND: Final = 1_000_000_000
"""In ns, as times of events are."""

Headers = tuple[tuple[str, str], ...]
"""Names are lower case, as HTTP/2 and Envoy have them; pseudo-headers (`:path` …) are among them."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The request's head. `id` and `decision_id` are fresh UUIDv7s; `time` is Unix ns, `at` monotonic ns."""

    id: str
    decision_id: str
    time: int
    at: int
    headers: Headers = field(repr=False)
    end: bool
    source_address: str
    envoy_id: str

    @property
    def seconds(self) -> int:
        """`time` in whole seconds."""
        return self.time // SECOND


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The whole request body (Envoy buffers it)."""

    at: int
    data: bytes = field(repr=False)
    idle: int = 0


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The answer's head. `local`: Envoy itself answers, for `details`; else it is the provider's."""

    at: int
    status: int
    headers: Headers = field(repr=False)
    end: bool
    details: str = "via_upstream"
    idle: int = 0

    @property
    def local(self) -> bool:
        """Envoy made this answer: the provider could not be reached, broke off, or a limit was hit."""
        return self.details != "via_upstream"


@dataclass(frozen=True, slots=True)
class ResponseBody:
    """The answer's body: whole when buffered, a piece when streamed. `end`: nothing follows."""

    at: int
    data: bytes = field(repr=False)
    end: bool
    idle: int = 0


@dataclass(frozen=True, slots=True)
class ResponseTrailers:
    """The answer ended in trailers; they are dropped."""

    at: int
    idle: int = 0


Event = RequestBody | ResponseHead | ResponseBody | ResponseTrailers
"""What comes after the request's head."""


class Gone(Exception):  # noqa: N818 - an event of the conversation, not an error of ours
    """The stream ended before the last expected message: app or provider went away, or we drain."""

    def __init__(self) -> None:
        super().__init__("the exchange's stream ended early")

"""What the state keeps beside the estate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from contracts.errors import Unusable

ANSWERS_KEPT: Final = 24 * 3600
"""Seconds."""


class Failed(Unusable):
    """The database did not do its part. Nothing was changed, but for what Unsettled says."""


class Stale(Failed):
    """The stored state is no longer the one that was to be changed. Load it and decide anew."""

    def __init__(self) -> None:
        super().__init__("the state changed meanwhile; try again")


class Unsettled(Failed):
    """The database went away in the middle of a commit: the change is made whole, or not at all, and which of these isn't known. Load."""


class Taken(Unusable):
    """There is one of that name."""


class Reused(Unusable):
    """Another call had this key: what is kept is the answer to that one."""

    def __init__(self) -> None:
        super().__init__("another call had this Idempotency-Key; a new call needs a new one")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What an idempotent call was answered, sealed by the caller, so that the same call is answered the same again.

    `key` names the call (the caller's Idempotency-Key, with whatever makes it one caller's own), `digest` its method, path and
    body: another digest under the same key is another call. `time`: seconds of the Unix epoch.
    """

    key: str
    digest: str
    sealed: str = field(repr=False)
    time: int


@dataclass(frozen=True, slots=True)
class Plane:
    """A data plane that may be, or is, enrolled.

    `projects`: "team/project", whose records it gets; none: all. `token_hash` is of its one-time token, which may be used until
    `token_until` and not after `enrolled`. `serial` is its certificate's, `sealed` its plane key. Times are seconds of the Unix epoch.
    """

    name: str
    projects: tuple[str, ...] = ()
    token_hash: str = field(default="", repr=False)
    token_until: int = 0
    enrolled: int | None = None
    serial: str = ""
    sealed: str = field(default="", repr=False)
    created: int = 0
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Authority:
    """What signs planes' certificates: its own certificate as PEM, and its key, sealed."""

    certificate: str
    sealed: str = field(repr=False)

"""What a test asks of a client, and what the app that uses the client got."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to do with a client.

    `retries`: how often the client may try again; None leaves it at its own default. `image`: base64 of
    a PNG, or an address. `texts`: for embeddings.
    """

    url: str
    key: str
    model: str
    prompt: str = "Hello"
    retries: int | None = None
    image: str = ""
    texts: tuple[str, ...] = ()

    @property
    def spared(self) -> dict[str, Any]:
        """`max_retries`, where it is not left at the client's default."""
        return {} if self.retries is None else {"max_retries": self.retries}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the app catches it.

    `kinds`: the names of its class and of those above it; `status`, `code` and `headers` (names in lower case) where the client gives them.
    """

    kinds: tuple[str, ...]
    status: int | None
    code: str | None
    message: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `heard`: the pieces of text that came, in mid-stream too; `answer`: what the verb gives."""

    heard: tuple[str, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def text(self) -> str:
        """All that the model said."""
        return "".join(self.heard)

    @property
    def served(self) -> Mapping[str, Any]:
        """The answer of one that did not fail."""
        assert self.failure is None, self.failure
        return self.answer

    @property
    def refused(self) -> Failure:
        """The error of one that failed."""
        assert self.failure is not None, self.answer
        return self.failure


Heard = list[str]
Verb = Callable[[Ask, Heard], Mapping[str, Any]]
"""Does it with the client, and adds the model's text to `heard` as it comes."""

Describe = Callable[[Exception], Failure]
"""An error of the client's own, in words that all clients share."""


def classes(error: Exception) -> tuple[str, ...]:
    """The names of its class and of those above it: what an app's `except` may name."""
    return tuple(each.__name__ for each in type(error).__mro__)


FOUND: Final = "Bert, bert@example.org"
"""What an app's tool answers a model that called it."""


def outcome(verb: Verb, describe: Describe, ask: Ask) -> Outcome:
    """Do it; an exception becomes a failure."""
    heard: Heard = []
    try:
        answer = verb(ask, heard)
    except Exception as error:  # noqa: BLE001 - whatever the client raises is what the test is about
        return Outcome(tuple(heard), failure=describe(error))
    return Outcome(tuple(heard), answer)

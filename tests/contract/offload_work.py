"""Work for workers, in a module of its own that they can import."""

from __future__ import annotations

import os
import re
import resource
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Never

from contracts.errors import GuardrailBlocked, InvalidApiKey, UpstreamError


class Refusing(Exception):  # noqa: N818 - a test's own
    """An exception that keeps other arguments than it wants."""

    def __init__(self, one: str, *, two: int) -> None:
        super().__init__(one.upper())
        self.two = two


class Held:
    """What a weak reference can watch."""


def told(*arguments: Any) -> Any:
    """What came, and where."""
    return os.getpid(), arguments


def echo(value: Any) -> Any:
    """The same again."""
    return value


def nothing_of(_value: object) -> None:
    """Nothing."""


def stuck() -> None:
    """A regular expression without end, which holds the interpreter's lock."""
    re.match(r"(a|aa)+$", "a" * 200 + "b")


def waits_for(path: str) -> int:
    """Until a file is there."""
    while not Path(path).exists():
        time.sleep(0.005)
    return os.getpid()


def dies(number: int) -> None:
    """By a signal, in the middle of it."""
    os.kill(os.getpid(), number)


def leaves() -> Never:
    """By an exit that is no exception of work."""
    raise SystemExit(3)


def survives_sigint() -> bool:
    """As when someone presses Ctrl-C in the terminal."""
    os.kill(os.getpid(), signal.SIGINT)
    return True


def links(folder: str) -> dict[str, str]:
    """What is in a folder of links; one may go while we look."""
    found = {}
    for name in Path(folder).iterdir():
        with suppress(FileNotFoundError):
            found[name.name] = str(name.readlink())
    return found


def surroundings() -> dict[str, Any]:
    """What a worker is given."""
    return {
        "files": links("/proc/self/fd"),
        "nice": os.nice(0),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "environment": dict(os.environ),
        "threads": threading.active_count(),
    }


def refuses(kind: str) -> None:
    """By an exception of some kind."""
    errors: dict[str, BaseException] = {
        "blocked": GuardrailBlocked("1 × CREDIT_CARD", reasons=("CREDIT_CARD",), retry_after_s=7),
        "key": InvalidApiKey(),
        "upstream": UpstreamError("no", termination="upstream_garbage", provider=(500, b"x" * 100_000)),
        "own": Refusing("one", two=2),
        "bug": ZeroDivisionError("jane@example.com"),
    }
    raise errors[kind]


def blocks() -> Never:
    """By a refusal, and no more."""
    raise GuardrailBlocked("no")


def refuses_with_what_cannot_travel() -> None:
    """An exception that holds a lock."""
    error = ValueError("jane@example.com")
    error.lock = threading.Lock()  # type: ignore[attr-defined] # that is the point
    raise error


def gives_what_cannot_travel() -> Any:
    """A result that can't be pickled."""
    return threading.Lock()


def makes(path: str) -> None:
    """A file, so that it shows that the work was done."""
    Path(path).touch()

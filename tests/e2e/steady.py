"""Apps that ask all the time: the official SDK in a few threads, each answer kept with when it was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import openai

PER_SECOND: Final = 200
_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """When it was asked for and when it came (monotonic seconds), and what: a status, or the name of what went wrong."""

    asked: float
    came: float
    status: int | str


@dataclass(slots=True)
class Apps:
    """All answers so far, in no order."""

    answers: list[Answer] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def since(self, moment: float) -> list[Answer]:
        """The answers to what was asked after `moment`."""
        return [answer for answer in self.answers if answer.asked > moment]

    def between(self, start: float, end: float) -> set[int | str]:
        """Statuses of what was asked after `start` and had come by `end`."""
        return {answer.status for answer in self.answers if answer.asked > start and answer.came < end}


def client(gateway: str, key: str) -> openai.OpenAI:
    """The SDK as an app sets it up; it tries nothing twice, so that each answer is seen."""
    return openai.OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0, timeout=30)


def asked(sdk: openai.OpenAI, model: str = "cheap") -> int | str:
    """One chat completion; its status."""
    try:
        sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
    except openai.APIStatusError as refused:
        return refused.status_code
    except openai.APIError as broken:
        return type(broken).__name__
    return 200


@contextmanager
def steady(gateway: str, key: str, model: str = "cheap") -> Iterator[Apps]:
    """Apps that ask PER_SECOND times a second with one key, from here to the end of the block."""
    apps = Apps()
    threads = [threading.Thread(target=_ask, args=(apps, gateway, key, model, number)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield apps
    finally:
        apps.over.set()
        for thread in threads:
            thread.join()


def _ask(apps: Apps, gateway: str, key: str, model: str, number: int) -> None:
    pause = _THREADS / PER_SECOND
    with client(gateway, key) as sdk:
        next_one = time.monotonic() + pause * number / _THREADS
        while not apps.over.wait(max(0.0, next_one - time.monotonic())):
            begun = time.monotonic()
            status = asked(sdk, model)
            apps.answers.append(Answer(begun, time.monotonic(), status))
            next_one = max(next_one + pause, time.monotonic())

"""The clients, and what each is asked to do: the tests, their parameters and docs/clients.md follow this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import py_anthropic
import py_langchain
import py_openai
import py_responses
import pytest
from asked import Describe, Verb

Dialect = Literal["chat", "responses", "messages"]

VERBS: Final = {
    "chat": "a whole answer",
    "stream": "a streamed one",
    "tools": "tool calls, parallel ones, and their results",
    "tools_stream": "the same streamed",
    "structured": "structured output",
    "image": "images",
    "image_url": "images by their address",
    "embed": "embeddings",
    "models": "the list of models",
    "moderate": "moderations",
    "complete": "legacy completions",
    "complete_stream": "the same streamed",
    "count": "counting tokens",
}
"""What is done with clients, in the words of the page."""

CORE: Final = ("chat", "stream", "tools", "tools_stream", "structured", "image", "image_url")
SMALLER: Final = ("embed", "models", "moderate", "complete", "complete_stream")


@dataclass(frozen=True, slots=True)
class Client:
    """A client in one of its ways of use. `script`: the Node script that drives it; "" for Python's.

    `packages`: those whose versions matter, the one that an app imports first.
    """

    name: str
    packages: tuple[str, ...]
    dialect: Dialect
    verbs: tuple[str, ...]
    script: str = ""


CLIENTS: Final = (
    Client("openai-python", ("openai",), "chat", (*CORE, *SMALLER)),
    Client("openai-python-async", ("openai",), "chat", ("chat", "stream", "tools", "tools_stream", "embed")),
    Client("langchain-openai", ("langchain-openai", "openai"), "chat", (*CORE, "embed")),
    Client("openai-node", ("openai",), "chat", (*CORE, *SMALLER), "openai.mjs"),
    Client("vercel-openai-chat", ("ai", "@ai-sdk/openai"), "chat", (*CORE, "embed"), "vercel.mjs"),
    Client("vercel-openai-compatible", ("ai", "@ai-sdk/openai-compatible"), "chat", (*CORE[:-1], "embed"), "vercel.mjs"),
)

PYTHON: Final[Mapping[str, tuple[Mapping[str, Verb], Describe]]] = {
    "openai-python": (py_openai.CHAT, py_openai.describe),
    "openai-python-async": (py_openai.ASYNC_CHAT, py_openai.describe),
    "openai-python-responses": (py_responses.RESPONSES, py_openai.describe),
    "openai-python-responses-async": (py_responses.ASYNC_RESPONSES, py_openai.describe),
    "anthropic-python": (py_anthropic.MESSAGES, py_anthropic.describe),
    "anthropic-python-async": (py_anthropic.ASYNC_MESSAGES, py_anthropic.describe),
    "langchain-openai": (py_langchain.CHAT_OPENAI, py_langchain.describe),
    "langchain-openai-responses": (py_langchain.RESPONSES_OPENAI, py_langchain.describe),
    "langchain-anthropic": (py_langchain.CHAT_ANTHROPIC, py_langchain.describe),
}
"""Python's clients: their verbs, and how their errors read."""


def having(verb: str) -> pytest.MarkDecorator:
    """Run the test with each client that has the verb, as `app`."""
    return pytest.mark.parametrize("app", [pytest.param(each, id=each.name) for each in CLIENTS if verb in each.verbs], indirect=True)

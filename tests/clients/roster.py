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

Route = Literal["chat", "responses", "messages"]

VERBS: Final = {
    "chat": "a whole answer, with its usage",
    "stream": "a streamed answer, with its usage",
    "tools": "parallel tool calls, the app's results, and the answer to those",
    "tools_stream": "the same, both answers streamed",
    "structured": "an answer that is parsed into a schema of the app's",
    "image": "a prompt with an image in it",
    "image_url": "a prompt with the address of an image",
    "embed": "embeddings",
    "models": "the list of models",
    "moderate": "moderations",
    "complete": "a legacy completion",
    "complete_stream": "a legacy completion, streamed",
    "count": "counting tokens",
}
"""What is done with clients, in the words of the page."""

_SDKS: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    413: "APIError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
}
ERRORS: Final[Mapping[str, Mapping[int, str]]] = {
    "OpenAI's SDKs": _SDKS,
    "Anthropic's SDKs": _SDKS | {413: "ContentTooLargeError"},
    "Vercel's AI SDK": dict.fromkeys(_SDKS, "AI_APICallError"),
}
"""By whose words a client's errors are called: status → class. LangChain's are subclasses of the SDK's below it."""

IN_MID_STREAM: Final = {"OpenAI's SDKs": "APIError", "Anthropic's SDKs": "APIError", "Vercel's AI SDK": "AI_StreamProviderError"}
"""The class when a stream that has begun ends in an error."""

CORE: Final = ("chat", "stream", "tools", "tools_stream", "structured", "image", "image_url")
SMALLER: Final = ("embed", "models", "moderate", "complete", "complete_stream")


@dataclass(frozen=True, slots=True)
class Client:
    """A client in one of its ways of use. `script`: the Node script that drives it; "" for Python's.

    `packages`: those whose versions matter, the one that an app imports first.
    """

    name: str
    packages: tuple[str, ...]
    route: Route
    verbs: tuple[str, ...]
    script: str = ""

    @property
    def whose(self) -> str:
        """By whose words its errors are called."""
        if self.packages[0] == "ai":
            return "Vercel's AI SDK"
        return "Anthropic's SDKs" if self.route == "messages" else "OpenAI's SDKs"


CLIENTS: Final = (
    Client("openai-python", ("openai",), "chat", (*CORE, *SMALLER)),
    Client("openai-python-async", ("openai",), "chat", ("chat", "stream", "tools", "tools_stream", "embed")),
    Client("openai-python-responses", ("openai",), "responses", CORE),
    Client("openai-python-responses-async", ("openai",), "responses", ("chat", "stream")),
    Client("anthropic-python", ("anthropic",), "messages", (*CORE, "count", "models")),
    Client("anthropic-python-async", ("anthropic",), "messages", ("chat", "stream", "tools", "count")),
    Client("langchain-openai", ("langchain-openai", "openai"), "chat", (*CORE, "embed")),
    Client("langchain-openai-responses", ("langchain-openai", "openai"), "responses", CORE),
    Client("langchain-anthropic", ("langchain-anthropic", "anthropic"), "messages", CORE),
    Client("openai-node", ("openai",), "chat", (*CORE, *SMALLER), "openai.mjs"),
    Client("openai-node-responses", ("openai",), "responses", CORE, "openai.mjs"),
    Client("anthropic-node", ("@anthropic-ai/sdk",), "messages", (*CORE, "count", "models"), "anthropic.mjs"),
    Client("vercel-openai-chat", ("ai", "@ai-sdk/openai"), "chat", (*CORE, "embed"), "vercel.mjs"),
    Client("vercel-openai-responses", ("ai", "@ai-sdk/openai"), "responses", CORE, "vercel.mjs"),
    Client("vercel-openai-compatible", ("ai", "@ai-sdk/openai-compatible"), "chat", (*CORE[:-1], "embed"), "vercel.mjs"),
    Client("vercel-anthropic", ("ai", "@ai-sdk/anthropic"), "messages", CORE, "vercel.mjs"),
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

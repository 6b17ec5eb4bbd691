"""Which path is answered in which shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from controlplane.mock import chat, completions, embeddings, messages, models, moderations, responses, responses_stream
from controlplane.mock.ask import Ask
from controlplane.mock.errors import anthropic_broken, anthropic_error, openai_broken, openai_error, responses_broken
from controlplane.mock.http1 import Request
from controlplane.mock.says import Says

MODELS: Final = "/v1/models"


@dataclass(frozen=True, slots=True)
class Route:
    """One call of a provider's API.

    `events`: None where it is never streamed. `broken`: the event in which a stream ends as an error,
    from its number in the stream and a sentence.
    """

    unary: Callable[[Ask, Says], bytes]
    events: Callable[[Ask, Says], Iterator[bytes]] | None = None
    error: Callable[[int, str], bytes] = openai_error
    broken: Callable[[int, str], bytes] = openai_broken
    method: str = "POST"


_ROUTES: Final = {
    "/v1/chat/completions": Route(chat.unary, chat.events),
    "/v1/completions": Route(completions.unary, completions.events),
    "/v1/responses": Route(responses.unary, responses_stream.events, broken=responses_broken),
    "/v1/embeddings": Route(embeddings.unary),
    "/v1/moderations": Route(moderations.unary),
    "/v1/messages": Route(messages.unary, messages.events, anthropic_error, anthropic_broken),
    "/v1/messages/count_tokens": Route(messages.count_tokens, error=anthropic_error),
}
_OPENAI_MODELS: Final = (Route(models.openai_list, method="GET"), Route(models.openai_one, method="GET"))
_ANTHROPIC_MODELS: Final = (
    Route(models.anthropic_list, error=anthropic_error, method="GET"),
    Route(models.anthropic_one, error=anthropic_error, method="GET"),
)


def route(request: Request) -> Route | None:
    """What answers a request; None where the mock has nothing."""
    path = _path(request)
    if path == MODELS:
        return _models(request)[0]
    if asked_model(request):
        return _models(request)[1]
    return _ROUTES.get(path)


def asked_model(request: Request) -> str:
    """The model that the path names, or nothing."""
    path = _path(request)
    return unquote(path.removeprefix(f"{MODELS}/")) if path.startswith(f"{MODELS}/") else ""


def nowhere(request: Request) -> bytes:
    """The body of a 404, in the shape of whoever seems to ask."""
    error = anthropic_error if _anthropic(request) else openai_error
    return error(404, f"The mock provider has nothing at {request.path}.")


def _models(request: Request) -> tuple[Route, Route]:
    return _ANTHROPIC_MODELS if _anthropic(request) else _OPENAI_MODELS


def _anthropic(request: Request) -> bool:
    # Both families have /v1/models; Anthropic's API demands this header of every request.
    return "anthropic-version" in request.headers


def _path(request: Request) -> str:
    return request.path.partition("?")[0]

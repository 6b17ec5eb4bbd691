"""The declared routes. What isn't here doesn't exist: it is answered 404 and never sent on."""

from __future__ import annotations

from typing import Final

from extproc.core.dialects import (
    anthropic_count_tokens,
    anthropic_messages,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_moderations,
    openai_responses,
)
from extproc.core.dialects.shape import Call, Channel, Dialect, Facts, Route

__all__ = ["DEFAULT", "ROUTES", "SERVED", "Call", "Channel", "Dialect", "Facts", "Route", "named", "of"]

BETA: Final = "beta=true"
"""What Anthropic's SDKs put behind the path for its beta interface. It changes nothing in the bodies that is not read."""

ROUTES: Final = (
    Route("chat", "POST", "/v1/chat/completions", "/chat/completions", openai_chat),
    Route("completions", "POST", "/v1/completions", "/completions", openai_completions),
    Route("responses", "POST", "/v1/responses", "/responses", openai_responses),
    Route("embeddings", "POST", "/v1/embeddings", "/embeddings", openai_embeddings),
    Route("moderations", "POST", "/v1/moderations", "/moderations", openai_moderations, "free"),
    Route("models", "GET", "/v1/models", "", openai_chat, "free", "no content", query=BETA),
    Route("messages", "POST", "/v1/messages", "/v1/messages", anthropic_messages, query=BETA),
    Route("count_tokens", "POST", "/v1/messages/count_tokens", "/v1/messages/count_tokens", anthropic_count_tokens, "free", query=BETA),
)
"""Every route, in the order of the reference page."""

SERVED: Final = ", ".join(f"{route.method} {route.path}" for route in ROUTES)
"""The routes as a refusal names them."""

DEFAULT: Final[Dialect] = openai_chat
"""The shape of a refusal where no route was declared."""

_BY_TARGET: Final = {(route.method, route.path): route for route in ROUTES}
_BY_NAME: Final = {route.name: route for route in ROUTES}


def of(method: str, path: str) -> Route | None:
    """The route of exactly this method and path, letter by letter; a path with a query has none."""
    return _BY_TARGET.get((method, path))


def named(name: str) -> Route:
    """The route of this name."""
    return _BY_NAME[name]

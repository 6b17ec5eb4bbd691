"""Lists of models, in OpenAI's shape and in Anthropic's (docs.anthropic.com/en/api/models-list). Any name asked for exists."""

from __future__ import annotations

from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask
from controlplane.mock.openai_frame import CREATED
from controlplane.mock.says import Says

NAMES: Final = ("mock-small", "mock-large")


def openai_list(_ask: Ask, says: Says) -> bytes:
    """A list of `model` objects."""
    return orjson.dumps({"object": "list", "data": [_openai(name) for name in _names(says)]})


def openai_one(ask: Ask, says: Says) -> bytes:
    """The model asked for."""
    return orjson.dumps(_openai(says.model or ask.model))


def anthropic_list(_ask: Ask, says: Says) -> bytes:
    """A page of `model` objects, the only one."""
    names = _names(says)
    page = {"data": [_anthropic(name) for name in names], "has_more": False, "first_id": names[0], "last_id": names[-1]}
    return orjson.dumps(page)


def anthropic_one(ask: Ask, says: Says) -> bytes:
    """The model asked for."""
    return orjson.dumps(_anthropic(says.model or ask.model))


def _names(says: Says) -> tuple[str, ...]:
    return (says.model,) if says.model else NAMES


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "mock"}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2023-11-14T22:13:20Z", "lifecycle": "active"}

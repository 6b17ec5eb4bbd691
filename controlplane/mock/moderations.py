"""Answers in OpenAI's moderations shape (platform.openai.com/docs/api-reference/moderations): nothing is ever flagged."""

from __future__ import annotations

from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask, strings
from controlplane.mock.says import Says

CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_SCORE: Final = 0.0001


def unary(ask: Ask, says: Says) -> bytes:
    """One result for each text; one for all parts of an input of several kinds."""
    asked = strings(ask.document.get("input"))
    count = 1 if any(isinstance(item, dict) for item in asked) else len(asked)
    model = says.model or ask.document.get("model", "omni-moderation-latest")
    return orjson.dumps({"id": f"modr-mock{says.number}", "model": model, "results": [_result()] * count})


def _result() -> dict[str, Any]:
    return {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, _SCORE),
        "category_applied_input_types": {category: ["text"] for category in CATEGORIES},
    }

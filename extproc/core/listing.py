"""The list of models that a key may use: `GET /v1/models`, which the gate answers itself.

One document for both families' SDKs: OpenAI's members (its API reference, "List models") and Anthropic's (its API
reference, "List Models") have no name in common that they use differently. Nothing in it is asked of a provider.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from contracts.snapshot import ModelRecord


def document(models: Sequence[ModelRecord]) -> bytes:
    """The JSON text. The time of creation is nobody's, so it is the epoch."""
    names = sorted(model.name for model in models)
    entries = [
        {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": "portcullis",
            "type": "model",
            "display_name": name,
            "created_at": "1970-01-01T00:00:00Z",
        }
        for name in names
    ]
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return orjson.dumps({"object": "list", "data": entries, "has_more": False, **ends})

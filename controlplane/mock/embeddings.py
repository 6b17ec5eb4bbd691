"""Answers in OpenAI's embeddings shape (platform.openai.com/docs/api-reference/embeddings): the same input, the same vector."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any, Final

import orjson

from controlplane.mock.ask import Ask, strings
from controlplane.mock.says import Says

DIMENSIONS: Final = 16
"""Fewer than any real model has, for tests print them; `dimensions` asks for others."""
_MOST: Final = 1 << 14
_HALF: Final = 1 << 31


def unary(ask: Ask, says: Says) -> bytes:
    """A list of `embedding` objects, one for each input."""
    base64_asked = ask.document.get("encoding_format") == "base64"
    packed = [_vector(item, _dimensions(ask)) for item in strings(ask.document.get("input"))]
    data = [
        {"object": "embedding", "index": index, "embedding": base64.b64encode(vector).decode() if base64_asked else _floats(vector)}
        for index, vector in enumerate(packed)
    ]
    prompt = says.tokens(ask).prompt
    usage = says.usage if says.usage is not None else {"prompt_tokens": prompt, "total_tokens": prompt}
    return orjson.dumps({"object": "list", "data": data, "model": says.model or ask.model, "usage": usage})


def _dimensions(ask: Ask) -> int:
    asked = ask.document.get("dimensions")
    return asked if type(asked) is int and 0 < asked <= _MOST else DIMENSIONS


def _vector(item: Any, dimensions: int) -> bytes:
    """A vector of length 1, drawn from the hash of the input; float32, little-endian."""
    drawn = hashlib.shake_256(orjson.dumps(item)).digest(4 * dimensions)
    numbers = [number / _HALF - 1 for number in struct.unpack(f"<{dimensions}I", drawn)]
    length = math.hypot(*numbers) or 1.0
    return struct.pack(f"<{dimensions}f", *(number / length for number in numbers))


def _floats(vector: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))

"""Contents in parts, as chat completions and moderations have them: what of a part is no text.

Source: OpenAI's API reference, and the types of the official Python SDK.
"""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from extproc.core.body import Path
from extproc.core.dialects.members import Media, exact, is_data_url
from extproc.core.dialects.shape import AUDIO, FILE, Encoded

_MEDIA: Final = frozenset({"image_url", "input_audio", "file"})
_READ: Final = _MEDIA | {"text", "refusal"}
_INSIDE: Final = frozenset({"file_id", "file_data"})


def are_parts(content: Any) -> TypeGuard[list[dict[str, Any]]]:
    """Whether it is an array of objects that say their type."""
    return type(content) is list and all(type(part) is dict and type(part.get("type")) is str for part in content)


def look(parts: list[dict[str, Any]], path: Path, media: Media, features: set[str]) -> None:
    """Note what of the parts at `path` is no text. A type that nobody knows yet is taken for a file."""
    for position, part in enumerate(parts):
        kind = media.kind(part)
        if kind not in _READ:
            media.note(FILE)
        # Some readers go by a part's type, others by the member that it has: either is enough.
        for held in sorted({kind, *part} & _MEDIA):
            _look_at(held, part.get(held), (*path, position, held), media, features)


def _look_at(kind: str, inside: Any, path: Path, media: Media, features: set[str]) -> None:
    if kind == "image_url":
        media.reference(inside.get("url") if type(inside) is dict else inside)
    elif kind == "input_audio":
        media.note(AUDIO)
    else:
        _look_into_file(inside if type(inside) is dict else {}, path, media, features)


def _look_into_file(file: dict[str, Any], path: Path, media: Media, features: set[str]) -> None:
    exact(file, _INSIDE)
    inside = file.get("file_data")
    if file.get("file_id") is not None:
        features.add("files")
        media.note(FILE)
    elif type(inside) is not str:
        media.note(FILE)
    if type(inside) is str and not is_data_url(inside):
        media.files.append(Encoded((*path, "file_data")))

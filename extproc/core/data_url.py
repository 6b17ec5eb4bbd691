"""URLs that hold their data themselves (RFC 2397), told apart from prose that happens to begin with "Data:"."""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(r"\s{0,16}data:(?P<type>[^,;]*+)(?P<more>[^,]*+),", re.IGNORECASE)
_MEDIA_TYPE: Final = re.compile(r"\s*(?:[A-Za-z0-9.+*_-]+/[A-Za-z0-9.+*_-]+)?\s*")
_COLON_BY: Final = 32  # where the colon stands at the latest


def head(text: str) -> re.Match[str] | None:
    """The part of a data URL before its data: its `type`, and `more`, which are its parameters. None where the text is none.

    Readers are lenient, so that it says base64 is enough, and so is a media type or none at all. One behind many blanks is no
    data URL here: whoever counts on one must look first.
    """
    if ":" not in text[:_COLON_BY]:
        return None
    found = _URL.match(text)
    return found if found and (in_base64(found) or _MEDIA_TYPE.fullmatch(found["type"])) else None


def in_base64(url: re.Match[str]) -> bool:
    """Whether its data is in base64."""
    return url["more"].rstrip().lower().endswith("base64")

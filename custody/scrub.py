"""Removing a secret's text from what came from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from custody.reveal import REVEAL
from custody.secret import Secret

GONE: Final = b"[PROVIDER_CREDENTIAL]"
SHORTEST: Final = 8
"""Shorter values occur by chance: removing them would garble answers and protect nothing."""

_SPELT: Final = re.compile(rb"\\(?:u00[2-7][0-9a-fA-F]|/)")
"""How JSON may spell a printable ASCII character otherwise (RFC 8259, section 7); quote and backslash are in no credential."""


class _Bytes(bytes):
    """A secret in a variable: whoever prints a traceback with variables does not see it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "…"


class _Text(str):
    """The same as text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "…"


def scrub(raw: bytes, secret: Secret) -> bytes:
    """`raw` without the secret, also where escapes of JSON, or of JSON in JSON, spell it: providers repeat it in their errors."""
    value = _Bytes(secret.reveal(REVEAL))
    if len(value) < SHORTEST:
        return raw
    clean = raw.replace(value, GONE)
    if b"\\" not in clean or not _SPELT.search(clean):
        return clean
    return _written(value).sub(GONE, clean)


def _written(value: bytes) -> re.Pattern[bytes]:
    """The secret with each character as it is or as an escape.

    JSON in JSON has several backslashes before a letter. Those before the first go along, since half of them would escape what
    comes in the secret's place; a run of them is looked at from its start alone, so that a long one costs no more.
    """
    return re.compile(
        rb"(?:%b|(?<!\\)\\++%b)" % _spellings(value[0]) + b"".join(rb"(?:%b|\\++%b)" % spelt for spelt in map(_spellings, value[1:]))
    )


def _spellings(code: int) -> tuple[bytes, bytes]:
    """A character as it is, and as it is behind backslashes."""
    plain = re.escape(bytes((code,)))
    return plain, rb"(?:u00(?i:%02x)|/)" % code if code == ord("/") else rb"u00(?i:%02x)" % code


def holds(text: str, secret: Secret) -> bool:
    """Whether the secret stands in `text`."""
    return any(True for _ in places(text, secret))


def places(text: str, secret: Secret) -> Iterator[tuple[int, int]]:
    """Where the secret stands in `text`: start and end, in characters."""
    value = _Text(secret.reveal(REVEAL), "latin-1")
    if len(value) < SHORTEST:
        return
    at = text.find(value)
    while at >= 0:
        yield at, at + len(value)
        at = text.find(value, at + len(value))


def begun(text: str, secret: Secret) -> int:
    """Where at the end of `text` the secret may have begun; len(text) where it has not."""
    value = _Text(secret.reveal(REVEAL), "latin-1")
    if len(value) < SHORTEST:
        return len(text)
    for size in range(min(len(value) - 1, len(text)), 0, -1):
        if text.endswith(value[:size]):
            return len(text) - size
    return len(text)

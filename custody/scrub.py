"""Removing a secret's text from bytes that came from outside."""

from __future__ import annotations

from typing import Final

from custody.reveal import REVEAL
from custody.secret import Secret

GONE: Final = b"[credential removed]"
SHORTEST: Final = 8
"""Shorter values occur by chance: removing them would garble answers and protect nothing."""


def scrub(raw: bytes, secret: Secret) -> bytes:
    """`raw` without the secret. Providers echo the credential they were sent in their error messages."""
    value = secret.reveal(REVEAL)
    return raw.replace(value, GONE) if len(value) >= SHORTEST else raw


def holds(text: str, secret: Secret) -> bool:
    """Whether the secret stands in `text`."""
    value = secret.reveal(REVEAL)
    return len(value) >= SHORTEST and value in text.encode("utf-8", "surrogatepass")

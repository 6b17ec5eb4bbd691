"""Looks for planted secrets in everything that lies in a folder, as they are and as programs are used to writing them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

OWN: Final = frozenset({"vault/kek", "vault/admin-token"})
"""Files of a data folder whose business it is to hold a secret of the gate's own: the keys that seal, and the token of the contract's
`admin_token_file`. Each may hold its own secret only: that is for the caller to look into."""

_BLANKS: Final = re.compile(rb"\s+")


def spellings(secret: bytes) -> Iterator[bytes]:
    """A secret as it is; as hex in both cases; as base64, plain and for URLs, at each of the three places where it may begin."""
    yield from {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret)
        sure = text[(0, 2, 3)[before] : len(text) // 4 * 4 - 4 if (before + len(secret)) % 3 else len(text)]
        yield from {sure, sure.translate(bytes.maketrans(b"+/", b"-_"))}


def stands_in(raw: bytes, secret: bytes) -> bool:
    """Whether the secret can be read in these bytes, also where lines were broken within it."""
    unbroken = _BLANKS.sub(b"", raw)
    return any(spelt in raw or spelt in unbroken for spelt in spellings(secret))


def found_in(folder: Path, secrets: Mapping[str, bytes], *, spared: frozenset[str] = OWN) -> list[str]:
    """`name in file` for each secret that stands in a file of the folder, or in a file's name. `spared`: paths that are not looked into."""
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        raw = path.read_bytes() if path.is_file() and place not in spared else b""
        found += [f"{name} in {place}" for name, secret in secrets.items() if stands_in(raw, secret) or secret in place.encode()]
    return found

"""The admin token: made at the first start, kept in a file that only its owner can read."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.errors import Unusable
from extproc.edge.private_files import private_file, private_folder, replace_file

_BYTES: Final = 32


def token_file(data: Path) -> Path:
    """Where the token is: beside the vault's keys, in the one folder whose files are secrets."""
    return data / "vault" / "admin-token"


def make_token(data: Path) -> str | None:
    """Make the token unless there is one. Returns it just this once, to be shown to whoever started the system first."""
    file = token_file(data)
    private_folder(data)
    private_folder(file.parent)
    token = f"pcladmin_{secrets.token_urlsafe(_BYTES)}"
    try:
        replace_file(file, f"{token}\n".encode(), fresh=True)
    except FileExistsError:
        return None
    except OSError as error:
        raise Unusable(f"{file}: can't be made: {error.strerror}") from None
    return token


def read_token(file: Path) -> str:
    """The token in `file`. Raises Unusable where it can't be used."""
    try:
        private_file(file)
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Unusable(f"{file}: the admin token can't be read; remove the file, and the next start makes another") from None
    if len(token) < _BYTES:
        raise Unusable(f"{file}: holds no admin token; remove the file, and the next start makes another")
    return token


@dataclass(frozen=True, slots=True)
class AdminToken:
    """Knows the token's hash only."""

    digest: bytes

    @classmethod
    def of(cls, token: str) -> AdminToken:
        """From the token itself."""
        return cls(hashlib.sha256(token.encode()).digest())

    def fits(self, header: str) -> bool:
        """Whether an Authorization header carries the token; compared in constant time."""
        scheme, _, presented = header.partition(" ")
        digest = hashlib.sha256(presented.strip().encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(digest, self.digest) and scheme.lower() == "bearer"

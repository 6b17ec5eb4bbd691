"""Key terms, and sealing under them. A keyring is a value: adding a term gives a new one.

A sealed record is `term (4 bytes, big endian) | nonce (12) | AES-256-GCM ciphertext and tag`, with
the associated data `kind NUL id NUL version`, so a record can't stand in for another, nor an old
version for a new one. AES-GCM: NIST SP 800-38D; 96-bit nonces are random, which is safe for far
more records than a vault holds (2^32 under one key).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import Unusable
from custody.reveal import REVEAL
from custody.secret import Secret

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_TERM_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Label:
    """What a sealed record is: kind (`credential`, `pepper`), id and version."""

    kind: str
    id: str
    version: int

    def associated(self) -> bytes:
        """Bytes that sealing binds to the record."""
        return f"{self.kind}\0{self.id}\0{self.version}".encode()


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by term; the newest seals, all of them open."""

    terms: Mapping[int, Secret] = field(repr=False)

    def add(self, key: Secret) -> Keyring:
        """A keyring with one more, newest, term."""
        return Keyring({**self.terms, max(self.terms, default=0) + 1: key})

    def seal(self, label: Label, secret: Secret, nonce: bytes) -> str:
        """Seal under the newest term; base64. `nonce` is 12 fresh random bytes."""
        term = max(self.terms)
        sealed = self._cipher(term).encrypt(nonce, secret.reveal(REVEAL), label.associated())
        return base64.b64encode(term.to_bytes(_TERM_BYTES, "big") + nonce + sealed).decode()

    def open(self, label: Label, sealed: str) -> Secret:
        """Unseal. Raises Unusable where the term is unknown or the record is not what `label` says."""
        try:
            raw = base64.b64decode(sealed, validate=True)
        except ValueError:
            raise Unusable(f"{label.kind} '{label.id}' can't be unsealed: it is no sealed record") from None
        term = int.from_bytes(raw[:_TERM_BYTES], "big")
        if term not in self.terms:
            raise Unusable(f"{label.kind} '{label.id}' is sealed under key term {term}, which this vault lacks")
        nonce, body = raw[_TERM_BYTES : _TERM_BYTES + NONCE_BYTES], raw[_TERM_BYTES + NONCE_BYTES :]
        try:
            return Secret(self._cipher(term).decrypt(nonce, body, label.associated()))
        except (InvalidTag, ValueError):  # ValueError: the record is cut short
            raise Unusable(f"{label.kind} '{label.id}' can't be unsealed: another vault's key, or an altered record") from None

    def holds(self, label: Label, sealed: str, secret: Secret) -> bool:
        """Whether the sealed record holds just this secret; compared in constant time."""
        return hmac.compare_digest(self.open(label, sealed).reveal(REVEAL), secret.reveal(REVEAL))

    def _cipher(self, term: int) -> AESGCM:
        return AESGCM(self.terms[term].reveal(REVEAL))

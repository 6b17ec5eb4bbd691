"""Envelope encryption: each record has a data key of its own, and that key is wrapped under a key-encrypting key.

A sealed record, as base64 of:

    1    format: 1
    2    length of the wrapped data key, big endian
    n    the wrapped data key, whose bytes are the wrapper's own (custody/keyring.py: 64 bytes, a term first)
    12   nonce
    m    AES-256-GCM under the data key: ciphertext, then its tag of 16 bytes

AES-GCM is that of NIST SP 800-38D, with random nonces of 96 bits. A data key encrypts one record, once. Both layers are bound to
the same associated data but for its first word, so that neither a record nor a wrapped key can stand in for another, nor an old
version for a new one:

    "secret" or "key", then kind, id and version, each behind its length in bytes (2, big endian)

Wrapping the data key anew leaves nonce and ciphertext as they are: a rotation never touches a secret.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import Unusable
from custody.reveal import REVEAL
from custody.secret import Secret

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SEAL_DICE: Final = KEY_BYTES + 2 * NONCE_BYTES
"""Random bytes that sealing takes: a data key, and a nonce for each layer."""
REWRAP_DICE: Final = NONCE_BYTES

_FORMAT: Final = 1
_TAG_BYTES: Final = 16
_HEAD: Final = 3
_SIZE: Final = 2


@dataclass(frozen=True, slots=True)
class Label:
    """What a sealed record is: kind (`credential`, `pepper`, …), id and version."""

    kind: str
    id: str
    version: int

    def associated(self, layer: bytes) -> bytes:
        """The bytes that a layer (`secret`, `key`) binds to the record."""
        return b"".join(
            len(part).to_bytes(_SIZE, "big") + part for part in (layer, self.kind.encode(), self.id.encode(), b"%d" % self.version)
        )

    def __str__(self) -> str:
        return f"{self.kind} '{self.id}' (version {self.version})"


class Wrapper(Protocol):
    """Whoever holds key-encrypting keys: a keyring, or a key management service.

    `context` is what the wrapped key is bound to: unwrapping under another one fails. Neither method shows a key.
    """

    def wrap(self, key: Secret, context: bytes, nonce: bytes) -> bytes:
        """Wrap a data key under the newest key-encrypting key. `nonce`: 12 fresh random bytes, for who has no dice of its own."""

    def unwrap(self, wrapped: bytes, context: bytes) -> Secret:
        """The data key. Raises Unusable, with the rest of a sentence that begins with a record's name, where it can't be had."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed record, taken apart."""

    wrapped: bytes
    nonce: bytes
    body: bytes

    def text(self) -> str:
        """As it is kept."""
        head = bytes((_FORMAT,)) + len(self.wrapped).to_bytes(_HEAD - 1, "big")
        return base64.b64encode(head + self.wrapped + self.nonce + self.body).decode()


def read(sealed: str) -> Envelope:
    """Take a record apart. Raises ValueError where it is none."""
    raw = base64.b64decode(sealed, validate=True)
    end = _HEAD + int.from_bytes(raw[1:_HEAD], "big")
    if raw[:1] != bytes((_FORMAT,)) or len(raw) < end + NONCE_BYTES + _TAG_BYTES:
        raise ValueError("no sealed record")
    return Envelope(raw[_HEAD:end], raw[end : end + NONCE_BYTES], raw[end + NONCE_BYTES :])


def seal(wrapper: Wrapper, label: Label, secret: Secret, dice: bytes) -> str:
    """Seal a secret under a fresh data key. `dice`: SEAL_DICE random bytes, never used before."""
    if len(dice) != SEAL_DICE:
        raise ValueError(f"sealing takes {SEAL_DICE} random bytes")
    key, nonces = Secret(dice[:KEY_BYTES]), dice[KEY_BYTES:]
    wrapped = wrapper.wrap(key, label.associated(b"key"), nonces[:NONCE_BYTES])
    nonce = nonces[NONCE_BYTES:]
    body = AESGCM(key.reveal(REVEAL)).encrypt(nonce, secret.reveal(REVEAL), label.associated(b"secret"))
    return Envelope(wrapped, nonce, body).text()


def unseal(wrapper: Wrapper, label: Label, sealed: str) -> Secret:
    """The secret of a record. Raises Unusable, naming the record and what to do, where it is not what `label` says."""
    envelope = _read(label, sealed)
    key = _unwrapped(wrapper, label, envelope)
    try:
        return Secret(AESGCM(key.reveal(REVEAL)).decrypt(envelope.nonce, envelope.body, label.associated(b"secret")))
    except (InvalidTag, ValueError):
        raise Unusable(f"{label} can't be unsealed: the record was altered; {SET_AGAIN}") from None


def rewrap(wrapper: Wrapper, label: Label, sealed: str, nonce: bytes) -> str:
    """The same record with its data key wrapped anew. `nonce`: REWRAP_DICE random bytes, never used before."""
    envelope = _read(label, sealed)
    key = _unwrapped(wrapper, label, envelope)
    return Envelope(wrapper.wrap(key, label.associated(b"key"), nonce), envelope.nonce, envelope.body).text()


SET_AGAIN: Final = "restore it from your backup, or set the secret again"


def _read(label: Label, sealed: str) -> Envelope:
    try:
        return read(sealed)
    except ValueError:
        raise Unusable(f"{label} can't be unsealed: it is cut short or no sealed record; {SET_AGAIN}") from None


def _unwrapped(wrapper: Wrapper, label: Label, envelope: Envelope) -> Secret:
    try:
        return wrapper.unwrap(envelope.wrapped, label.associated(b"key"))
    except Unusable as error:
        raise Unusable(f"{label} {error}") from None

"""Frames of a file that only grows, each sealed under the file's own data key.

A sealed frame is `nonce (12) | AES-256-GCM ciphertext and tag (16)`; its number in the file (8 bytes, big endian, from 0) is the
associated data, so that no frame can be altered, left out between others, moved, or taken from another file.
Nonces are random and not counted: a frame that was cut off by a crash leaves its number free, and another one takes it.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from custody.keyring import NONCE_BYTES
from custody.reveal import REVEAL
from custody.secret import Secret

NUMBER_BYTES: Final = 8


class FrameSeal:
    """Seals and opens frames under one data key, which it does not show."""

    def __init__(self, key: Secret) -> None:
        self._cipher = AESGCM(key.reveal(REVEAL))

    def seal(self, number: int, body: bytes, nonce: bytes) -> bytes:
        """Seal a frame; `nonce` is 12 fresh random bytes."""
        return nonce + self._cipher.encrypt(nonce, body, number.to_bytes(NUMBER_BYTES, "big"))

    def open(self, number: int, sealed: bytes) -> bytes:
        """What a frame holds. Raises ValueError where it is not the frame of that number as it was sealed."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], number.to_bytes(NUMBER_BYTES, "big"))
        except InvalidTag:
            raise ValueError("no frame of this number as it was sealed") from None

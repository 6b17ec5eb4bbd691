"""The key that signs planes' certificates: Ed25519 (RFC 8032), kept sealed, and used without being shown."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.reveal import REVEAL
from custody.secret import Secret

SEED_BYTES: Final = 32


def signer(seed: Secret) -> Ed25519PrivateKey:
    """The key of a seed of 32 random bytes: an object of the cryptography library, which signs and has no readable form."""
    return Ed25519PrivateKey.from_private_bytes(seed.reveal(REVEAL))

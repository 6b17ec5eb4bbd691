"""Key-encrypting keys by term. A keyring is a value: adding or dropping a term gives a new one.

A data key wrapped by a keyring is `term (4 bytes, big endian) | nonce (12) | AES-256-GCM of the key and its tag (48)`: 64 bytes.
The same keys may wrap 2^32 records with random nonces (NIST SP 800-38D, 8.3), which is more than any vault holds.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import Unusable
from custody import envelope
from custody.envelope import KEY_BYTES, NONCE_BYTES, REWRAP_DICE, SEAL_DICE, Label
from custody.reveal import REVEAL
from custody.secret import Secret

_TERM_BYTES: Final = 4
_WRAPPED_BYTES: Final = _TERM_BYTES + NONCE_BYTES + KEY_BYTES + 16
LAST_TERM: Final = (1 << 8 * _TERM_BYTES) - 1


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by term; the newest wraps, all of them unwrap. It is an envelope.Wrapper."""

    terms: Mapping[int, Secret] = field(repr=False)

    @property
    def newest(self) -> int:
        """The term that seals."""
        return max(self.terms)

    def add(self, key: Secret) -> Keyring:
        """A keyring with one more, newest, term."""
        return Keyring({**self.terms, max(self.terms, default=0) + 1: key})

    def only_newest(self) -> Keyring:
        """A keyring that has forgotten every older term."""
        return Keyring({self.newest: self.terms[self.newest]})

    def wrap(self, key: Secret, context: bytes, nonce: bytes) -> bytes:
        """Wrap a data key under the newest term."""
        term = self.newest
        return term.to_bytes(_TERM_BYTES, "big") + nonce + self._cipher(term).encrypt(nonce, key.reveal(REVEAL), context)

    def unwrap(self, wrapped: bytes, context: bytes) -> Secret:
        """The data key. Raises Unusable where the term is unknown, or the key or the context another one."""
        term = int.from_bytes(wrapped[:_TERM_BYTES], "big")
        if len(wrapped) != _WRAPPED_BYTES:
            raise Unusable(f"can't be unsealed: it is cut short or no sealed record; {envelope.SET_AGAIN}")
        if term not in self.terms:
            raise Unusable(f"is sealed under key term {term}, which this vault lacks; restore the file of keys that has it")
        nonce, body = wrapped[_TERM_BYTES : _TERM_BYTES + NONCE_BYTES], wrapped[_TERM_BYTES + NONCE_BYTES :]
        try:
            return Secret(self._cipher(term).decrypt(nonce, body, context))
        except InvalidTag:
            raise Unusable(
                f"can't be unsealed: another vault's key, another record or version in its place, or an altered one; {envelope.SET_AGAIN}"
            ) from None

    def seal(self, label: Label, secret: Secret, dice: bytes) -> str:
        """Seal a secret; base64. `dice`: SEAL_DICE fresh random bytes."""
        return envelope.seal(self, label, secret, dice)

    def open(self, label: Label, sealed: str) -> Secret:
        """Unseal. Raises Unusable, naming the record, where it is not what `label` says."""
        return envelope.unseal(self, label, sealed)

    def rewrap(self, label: Label, sealed: str, dice: bytes) -> str:
        """The record under the newest term, with the same data key; unchanged where it is there already. `dice`: REWRAP_DICE bytes.

        Raises Unusable as `open` does.
        """
        return sealed if term_of(sealed) == self.newest else envelope.rewrap(self, label, sealed, dice)

    def holds(self, label: Label, sealed: str, secret: Secret) -> bool:
        """Whether the sealed record holds just this secret; compared in constant time."""
        return hmac.compare_digest(self.open(label, sealed).reveal(REVEAL), secret.reveal(REVEAL))

    def _cipher(self, term: int) -> AESGCM:
        return AESGCM(self.terms[term].reveal(REVEAL))


def term_of(sealed: str) -> int:
    """The term that a record is sealed under; 0 where it is no record of a keyring."""
    try:
        wrapped = envelope.read(sealed).wrapped
    except ValueError:
        return 0
    return int.from_bytes(wrapped[:_TERM_BYTES], "big") if len(wrapped) == _WRAPPED_BYTES else 0


def core_of(sealed: str) -> bytes:
    """What `rewrap` leaves as it is and no other record has: nonce and ciphertext. Of what is no record, the text."""
    try:
        parts = envelope.read(sealed)
    except ValueError:
        return sealed.encode()
    return parts.nonce + parts.body


__all__ = ["KEY_BYTES", "LAST_TERM", "NONCE_BYTES", "REWRAP_DICE", "SEAL_DICE", "Keyring", "Label", "core_of", "term_of"]

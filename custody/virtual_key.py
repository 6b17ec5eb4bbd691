"""Virtual keys: `pcl_<12 public id>_<43 secret>_<6 checksum>`, all base62.

The public id finds the record. The secret is 256 bits and kept only as HMAC-SHA256 under the
vault's pepper. The checksum is CRC-32 (ISO-HDLC, as zlib has it) over everything before its
underscore, so a typing error or a cut key is refused before any look-up, and secret scanners
can tell a real key from a look-alike.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from contracts.snapshot import LiveSecret
from custody.reveal import REVEAL
from custody.secret import Secret

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 43, 6
MOST_SECRETS: Final = 2
"""Secrets of one key that are live at once: the one in force, and the one before it for its grace."""
ENTROPY_BYTES: Final = 41
"""Random bytes that `mint` takes: 9 for the public id, 32 for the secret."""

_FORM = re.compile(rf"pcl_([0-9A-Za-z]{{{ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}})_([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Presented:
    """A well-formed key as an app sent it."""

    public_id: str
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class Minted:
    """A fresh key: `text` is shown once and kept nowhere."""

    public_id: str
    text: Secret = field(repr=False)
    secret: Secret = field(repr=False)


def mint(entropy: bytes, public_id: str | None = None) -> Minted:
    """Make a key of ENTROPY_BYTES random bytes; the caller brings the dice. With a `public_id`, a new secret of that key."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a virtual key takes {ENTROPY_BYTES} random bytes")
    public_id = public_id or _base62(int.from_bytes(entropy[:9], "big") % 62**ID_LENGTH, ID_LENGTH)
    secret = _base62(int.from_bytes(entropy[9:], "big"), SECRET_LENGTH)
    stem = f"pcl_{public_id}_{secret}"
    return Minted(public_id, Secret(f"{stem}_{_checksum(stem)}".encode()), Secret(secret.encode()))


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh key, or a fresh secret of one, on its way to the one person who asked for it. `shown` is kept nowhere."""

    public_id: str
    secret: LiveSecret
    shown: str = field(repr=False)


def issue(peppers: Mapping[int, Secret], entropy: bytes, public_id: str | None = None) -> Issued:
    """Mint a key, or a new secret for one, hashed under the newest pepper. The one place where a virtual key becomes plain text."""
    version = max(peppers)
    minted = mint(entropy, public_id)
    kept = LiveSecret(keyed_hash(peppers[version], minted.public_id, minted.secret), version)
    return Issued(minted.public_id, kept, minted.text.reveal(REVEAL).decode())


def rotated(secrets: Sequence[LiveSecret], fresh: LiveSecret, until: int) -> tuple[LiveSecret, ...]:
    """A key's secrets once `fresh` is in force: the one before it lives on to `until` (seconds), older ones end here."""
    before = [replace(secret, until=until if secret.until is None else min(until, secret.until)) for secret in secrets[:1]]
    return (fresh, *before)


def parse(text: str) -> Presented | None:
    """Read a key; None where its form or checksum is wrong."""
    match = _FORM.fullmatch(text)
    if match is None or _checksum(text[: -CHECKSUM_LENGTH - 1]) != match[3]:
        return None
    return Presented(match[1], Secret(match[2].encode()))


def keyed_hash(pepper: Secret, public_id: str, secret: Secret) -> str:
    """What is stored of a key: HMAC-SHA256 over id and secret, in hex."""
    return hmac.digest(pepper.reveal(REVEAL), public_id.encode() + b"\0" + secret.reveal(REVEAL), hashlib.sha256).hex()


def used(peppers: Mapping[int, Secret], presented: Presented, stored: Sequence[LiveSecret], now: int) -> LiveSecret | None:
    """Which of a key's stored secrets was presented; None where it is none of them, or one whose time is over (`now`: seconds).

    An unknown id (nothing `stored`) takes the same steps as a wrong secret: one hash for each pepper, MOST_SECRETS comparisons.
    """
    hashes = {version: keyed_hash(pepper, presented.public_id, presented.secret) for version, pepper in peppers.items()}
    found = None
    for secret in [*stored[:MOST_SECRETS], *[_NONE] * (MOST_SECRETS - len(stored))]:
        right = hmac.compare_digest(hashes.get(secret.pepper, _NO_HASH), secret.hash)
        if right and secret is not _NONE and secret.pepper in hashes and (secret.until is None or now < secret.until):
            found = found or secret
    return found


# ── moving to a newer pepper ──────────────────────────────────────────────────


def rehash(peppers: Mapping[int, Secret], presented: Presented, secret: LiveSecret) -> LiveSecret | None:
    """The secret that was just found to be `presented`, hashed under the newest pepper; None where it already is.

    Only who sees the right secret can do this, so a rotation of the pepper moves a key when it is next used.
    """
    newest = max(peppers)
    if secret.pepper >= newest:
        return None
    return replace(secret, hash=keyed_hash(peppers[newest], presented.public_id, presented.secret), pepper=newest)


def rehashed(secrets: Sequence[LiveSecret], old: str, fresh: LiveSecret) -> tuple[LiveSecret, ...] | None:
    """A key's secrets with `fresh` in the place of the one whose hash is `old`; None where none of an older pepper is that.

    How long it lives is not for the reporter to say, and stays.
    """
    moved = tuple(
        replace(secret, hash=fresh.hash, pepper=fresh.pepper) if secret.hash == old and secret.pepper < fresh.pepper else secret
        for secret in secrets
    )
    return moved if moved != tuple(secrets) else None


def told(fresh: LiveSecret) -> str:
    """A hash and its pepper as one word, `2:<hex>`, for a plane's report."""
    return f"{fresh.pepper}:{fresh.hash}"


def heard(word: str) -> LiveSecret | None:
    """Read what `told` wrote; None where it is something else."""
    match = _TOLD.fullmatch(word)
    return LiveSecret(match[2], int(match[1])) if match else None


_TOLD: Final = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{64})", re.ASCII)
_NO_HASH: Final = "0" * 64
_NONE: Final = LiveSecret("f" * 64, pepper=0)


def _checksum(stem: str) -> str:
    number = zlib.crc32(stem.encode())
    return _PAIRS[number // len(_PAIRS) ** 2] + _PAIRS[number // len(_PAIRS) % len(_PAIRS)] + _PAIRS[number % len(_PAIRS)]


_PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)
"""Two digits at a time: a key is checked with every request."""


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))

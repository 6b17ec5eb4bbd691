"""Virtual keys, one by one: made, changed, rotated, revoked. The secret is issued by the vault beforehand; only its hash comes here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controlplane.estate import Changes, Estate
from controlplane.holds import Holds
from custody.virtual_key import Issued

MOST_GRACE_S: Final = 7 * 24 * 3600
"""The longest that a rotation leaves the old secret alive: what is to be rotated should not live on for ever."""


def key_created(
    estate: Estate, name: str, fields: Mapping[str, Any], issued: Issued, now: int, actor: str, holds: Holds
) -> Changes:
    """A fresh key. `fields` are KeyRecord's but for id, name, secrets and revoked. A revoked key of that name gives way to it."""
    raise NotImplementedError


def key_patched(estate: Estate, name: str, fields: Mapping[str, Any], now: int, holds: Holds) -> Changes:
    """Change the fields that are given, and no others."""
    raise NotImplementedError


def key_rotated(estate: Estate, name: str, issued: Issued, grace_s: int, now: int, holds: Holds) -> Changes:
    """Another secret for a key; the one in force until now lives on for `grace_s` seconds, and every older one ends."""
    raise NotImplementedError


def key_revoked(estate: Estate, name: str, now: int) -> Changes:
    """End a key for good: its secrets are gone, its record stays."""
    raise NotImplementedError

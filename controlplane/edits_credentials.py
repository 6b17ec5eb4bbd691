"""Credentials, one by one: set, rotated, drained. A secret is sealed on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.estate import Changes, Estate
from controlplane.vault import Vault
from custody.secret import Secret


def credential_set(
    estate: Estate, name: str, fields: Mapping[str, Any], secret: Secret, vault: Vault, now: int, actor: str
) -> Changes:
    """Make a credential, or make it anew. `fields`: provider, project, draining. An unchanged secret keeps its version."""
    raise NotImplementedError


def credential_rotated(estate: Estate, name: str, secret: Secret, vault: Vault, now: int) -> Changes:
    """Another secret for a credential: its next version."""
    raise NotImplementedError


def credential_patched(estate: Estate, name: str, fields: Mapping[str, Any], now: int) -> Changes:
    """Change `project` or `draining`."""
    raise NotImplementedError

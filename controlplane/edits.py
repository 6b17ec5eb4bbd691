"""Single changes of what is governed: pure functions from the estate to its Changes.

They refuse what a declarative file would refuse, by the same checks (declared_checks.py). Keys and credentials, which
carry secrets, have files of their own: edits_keys.py, edits_credentials.py. Every edit raises Problems, NotThere or Conflict
(edits_problems.py), and gives empty Changes where nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.estate import Changes, Estate


def put(estate: Estate, kind: str, name: str, fields: Mapping[str, Any], now: int, actor: str) -> Changes:
    """Make a provider, model, environment, team or profile, or make it anew: a field that is not given stands at its default.

    `fields` are the record's (contracts/snapshot.py) but for its name; a model's `upstream` is called `model`, and its `price` is a
    mapping of Decimals (declared_prices.py).
    """
    raise NotImplementedError


def patch(estate: Estate, kind: str, name: str, fields: Mapping[str, Any], now: int, actor: str) -> Changes:
    """Change the fields that are given, and no others. For a key: edits_keys.key_patched; for a credential: credential_patched."""
    raise NotImplementedError


def remove(estate: Estate, kind: str, name: str, *, cascade: bool, now: int) -> Changes:
    """Remove a record of any kind; a key only once it is revoked. What still needs it is a Conflict (in_use), or with `cascade` goes too.

    A key that names one model or provider among others loses that name only.
    """
    raise NotImplementedError


def project_put(estate: Estate, team: str, project: str, *, disabled: bool, now: int, actor: str) -> Changes:
    """Make a team's project, or disable or enable it."""
    raise NotImplementedError


def project_removed(estate: Estate, team: str, project: str, *, cascade: bool, now: int) -> Changes:
    """Remove a team's project; its keys and credentials as with `remove`."""
    raise NotImplementedError

"""Credentials, one by one: set, rotated, drained. A secret is sealed on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.snapshot import CredentialRecord, Record
from controlplane.estate import Changes, Estate
from controlplane.estate.edits import given, kept, present
from controlplane.estate.edits_problems import NotThere, Problems
from controlplane.estate.plan import sealed
from controlplane.vault import Vault
from custody.secret import Secret


def credential_set(estate: Estate, name: str, fields: Mapping[str, Any], secret: Secret, vault: Vault, now: int, actor: str) -> Changes:
    """Make a credential, or make it anew. `fields`: provider, project, draining. An unchanged secret keeps its version."""
    there = estate.of("credential").get(name)
    wanted = _credential(given("credential", name, fields))
    before = _credential(there.record) if there else None
    return kept(estate, "credential", sealed(wanted, before, secret, vault), there, now, actor)


def credential_rotated(estate: Estate, name: str, secret: Secret, vault: Vault, now: int) -> Changes:
    """Another secret for a credential: its next version. The same secret again changes nothing."""
    there = present(estate, "credential", name)
    record = _credential(there.record)
    return kept(estate, "credential", sealed(record, record, secret, vault), there, now, "")


def credential_patched(estate: Estate, name: str, fields: Mapping[str, Any], now: int) -> Changes:
    """Change `project` or `draining`. Another provider needs the secret again: credential_set."""
    there = present(estate, "credential", name)
    record = _credential(given("credential", name, fields, there.record))
    if record.provider != _credential(there.record).provider:
        raise Problems(
            [("provider", "can't change without the secret, which must not get where it was not meant to; set the credential anew")]
        )
    return kept(estate, "credential", record, there, now, "")


def _credential(record: Record) -> CredentialRecord:
    if not isinstance(record, CredentialRecord):
        raise NotThere("credential", record.name)
    return record

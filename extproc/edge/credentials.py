"""Opens what a snapshot holds sealed: credentials when an exchange needs one, peppers when a snapshot is taken."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

from contracts.errors import GateUnavailable, Unusable
from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, Snapshot
from custody import store
from custody.envelope import Label
from custody.keyring import Keyring, core_of, term_of
from custody.secret import Secret
from extproc.edge.kek import kek_of

log = logging.getLogger("extproc.credentials")

UNUSABLE_CREDENTIAL: Final = "The gate can't use its own credential for this model. Tell whoever runs it."

_Record = tuple[Label, bytes]
"""A record and what stays of its sealed text whichever term it is under."""


class Credentials:
    """An opened secret is kept, as a Secret, while its record is in the newest snapshot, under whichever term.

    So an exchange that began before a rotation finds its credential though the old term is gone. A record that stands under another's
    name or version is not taken for the one that was opened.

    The vault's keys are read at the first need, and once more (for each snapshot) where a record comes under a term that is not among
    them: a rotation makes a term while planes run.
    """

    def __init__(self, settings: Settings) -> None:
        self._kek = kek_of(settings)
        self._keyring: Keyring | None = None
        self._missing: set[int] = set()
        self._opened: dict[_Record, Secret] = {}
        self._newest: dict[_Record, str] = {}

    def open(self, snapshot: Snapshot, name: str) -> Secret:
        """A provider's secret; empty where the model names no credential. Raises GateUnavailable where it can't be opened."""
        if not name:
            return Secret(b"")
        record = snapshot.credentials.get(name)
        if record is None:
            raise GateUnavailable(UNUSABLE_CREDENTIAL)
        label, same = _same(record)
        known = self._opened.get((label, same))
        if known is not None:
            return known
        try:
            secret = self.unsealed(label, self._newest.get((label, same), record.sealed))
        except Unusable as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all, and a trace could say more than it should
            raise GateUnavailable(UNUSABLE_CREDENTIAL) from None
        self._opened[label, same] = secret
        return secret

    def take(self, snapshot: Snapshot) -> dict[int, Secret]:
        """Go by this snapshot from now on, and forget what it no longer holds; the peppers of its keys' hashes. Raises Unusable."""
        self._missing.clear()
        peppers = {version: self.unsealed(store.pepper(version), sealed) for version, sealed in snapshot.peppers.items()}
        self._newest = {_same(record): record.sealed for record in snapshot.credentials.values()}
        self._opened = {record: secret for record, secret in self._opened.items() if record in self._newest}
        return peppers

    def keyring(self) -> Keyring:
        """The vault's keys as this plane knows them by now. Raises Unusable."""
        if self._keyring is None:
            self._keyring = self._kek.read()
        return self._keyring

    def unsealed(self, label: Label, sealed: str) -> Secret:
        """Any sealed record. Raises Unusable, naming it."""
        term = term_of(sealed)
        if term and term not in self.keyring().terms and term not in self._missing:
            self._missing.add(term)
            self._keyring = self._kek.read()
        return self.keyring().open(label, sealed)


@lru_cache(maxsize=4096)
def _same(record: CredentialRecord) -> _Record:
    """Asked of every record with every snapshot, and of one with every request."""
    return store.credential(record.name, record.version), core_of(record.sealed)

"""Opens what a snapshot holds sealed: credentials when an exchange needs one, peppers when a snapshot is taken."""

from __future__ import annotations

import logging
from typing import Final

from contracts.errors import GateUnavailable, Unusable
from contracts.settings import Settings
from contracts.snapshot import Snapshot
from custody import store
from custody.envelope import Label
from custody.keyring import Keyring, term_of
from custody.secret import Secret
from extproc.edge.kek import kek_of

log = logging.getLogger("extproc.credentials")

UNUSABLE_CREDENTIAL: Final = "The gate can't use its own credential for this model. Tell whoever runs it."


class Credentials:
    """An opened secret is kept, as a Secret, while its record is in the newest snapshot.

    The vault's keys are read at the first need, and once more (for each snapshot) where a record comes under a term that is not among
    them: a rotation makes a term while planes run.
    """

    def __init__(self, settings: Settings) -> None:
        self._kek = kek_of(settings)
        self._keyring: Keyring | None = None
        self._missing: set[int] = set()
        self._opened: dict[str, Secret] = {}

    def open(self, snapshot: Snapshot, name: str) -> Secret:
        """A provider's secret; empty where the model names no credential. Raises GateUnavailable where it can't be opened."""
        if not name:
            return Secret(b"")
        record = snapshot.credentials.get(name)
        if record is None:
            raise GateUnavailable(UNUSABLE_CREDENTIAL)
        known = self._opened.get(record.sealed)
        if known is not None:
            return known
        try:
            secret = self.unsealed(store.credential(record.name, record.version), record.sealed)
        except Unusable as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all, and a trace could say more than it should
            raise GateUnavailable(UNUSABLE_CREDENTIAL) from None
        self._opened[record.sealed] = secret
        return secret

    def peppers(self, snapshot: Snapshot) -> dict[int, Secret]:
        """The peppers of the keys' hashes. Called as a snapshot is taken: forgets what it no longer holds. Raises Unusable."""
        self._missing.clear()
        peppers = {version: self.unsealed(store.pepper(version), sealed) for version, sealed in snapshot.peppers.items()}
        held = {record.sealed for record in snapshot.credentials.values()}
        self._opened = {sealed: secret for sealed, secret in self._opened.items() if sealed in held}
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

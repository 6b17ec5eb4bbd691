"""The control plane's hold on the vault: opened at start, it seals and issues; it never shows a credential again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import KeyRecord
from controlplane.estate import Estate
from custody import store, virtual_key
from custody.envelope import REWRAP_DICE, SEAL_DICE, Label
from custody.keyring import Keyring
from custody.secret import Secret
from extproc.edge import snapshot_copy
from extproc.edge.kek import Kek, KekFile, fresh_key, kek_of

PEPPER_BYTES: Final = 32


@dataclass(slots=True)
class Vault:
    """Seals with fresh dice, and issues virtual keys. `keyring` is exchanged whole by a rotation."""

    kek: Kek
    keyring: Keyring = field(repr=False)

    def seal(self, label: Label, secret: Secret) -> str:
        """Seal a secret under the newest key term."""
        return self.keyring.seal(label, secret, os.urandom(SEAL_DICE))

    def open(self, label: Label, sealed: str) -> Secret:
        """Unseal. Raises Unusable, naming the record and what to do."""
        return self.keyring.open(label, sealed)

    def holds(self, label: Label, sealed: str, secret: Secret) -> bool:
        """Whether the sealed record holds just this secret."""
        return self.keyring.holds(label, sealed, secret)

    def rewrap(self, label: Label, sealed: str) -> str:
        """The same record under the newest key term."""
        return self.keyring.rewrap(label, sealed, os.urandom(REWRAP_DICE))

    def issue(self, peppers: Mapping[int, str]) -> virtual_key.Issued:
        """Issue a virtual key, hashed under the newest of these sealed peppers."""
        return virtual_key.issue(self._newest(peppers), os.urandom(virtual_key.ENTROPY_BYTES))

    def reissue(self, peppers: Mapping[int, str], public_id: str) -> virtual_key.Issued:
        """Issue another secret for a key; `virtual_key.rotated` says what becomes of the one before."""
        return virtual_key.issue(self._newest(peppers), os.urandom(virtual_key.ENTROPY_BYTES), public_id)

    def first_pepper(self) -> dict[int, str]:
        """The sealed peppers of an estate that has none yet."""
        return self.another_pepper({})

    def another_pepper(self, peppers: Mapping[int, str]) -> dict[int, str]:
        """These sealed peppers and a fresh one, the newest."""
        version = max(peppers, default=0) + 1
        return {**peppers, version: self.seal(store.pepper(version), Secret(os.urandom(PEPPER_BYTES)))}

    def add_term(self) -> None:
        """Give the file of keys a new term and use it. Raises Unusable where the keys come from a variable: who set it has to add one."""
        if not isinstance(self.kek, KekFile):
            raise Unusable(
                f"the vault's keys come from {self.kek}, which only you can change: add the line '{self.keyring.newest + 1} ' and what"
                " `openssl rand -base64 32` prints, keep the lines that are there, start every part anew, and rotate again"
            )
        self.use(self.keyring.add(fresh_key()))

    def use(self, keyring: Keyring) -> None:
        """Write these keys into the file and use them. Raises Unusable."""
        if isinstance(self.kek, KekFile):
            self.keyring = self.kek.replace(keyring)

    def forget_old_terms(self) -> bool:
        """Take every term but the newest out of the file of keys; False where only whoever set the variable can."""
        if not isinstance(self.kek, KekFile):
            return False
        self.use(self.keyring.only_newest())
        return True

    def _newest(self, peppers: Mapping[int, str]) -> dict[int, Secret]:
        version = max(peppers)
        return {version: self.open(store.pepper(version), peppers[version])}


def open_vault(settings: Settings, estate: Estate) -> Vault:
    """Open the vault, with a trial of its keys. A file of keys is made only where nothing is sealed yet: a lost one can't be made again.

    Raises Unusable: the place, and what to do.
    """
    _whole(settings, estate)
    kek = kek_of(settings)
    if isinstance(kek, KekFile):
        kek.tidy()
        if not kek.exists():
            if estate.peppers or estate.of("credential"):
                raise Unusable(f"{kek}: is gone, and the state holds records sealed under it; restore the file from your backup")
            return Vault(kek, kek.make())
    vault = Vault(kek, kek.read())
    for version, sealed in estate.peppers.items():
        vault.open(store.pepper(version), sealed)
    return vault


def _whole(settings: Settings, estate: Estate) -> None:
    """Raises Unusable where a state has lost what was in it: a fresh pepper would make every key worthless, an empty estate every copy."""
    if estate.peppers:
        return
    if any(isinstance(kept.record, KeyRecord) and kept.record.secrets for kept in estate.of("key").values()):
        raise Unusable("the state holds keys and no pepper, so part of it is lost; restore it from your backup")
    copies = [copy for plane in settings.planes if (copy := settings.copy_of(plane) / snapshot_copy.NAME).exists()]
    if copies:
        raise Unusable(
            f"the state is empty, and {copies[0]} is of one that was not; restore the state from your backup, "
            f"or, to begin anew, remove the folder {copies[0].parent.parent}"
        )

"""The control plane's hold on the vault: opened at start, it seals and issues; it never shows a credential again."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from contracts.errors import Unusable
from custody import store, virtual_key
from custody.keyring import NONCE_BYTES, Keyring, Label
from custody.secret import Secret
from extproc.edge.vault_file import kek_file, make_keys, open_keys

PEPPER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals with fresh nonces, and issues virtual keys."""

    keyring: Keyring = field(repr=False)

    def seal(self, label: Label, secret: Secret) -> str:
        """Seal a secret under the newest key term."""
        return self.keyring.seal(label, secret, os.urandom(NONCE_BYTES))

    def new_pepper(self) -> str:
        """A sealed pepper, for a state that has none."""
        return self.seal(store.PEPPER, Secret(os.urandom(PEPPER_BYTES)))

    def issue(self, sealed_pepper: str) -> virtual_key.Issued:
        """Issue a virtual key."""
        return virtual_key.issue(self.keyring.open(store.PEPPER, sealed_pepper), os.urandom(virtual_key.ENTROPY_BYTES))


def open_vault(data: Path, sealed_pepper: str) -> Vault:
    """Open the vault. Its key file is made only where nothing is sealed yet: a lost one can't be made again."""
    file = kek_file(data)
    if sealed_pepper:
        if not file.exists():
            raise Unusable(f"{file}: is gone, and the state holds records sealed under it; restore the file from your backup")
        vault = Vault(open_keys(file))
        vault.keyring.open(store.PEPPER, sealed_pepper)
        return vault
    return Vault(open_keys(file) if file.exists() else make_keys(file))

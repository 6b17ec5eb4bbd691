"""Where key-encrypting keys come from: `vault: file` or `vault: env:NAME`. Both hold the same text (custody/store.py).

    read() -> Keyring           Unusable, naming the place and what to do
    exists() -> bool

Only the file can be made and replaced by the product itself; a variable is set by whoever starts it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from contracts.errors import Unusable
from contracts.settings import Settings
from custody import store
from custody.envelope import KEY_BYTES, SEAL_DICE
from custody.keyring import Keyring
from custody.secret import Secret
from extproc.edge.private_files import leftover, only_owners, private_file, private_folder, replace_file

ENV: Final = "env:"


@dataclass(frozen=True, slots=True)
class KekFile:
    """A private file, made on the first start."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.exists()

    def read(self) -> Keyring:
        """Its keys, tried on a record."""
        try:
            only_owners(self.path.parent, "700")
            keyring = store.read_terms(private_file(self.path).read_bytes())
        except OSError as error:
            raise Unusable(f"{self}: the vault's keys can't be read: {error.strerror}") from None
        if keyring is None:
            raise Unusable(f"{self}: is not a file of vault keys; restore it from your backup")
        return tried(keyring, str(self))

    def make(self) -> Keyring:
        """Make the file with a first term, never over another one."""
        private_folder(self.path.parent)
        try:
            replace_file(self.path, store.written(Keyring({1: fresh_key()})), fresh=True)
        except FileExistsError:
            raise Unusable(f"{self}: is there already; it is never overwritten") from None
        except OSError as error:
            raise Unusable(f"{self}: can't be made: {error.strerror}") from None
        return self.read()

    def replace(self, keyring: Keyring) -> Keyring:
        """Write other terms into it; what is read back."""
        try:
            replace_file(self.path, store.written(keyring))
        except OSError as error:
            raise Unusable(f"{self}: can't be written: {error.strerror}; the keys are as they were") from None
        return self.read()

    def tidy(self) -> None:
        """Remove what a crash left of a file that was being written: there are keys in it."""
        leftover(self.path).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class KekVariable:
    """An environment variable, set by whoever starts the processes."""

    name: str
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def __str__(self) -> str:
        return f"the environment variable {self.name}"

    def exists(self) -> bool:
        """Whether it is set."""
        return self.name in self.environ

    def read(self) -> Keyring:
        """Its keys, tried on a record."""
        if not self.exists():
            raise Unusable(f"vault: {self} is not set; set it to '1 ' and what `openssl rand -base64 32` prints, and keep a copy")
        keyring = store.read_terms(self.environ[self.name].encode("utf-8", "replace"))
        if keyring is None:
            raise Unusable(f"vault: {self} holds no vault keys; each line must be a number, a blank and the base64 of 32 bytes")
        return tried(keyring, str(self))


Kek = KekFile | KekVariable


def kek_of(settings: Settings) -> Kek:
    """Where this system's keys come from."""
    if settings.vault.startswith(ENV):
        return KekVariable(settings.vault.removeprefix(ENV))
    return KekFile(settings.data / "vault" / "kek")


def fresh_key() -> Secret:
    """A key for a new term."""
    return Secret(os.urandom(KEY_BYTES))


def tried(keyring: Keyring, place: str) -> Keyring:
    """The keyring, once its newest key has sealed a record and opened it again."""
    if not store.works(keyring, os.urandom(SEAL_DICE)):
        raise Unusable(f"{place}: a trial record did not come back as it was sealed; this machine's cryptography is broken")
    return keyring

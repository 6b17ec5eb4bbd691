"""A state with something sealed of every kind, and a rotation of the vault's keys over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from contracts.settings import Settings
from contracts.snapshot import CredentialRecord
from controlplane.actor import Actor, admin
from controlplane.estate import Change, Changes, Estate, Kept
from controlplane.state import State
from controlplane.state.values import Authority, KeptAnswer, Plane
from controlplane.vault import Vault, open_vault
from controlplane.vault.beside import KeptBeside
from controlplane.vault.rotation import Rotation
from controlplane.vault.terms import sealed_in, settled
from custody import store
from custody.reveal import REVEAL
from custody.secret import Secret

CREDENTIALS = 230
ACTOR = admin("")
NOW = int(time.time())


def secret_of(number: int) -> bytes:
    """A planted secret."""
    return b"sk-planted-%05d" % number


class Governed:
    """The way of every change, without planes."""

    def __init__(self, state: State, vault: Vault) -> None:
        self.state, self.vault = state, vault
        self.estate = state.load()
        self.changes = 0

    async def change(self, actor: Actor, verb: str, edit: Callable[[Estate], Changes]) -> Any:  # noqa: ARG002 - a Governed has them
        """Commit what the edit gives."""
        changes = settled(self.vault, self.estate, edit(self.estate))
        if changes:
            self.state.commit(self.estate, changes, ())
            self.estate = self.estate.after(changes)
            self.changes += 1


def credential(vault: Vault, number: int, version: int = 1) -> Change:
    """A new credential."""
    name = f"c{number}"
    sealed = vault.seal(store.credential(name, version), Secret(secret_of(number)))
    return Change("credential", name, None, Kept(CredentialRecord(name, "local", sealed, version), version=4))


def filled(settings: Settings, credentials: int = CREDENTIALS) -> tuple[State, Vault]:
    """A state with a pepper, credentials, and something of each kind that is kept beside the estate."""
    state = State.open(settings)
    vault = open_vault(settings, state.load())
    changes = Changes([credential(vault, number) for number in range(credentials)], peppers=vault.first_pepper())
    answers = [
        KeptAnswer(f"call-{number}", "digest", vault.seal(store.answer(f"call-{number}"), Secret(b"answer")), NOW) for number in (1, 2)
    ]
    state.commit(Estate(), changes, (), answers[0])
    state.commit(state.load(), Changes(organisation="acme"), (), answers[1])
    state.put_plane(Plane("edge", sealed=vault.seal(store.plane("edge"), Secret(b"plane")), enrolled=1), ())
    state.put_plane(Plane("new"), ())
    state.keep_authority(Authority("PEM", vault.seal(store.authority(), Secret(b"authority"))))
    return state, vault


def rotation(state: State, vault: Vault, behind: Callable[[], Sequence[str]] = list, patience_s: float = 0.0) -> Rotation:
    """A rotation without planes."""
    return Rotation(vault, Governed(state, vault), KeptBeside(state), behind, patience_s)


def opened(settings: Settings) -> dict[str, bytes]:
    """Everything sealed, opened by a control that has just started."""
    state = State.open(settings)
    vault = open_vault(settings, state.load())
    records = [*sealed_in(state.load()), *KeptBeside(state).sealed()]
    state.close()
    return {str(record.label): vault.open(record.label, record.text).reveal(REVEAL) for record in records}

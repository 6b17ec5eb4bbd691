"""Control with a listener for planes on other machines, and two projects, each with a credential that only it may use."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.events import AdminEvent
from contracts.settings import Settings
from contracts.snapshot import CredentialRecord, ModelRecord
from controlplane.planes import Planes
from controlplane.state import State
from controlplane.vault import open_vault
from custody import store
from custody.envelope import SEAL_DICE
from custody.secret import Secret
from tests.contract.control_parts import free_port
from tests.contract.planes_parts import Control, control, estate_of, key, keyring_of, put

OTHERS = "sk-of-another-project"


@dataclass
class Elsewhere:
    """Control with a listener for planes on other machines."""

    told: Control
    planes: Planes
    state: State
    address: str
    folder: Path
    events: list[str]

    async def token(self, name: str = "far", projects: tuple[str, ...] = ("search/ranking",)) -> Path:
        """A token's file, as whoever runs the other machine has it."""
        file = self.folder / f"{name}.token"
        file.write_text(await self.planes.add(name, projects, "admin") + "\n")
        file.chmod(0o600)
        return file

    def machine(self, name: str = "far") -> Settings:
        """Another machine's data folder."""
        return Settings(data=self.folder / f"machine-{name}")


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Elsewhere]:
    """Control, until the block ends."""
    data = folder / "control"
    estate = estate_of(data, [key(1), key(2, "suggest", models=("other",))])
    sealed = keyring_of(data).seal(store.credential("theirs", 1), Secret(OTHERS.encode()), os.urandom(SEAL_DICE))
    theirs = [CredentialRecord("theirs", "local", sealed, 1, "search/suggest"), ModelRecord("other", "local", "theirs", "x")]
    estate = estate.after(put(estate, *theirs))
    settings, events = Settings(data=data), []

    def noted(verb: str, name: str) -> list[AdminEvent]:
        events.append(f"{verb} {name}")
        return []

    state = State.open(settings)
    async with control(data, estate) as told:
        planes = Planes(state, open_vault(settings, estate), told.publisher, noted)
        address = f"127.0.0.1:{free_port()}"
        await planes.listen(address)
        yield Elsewhere(told, planes, state, address, folder, events)
        await planes.close()
        await told.publisher.close()
    state.close()

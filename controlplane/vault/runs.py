"""The vault's work in a running control: what a rotation needs of governance and state, and what planes report of hashes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from contracts.errors import Unusable
from contracts.snapshot import KeyRecord
from controlplane.governance import Governance, system
from controlplane.state import State
from controlplane.vault import peppers as vault_peppers
from controlplane.vault.rotate import Rotation
from controlplane.vault.rotation import Moved, Sealed
from custody import store

log = logging.getLogger("control.vault")

MOST_REPORTS: Final = 2


class KeptBeside:
    """Sealed records that the state keeps beside the estate."""

    def __init__(self, state: State) -> None:
        self._state = state

    def sealed(self) -> list[Sealed]:
        """Planes' keys, the key that signs their certificates, answers of idempotent calls."""
        authority = self._state.authority()
        found = [Sealed(store.authority(), authority.sealed)] if authority else []
        found += [Sealed(store.plane(plane.name), plane.sealed) for plane in self._state.planes().values() if plane.sealed]
        return [*found, *(Sealed(store.answer(answer.key), answer.sealed) for answer in self._state.answers())]

    def move(self, moved: Sequence[Moved]) -> None:
        """Put each under its new seal, unless it has another one meanwhile."""
        self._state.reseal({move.old: move.new for move in moved})

    def forget(self) -> None:
        """Let the old seals leave the disk."""
        self._state.forget()


def rotation_of(governance: Governance) -> Rotation:
    """The rotations of this control; there is one such object in a process."""

    def behind() -> list[str]:
        there = governance.publisher.revision
        return [report.plane for report in governance.publisher.planes() if report.revision != there or report.problem]

    return Rotation(governance.vault, governance, KeptBeside(governance.state), behind)


class Rehashes:
    """Takes over what planes report of keys that they hashed under a newer pepper."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance
        self._under_way: set[asyncio.Task[None]] = set()

    def hear(self, reports: Mapping[str, Any], may: Callable[[KeyRecord], bool]) -> None:
        """A plane's report; it is taken over soon, and a lost one comes again when the key is next used.

        One that comes while MOST_REPORTS wait is lost: changes are made in turn, and planes must not keep an administrator's waiting.
        """
        if len(self._under_way) >= MOST_REPORTS:
            return
        task = asyncio.ensure_future(self._take(reports, may))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way)

    async def _take(self, reports: Mapping[str, Any], may: Callable[[KeyRecord], bool]) -> None:
        now = int(time.time())
        try:
            await self._governance.change(system(), "key.rehash", lambda estate: vault_peppers.moved(estate, reports, now, may))
        except Unusable as error:
            log.warning("hashes under the new pepper were not kept: %s", error)

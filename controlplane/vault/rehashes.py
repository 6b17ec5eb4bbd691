"""What planes report of keys that they hashed under a newer pepper, taken over in a running control."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.errors import Unusable
from contracts.snapshot import KeyRecord
from controlplane.governance import Governance, system
from controlplane.vault import peppers as vault_peppers

log = logging.getLogger("control.vault")

MOST_REPORTS: Final = 2


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

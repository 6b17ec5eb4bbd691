"""Whether the running Envoy has taken the files that were written for it, as its admin interface tells."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from controlplane.planes.snapshots import PATIENCE_S, PlaneReport
from controlplane.supervisor.probe import ask

_VERSIONS: Final = re.compile(rb'^(?:cluster_manager\.cds|http\.[^.]+\.rds\.[^.]+)\.version_text: "([^"]*)"', re.MULTILINE)
"""Envoy's text readouts of the version_info of the last clusters and routes that it accepted."""
_LOOK_EVERY_S: Final = 0.02


async def taken(admin: Path, revision: str, patience: float = PATIENCE_S) -> PlaneReport | None:
    """Wait until Envoy goes by `revision`, at most `patience` seconds. None where no Envoy runs here."""
    found: set[str] = set()
    try:
        async with asyncio.timeout(patience):
            while True:
                status, body = await ask(admin, "GET", "/stats?filter=version_text")
                if not status:
                    return None
                found = {version.decode() for version in _VERSIONS.findall(body)}
                if found == {revision}:
                    return PlaneReport("envoy", revision)
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        in_force = min(found, default="")
        return PlaneReport("envoy", in_force, f"has not taken the new providers within {patience:g} s and goes on with those of before")

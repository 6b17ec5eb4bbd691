"""Envoy's files as the estate has them, and whether Envoy goes by them.

A provider that comes is known to Envoy before any plane sends it traffic; one that goes, only until no plane does any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contracts.settings import Settings
from contracts.snapshot import ProviderRecord, Snapshot
from controlplane.envoy import config as envoy_config
from controlplane.envoy import watch as gateway_watch
from controlplane.envoy.routes import Door
from controlplane.estate import Estate
from controlplane.planes.snapshots import PlaneReport
from extproc.core import dialects

_VERSION: Final = re.compile(r"^version_info: [\"']?([^\s\"']+)", re.MULTILINE)


DOORS: Final = tuple(
    Door(route.name, route.dialect.name, route.method, route.path, route.upstream_path, route.query) for route in dialects.ROUTES
)


def providers_of(estate: Estate) -> dict[str, ProviderRecord]:
    """The providers by name."""
    return {provider.name: provider for provider in estate.each(ProviderRecord)}


class Gateway:
    """The files, and the version that they have."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.run / "envoy"
        self._admin = settings.run / "envoy-admin.sock"
        self.version = ""

    def restore(self, estate: Estate) -> None:
        """Write the files as the state has them; those in place that say the same are left alone. Raises Unusable, OSError."""
        placed = _version_in(self._folder / envoy_config.CLUSTERS)
        if placed and all(self._same(name, text) for name, text in self._rendered(placed, providers_of(estate)).items()):
            self.version = placed
        else:
            self.put(str(estate.revision), providers_of(estate))

    def render(self, version: str, providers: Mapping[str, ProviderRecord]) -> None:
        """See whether these providers can be written at all. Raises Unusable, naming provider and field."""
        self._rendered(version, providers)

    def put(self, version: str, providers: Mapping[str, ProviderRecord]) -> None:
        """Write the files. Raises OSError where the disk does not take them."""
        envoy_config.write(self._folder, self._rendered(version, providers))
        self.version = version

    async def taken(self) -> PlaneReport | None:
        """Wait until Envoy goes by the files; None where no Envoy runs beside us."""
        return await gateway_watch.taken(self._admin, self.version)

    def _rendered(self, version: str, providers: Mapping[str, ProviderRecord]) -> dict[str, str]:
        return envoy_config.render(self._settings, Snapshot(version, providers=providers), DOORS)

    def _same(self, name: str, text: str) -> bool:
        try:
            return (self._folder / name).read_text() == text
        except (OSError, UnicodeDecodeError):
            return False


def _version_in(file: Path) -> str:
    try:
        found = _VERSION.search(file.read_text())
    except (OSError, UnicodeDecodeError):
        return ""
    return found[1] if found else ""

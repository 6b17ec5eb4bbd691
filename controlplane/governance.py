"""Making a declarative file so: plan, state, Envoy's files, planes; in an order in which no step can mislead the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from contracts.errors import Unusable
from contracts.settings import Settings
from contracts.snapshot import Snapshot
from controlplane import declared_values as values
from controlplane import envoy_config, gateway_watch
from controlplane.declarative import declared
from controlplane.plan import Plan, plan
from controlplane.snapshots import PlaneReport, Publisher
from controlplane.state import Estate, State
from controlplane.vault import Vault, open_vault
from custody.secret import Secret
from extproc.core import dialects


@dataclass(frozen=True, slots=True)
class Door:
    """A declared route as Envoy's configuration needs it. No `upstream_path`: it leads to no provider."""

    name: str
    dialect: str
    method: str
    path: str
    upstream_path: str
    query: str = ""


DOORS: Final = tuple(
    Door(route.name, route.dialect.name, route.method, route.path, route.upstream_path, route.query) for route in dialects.ROUTES
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did, or would do."""

    plan: Plan
    planes: tuple[PlaneReport, ...]
    dry_run: bool

    def document(self) -> dict[str, Any]:
        """The JSON answer. `keys` holds the secrets of new keys, and only ever here."""
        return {
            "revision": self.plan.new.snapshot.revision,
            "dry_run": self.dry_run,
            "changes": [{**asdict(change), "fields": list(change.fields)} for change in self.plan.changes],
            "notes": list(self.plan.notes),
            "planes": [report.document() for report in self.planes],
            "keys": {} if self.dry_run else dict(self.plan.issued),
        }


class Governance:
    """The estate in force, and the one way to change it."""

    def __init__(self, settings: Settings, state: State, vault: Vault, estate: Estate) -> None:
        self.settings, self._state, self._vault, self.estate = settings, state, vault, estate
        self.publisher = Publisher(estate.snapshot)
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def start(cls, settings: Settings, state: State) -> Governance:
        """Open the vault, make the pepper on the first start, and write Envoy's files."""
        estate = state.load()
        vault = open_vault(settings.data, estate.snapshot.pepper)
        if not estate.snapshot.pepper:
            estate = _with_pepper(state, estate, vault.new_pepper())
        governance = cls(settings, state, vault, estate)
        governance._write_envoy(governance._render(estate.snapshot))
        return governance

    async def apply(self, text: str, file: str, secrets: Mapping[str, str], *, dry_run: bool) -> Applied:
        """Make the file so. Raises Unusable, with every problem a line; then nothing was changed."""
        async with self._one_at_a_time:
            step, files = await asyncio.to_thread(self._planned, text, file, secrets)
            if dry_run:
                return Applied(step, (), dry_run=True)
            if step.changes:
                self._state.replace(step.old, step.new)
                self.estate = step.new
            # Also where nothing changed: an apply that was cut short before this line is made whole by the next.
            self._write_envoy(files)
            return Applied(step, await self._told(step.new.snapshot), dry_run=False)

    async def _told(self, snapshot: Snapshot) -> tuple[PlaneReport, ...]:
        """Every plane, and Envoy where it runs beside us, has answered, or is named as late."""
        planes, envoy = await asyncio.gather(
            self.publisher.publish(snapshot), gateway_watch.taken(self.settings.run / "envoy-admin.sock", snapshot.revision)
        )
        return (*planes, envoy) if envoy else tuple(planes)

    def _planned(self, text: str, file: str, secrets: Mapping[str, str]) -> tuple[Plan, dict[str, str]]:
        step = plan(self.estate, declared(text, file), _wrapped(secrets), self._vault)
        return step, self._render(step.new.snapshot)

    def _render(self, snapshot: Snapshot) -> dict[str, str]:
        return envoy_config.render(self.settings, snapshot, DOORS)

    def _write_envoy(self, files: Mapping[str, str]) -> None:
        try:
            envoy_config.write(self.settings.run / "envoy", files)
        except OSError as error:
            raise Unusable(f"{self.settings.run / 'envoy'}: can't be written: {error.strerror}; apply again when it can") from None


def _with_pepper(state: State, old: Estate, pepper: str) -> Estate:
    new = replace(old, snapshot=replace(old.snapshot, pepper=pepper))
    state.replace(old, new)
    return new


def _wrapped(secrets: Mapping[str, str]) -> dict[str, Secret]:
    """The secrets that came with the file; a complaint names the credential and shows nothing of it."""
    found, problems = {}, []
    for name, text in secrets.items():
        try:
            found[name] = Secret(values.secret_text(text).encode())
        except ValueError as error:
            problems.append(f"credentials.{name}.secret: {error}")
    if problems:
        raise Unusable("\n".join(problems))
    return found

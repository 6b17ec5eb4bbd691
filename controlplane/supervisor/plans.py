"""The parts of the system: how each is started, when it is ready, how it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts.settings import Settings
from controlplane.admin_token import token_file
from controlplane.envoy.listener import STAT_PREFIX
from controlplane.envoy.program import command
from controlplane.supervisor.part import Plan
from controlplane.supervisor.probe import accepts, answers, ask, ask_json, place_of
from extproc.edge.kek import ENV

_DRAIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.05
_ACTIVE: Final = f"http.{STAT_PREFIX}.downstream_rq_active"


def control(settings: Settings, config: Path | None) -> Plan:
    """The control process; ready when its API answers, and with it Envoy's files are in place."""
    place = place_of(settings.control.listen)
    return Plan(
        name="control",
        command=_python("controlplane.server", settings, config),
        address=f"http://{settings.control.listen}",
        ready=lambda: answers(place, "/readyz"),
    )


def ingest(settings: Settings, config: Path | None) -> Plan:
    """The ingest process; ready when the tables exist. It gets time to bring the last rows home."""
    socket = settings.run / "ingest.sock"
    return Plan(
        name="ingest",
        command=_python("ingest.server", settings, config),
        address=str(socket),
        ready=lambda: answers(socket, "/healthz"),
        start_s=120.0,
        stop_s=20.0,
        withheld=_keys(settings),
    )


def workers(settings: Settings, config: Path | None) -> list[Plan]:
    """The data plane's processes: extproc, extproc-1 and so on."""
    return [_worker(settings, config, number, plane) for number, plane in enumerate(settings.planes)]


def _worker(settings: Settings, config: Path | None, number: int, plane: str) -> Plan:
    """One of them; ready when it accepts Envoy's streams and goes by the snapshot in force."""
    socket = settings.socket_of(number)

    async def ready() -> bool:
        return await accepts(socket) and await _informed(settings, plane)

    command = [*_python("extproc.server", settings, config), "--worker", str(number)]
    return Plan(name=plane if number else "extproc", command=command, address=str(socket), ready=ready, stop_s=15.0)


def envoy(settings: Settings) -> Plan:
    """Envoy; ready when its listener is. It is drained before it is stopped."""
    admin = settings.run / "envoy-admin.sock"
    return Plan(
        name="envoy",
        command=command(settings),
        address=f"http://{settings.gateway.listen}",
        ready=lambda: answers(admin, "/ready"),
        drain=lambda: _drain(admin),
        withheld=_keys(settings),
    )


def _keys(settings: Settings) -> frozenset[str]:
    """The variable that holds the vault's keys, where there is one. Who opens nothing does not get it."""
    return frozenset({settings.vault.removeprefix(ENV)} if settings.vault.startswith(ENV) else ())


def _python(module: str, settings: Settings, config: Path | None) -> Sequence[str]:
    chosen = ["-c", str(config.absolute())] if config else []
    return [sys.executable, "-m", module, "--data", str(settings.data), *chosen]


async def _informed(settings: Settings, plane: str) -> bool:
    """Whether a plane has taken the snapshot in force. Where control is down, the plane's own copy must do."""
    try:
        token = token_file(settings.data).read_text("utf-8").strip()
    except OSError:
        return True
    told = await ask_json(place_of(settings.control.listen), "/api/v1/planes", {"Authorization": f"Bearer {token}"})
    return told is None or any(said["name"] == plane and said["in_force"] for said in told)


async def _drain(admin: Path) -> None:
    """Take no more requests, and let those under way end, for a bounded time."""
    status, _ = await ask(admin, "POST", "/drain_listeners")
    if not status:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while await _active(admin):  # noqa: ASYNC110 - another process's gauge; nothing here could set an event
                await asyncio.sleep(_LOOK_EVERY_S)


async def _active(admin: Path) -> bool:
    _, body = await ask(admin, "GET", f"/stats?filter=^{_ACTIVE}$")
    return body.rpartition(b":")[2].strip() not in {b"", b"0"}

"""What Envoy itself counts, asked on its admin Unix socket.

API: https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin.
"""

from __future__ import annotations

import http.client
import json
import socket as sockets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

STAT_PREFIX: Final = "http.gateway."
"""As controlplane/envoy/listener.py names the listener that apps talk to."""


@dataclass(frozen=True, slots=True)
class EnvoyCount:
    """Since Envoy's start: streams begun, and those of them still under way. `since`: Unix seconds, ± 1."""

    total: int
    active: int
    since: int


async def count(socket: Path) -> EnvoyCount | None:
    """Ask; None where Envoy does not answer within 2 s."""
    try:
        connector = aiohttp.UnixConnector(str(socket))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(2)) as session:
            info = json.loads(await _get(session, "/server_info"))
            stats = json.loads(await _get(session, f"/stats?format=json&filter=^{STAT_PREFIX}downstream_rq_(total|active)$"))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    values = {stat["name"].removeprefix(STAT_PREFIX): int(stat["value"]) for stat in stats.get("stats", []) if "name" in stat}
    uptime = int(str(info.get("uptime_all_epochs", "0s")).rstrip("s") or 0)
    return EnvoyCount(values.get("downstream_rq_total", 0), values.get("downstream_rq_active", 0), int(time.time()) - uptime)


def reopen_logs(socket: Path) -> bool:
    """Ask Envoy to close its log files and open them by their names anew; whether it says it will. Blocks for 2 s at most."""
    connection = _UnixConnection(socket)
    try:
        connection.request("POST", "/reopen_logs", headers={"Host": "envoy", "Content-Length": "0"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=2)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


async def _get(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(f"http://envoy{path}") as answer:
        answer.raise_for_status()
        return await answer.text()

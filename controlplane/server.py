"""`python -m controlplane.server --data DIR [-c FILE]`: the control process.

Envoy's files are in place before the API answers, so whoever waits for /readyz may start Envoy next.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from contracts.errors import PortcullisError, Unusable
from contracts.events import AdminEvent
from contracts.settings import Settings
from controlplane.admin_token import AdminToken, make_token, read_token, token_file
from controlplane.api.app import make_app
from controlplane.api.routes import endpoints
from controlplane.estate.price_list import sellers
from controlplane.governance import Governance, system
from controlplane.governance.events import plane_event
from controlplane.planes import Planes
from controlplane.state import State
from controlplane.state.outbox import Outbox
from controlplane.vault.beside import rotation_of
from controlplane.vault.rehashes import Rehashes
from extproc.config import load, near_misses
from extproc.edge.private_files import private_folder

log = logging.getLogger("control")

_DRAIN_S: Final = 2.0


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    private_folder(settings.data)
    private_folder(settings.run)
    if make_token(settings.data):
        log.info("made an admin token: %s", token_file(settings.data))
    token = AdminToken.of(read_token(token_file(settings.data)))
    await asyncio.to_thread(sellers)  # takes half a second, which no plane and no caller should wait for
    state = await asyncio.to_thread(State.open, settings)
    try:
        await serve(settings, await asyncio.to_thread(Governance.start, settings, state), token, stop)
    finally:
        state.close()


async def serve(settings: Settings, governance: Governance, token: AdminToken, stop: asyncio.Event) -> None:
    """Listen for planes and for administrators until `stop`."""
    rehashes, outbox = Rehashes(governance), Outbox(governance.state, settings.run / "ingest.sock")
    governance.on_rehashed, governance.outbox_woken = rehashes.hear, outbox.wake
    planes = Planes(governance.state, governance.vault, governance.publisher, _by_plane)
    local = await governance.publisher.listen(settings.run / "snapshot.sock")
    delivering = asyncio.ensure_future(outbox.run())
    app = make_app(settings, endpoints(governance, rotation_of(governance), planes), token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_DRAIN_S)
    try:
        if settings.control.planes:
            await planes.listen(settings.control.planes)
        await runner.setup()
        await _listen(runner, settings.control.listen)
        log.info("ready on %s, snapshot %s", settings.control.listen, governance.estate.revision)
        await stop.wait()
    finally:
        await runner.cleanup()
        await governance.close()
        await rehashes.close()
        await planes.close()
        await local.close()
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)


def _by_plane(verb: str, plane: str) -> Sequence[AdminEvent]:
    """The event of what a plane does by itself."""
    return (plane_event(system(), verb, plane, None, {"name": plane}),)


async def _listen(runner: web.AppRunner, listen: str) -> None:
    try:
        await _site(runner, listen).start()
    except OSError as error:
        raise Unusable(f"control.listen: can't listen on {listen}: {error.strerror or error}") from None


def _site(runner: web.AppRunner, listen: str) -> web.TCPSite:
    host, _, port = listen.rpartition(":")
    return web.TCPSite(runner, host.strip("[]"), int(port))


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="control", description="Portcullis control plane: keeps what is governed, and tells the parts.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("-c", "--config", type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # what a start does to the schema is no news, unless it fails
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold secrets
    try:
        for warning in near_misses(os.environ):
            log.warning("%s", warning)
        asyncio.run(run(load(args.config, args.data, os.environ)))
    except PortcullisError as why:
        print(why, file=sys.stderr)  # noqa: T201 - the supervisor shows a part's last line to people
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

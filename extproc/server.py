"""`python -m extproc.server --data DIR [-c FILE]`: one data plane process, joined from core and edge.

Ready means: the socket answers Envoy. Until a first snapshot has come, from control or from the
sealed copy on disk, no key is known and every request is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

from contracts import VERSION
from contracts.errors import PortcullisError
from contracts.settings import Settings
from contracts.snapshot import Snapshot
from extproc.config import load, policy_folder
from extproc.core.world import World
from extproc.edge.driver import Gate
from extproc.edge.grpc_stream import Server, new_loop, serve
from extproc.edge.offload import Offload
from extproc.edge.policy_embedded import EmbeddedPolicy
from extproc.edge.snapshot import Credentials, follow
from extproc.edge.spool import Spool

log = logging.getLogger("extproc")

PLANE: Final = "extproc-0"
DRAIN_S: Final = 10.0
"""How long exchanges under way may go on after SIGTERM."""


class Plane:
    """What new exchanges begin with, exchanged whole when a snapshot comes."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self.limits = settings.limits
        self.credentials = credentials
        self.world = self._world(Snapshot("none"))

    def swap(self, snapshot: Snapshot) -> None:
        """Exchanges that begin from now on see `snapshot`; those under way keep theirs."""
        self.world = self._world(snapshot)

    def _world(self, snapshot: Snapshot) -> World:
        return World(snapshot, self.limits, PLANE, VERSION, self.credentials.peppers(snapshot))


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let what is under way finish."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    policy = EmbeddedPolicy.load_apart(policy_folder(settings.policy), timeout_ms=settings.policy_timeout_ms)
    credentials = Credentials(settings)
    plane = Plane(settings, credentials)
    spool = Spool(settings.spool_dir, settings.spool)
    spool.start()
    copy = settings.data / "planes" / PLANE / "snapshot.json"
    following = asyncio.ensure_future(follow(settings.run / "snapshot.sock", plane.swap, copy))
    await asyncio.sleep(0)  # one step of it: a copy on disk is in force before the first request
    offload = Offload()
    gate = Gate(lambda: plane.world, policy, spool, credentials, offload)
    server = await serve(settings.run / "extproc.sock", gate)
    gc.collect()
    gc.freeze()  # what start-up made lives as long as the process: the collector need not walk it again
    log.info("ready: rules %s, snapshot %s", policy.revision, plane.world.snapshot.revision)
    await stop.wait()
    server.drain()
    await quiet(server, gate)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    await server.close()
    await asyncio.gather(*gate.finishing)
    await offload.close()
    await spool.close()


async def quiet(server: Server, gate: Gate) -> None:
    """Wait until no exchange is under way, at most DRAIN_S."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await server.drained()
            await asyncio.gather(*gate.finishing)


def main() -> int:
    """The process."""
    parser = argparse.ArgumentParser(prog="extproc", description="Portcullis data plane: governs what Envoy shows it.")
    parser.add_argument("--data", type=Path)
    parser.add_argument("-c", "--config", type=Path)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(run(load(args.config, args.data, os.environ)))
    except PortcullisError as why:
        print(why, file=sys.stderr)  # noqa: T201 - the supervisor shows a part's last line to people
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

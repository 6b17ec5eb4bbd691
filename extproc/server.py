"""`python -m extproc.server --data DIR [-c FILE] [--worker N]`: one data plane process, joined from core and edge.

Ready means: the socket answers Envoy. That begins once control has said what is in force, or does not answer: then the sealed copy
on disk is. Until a first snapshot has come, no key is known and every request is refused.

On another machine than control: `--control HOST:PORT --enrol-token-file FILE`, once; after that `--control HOST:PORT` alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts import VERSION
from contracts.errors import PortcullisError
from contracts.settings import Settings, plane_name
from contracts.snapshot import Snapshot
from extproc.config import MOST_WORKERS, address, load, policy_folder
from extproc.core.world import World
from extproc.edge.credentials import Credentials
from extproc.edge.driver import Gate
from extproc.edge.enrolment import Away, enrolled
from extproc.edge.grpc_stream import Server, new_loop, serve
from extproc.edge.kek import kek_of
from extproc.edge.offload import Offload
from extproc.edge.policy_embedded import EmbeddedPolicy
from extproc.edge.snapshot import Follower, on_socket
from extproc.edge.snapshot_copy import Copy
from extproc.edge.spool import Spool

log = logging.getLogger("extproc")

DRAIN_S: Final = 10.0
"""How long exchanges under way may go on after SIGTERM."""
MANY: Final = 1000
"""Keys that a snapshot must have gained for the collector to be told that they stay."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is, and where control is: on this machine, or at a HOST:PORT, with a token for the first time."""

    worker: int = 0
    control: str | None = None
    token: Path | None = None


class Plane:
    """What new exchanges begin with, exchanged whole when a snapshot comes."""

    def __init__(self, name: str, settings: Settings, credentials: Credentials) -> None:
        self.name, self.limits, self.credentials = name, settings.limits, credentials
        self.world = self._world(Snapshot("none"))

    def swap(self, snapshot: Snapshot) -> None:
        """Exchanges that begin from now on see `snapshot`; those under way keep theirs."""
        grown = len(snapshot.keys) - len(self.world.snapshot.keys)
        self.world = self._world(snapshot)
        if grown >= MANY:
            gc.freeze()  # a collection that walked them would hold up requests; without this they are walked once a while

    def _world(self, snapshot: Snapshot) -> World:
        return World(snapshot, self.limits, self.name, VERSION, self.credentials.take(snapshot))


async def run(settings: Settings, place: Place) -> None:
    """Serve until SIGTERM or SIGINT, then let what is under way finish."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    policy = EmbeddedPolicy.load_apart(policy_folder(settings.policy), timeout_ms=settings.policy_timeout_ms)
    local = plane_name(place.worker)
    away = await enrolled(settings, place.control, place.token) if place.control else None
    credentials = Credentials(settings)
    plane = Plane(away.plane if away else local, settings, credentials)
    spool = Spool(settings.spool_of(local), settings.spool, plane=local)
    spool.start()
    follower = _follower(settings, local, away, plane)
    follower.start()  # a copy on disk is in force before the first request
    following = asyncio.ensure_future(follower.run())
    following.add_done_callback(lambda _ended: stop.set())  # who is told nothing any more must not go on with what it was told
    offload = Offload()
    gate = Gate(lambda: plane.world, policy, spool, credentials, offload)
    gate.rehashed = follower.rehashed
    await follower.told()
    server = await serve(settings.socket_of(place.worker), gate)
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


def _follower(settings: Settings, local: str, away: Away | None, plane: Plane) -> Follower:
    connect = away.connect if away else on_socket(settings.run / "snapshot.sock")
    return Follower(plane.name, connect, plane.swap, Copy(settings.copy_of(local), local, kek_of(settings).read))


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
    parser.add_argument("--worker", type=int, default=0, choices=range(MOST_WORKERS), metavar="N", help="which of this machine's, from 0")
    parser.add_argument("--control", type=address, metavar="HOST:PORT", help="control's listener for planes, on another machine")
    parser.add_argument("--enrol-token-file", type=Path, metavar="FILE", help="the one-time token, for the first start with --control")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold secrets
    place = Place(args.worker, args.control, args.enrol_token_file)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(run(load(args.config, args.data, os.environ), place))
    except PortcullisError as why:
        print(why, file=sys.stderr)  # noqa: T201 - the supervisor shows a part's last line to people
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A plane that starts: what it goes by before its first request, and that it never goes on untold."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from controlplane.planes.snapshots import Publisher
from extproc.edge.snapshot_wire import read_message, receive
from tests.contract.planes_parts import control, estate_of, key, plane, revoked, soon

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def process(data: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A data plane's process, until the block ends."""
    command = [sys.executable, "-m", "extproc.server", "--data", str(data)]
    started = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
        await started.communicate()


async def test_what_was_revoked_while_a_plane_was_down_is_gone_before_its_first_request(tmp_path: Path) -> None:
    """Its copy still has the key. While control is there and has not said yet what is in force, the plane serves nobody."""
    data = tmp_path / "d"
    estate = estate_of(data, [key(1), key(2)])
    async with control(data, estate), plane(data) as part:
        await soon(lambda: part.revision)
    data.chmod(0o700)
    changes = revoked(estate, "key-1")
    publisher, greeted, may_tell = Publisher(estate.after(changes)), asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with publisher.guarded(writer):
            greeting = read_message(await receive(reader))
            greeted.set()
            await may_tell.wait()
            await publisher.talk(reader, writer, greeting)

    server = await asyncio.start_unix_server(slow, data / "run" / "snapshot.sock")
    async with process(data):
        await greeted.wait()
        await asyncio.sleep(0.5)  # in which a plane that does not wait would be there
        assert not (data / "run" / "extproc.sock").exists()
        may_tell.set()
        await soon((data / "run" / "extproc.sock").exists)
        await soon(lambda: [report.revision for report in publisher.planes()] == [publisher.revision])
    server.close()
    await publisher.close()

"""The Unix socket: who may connect, how a successor takes over, and a peer that does not read."""

from __future__ import annotations

import asyncio
import socket
import stat
import threading
from pathlib import Path

import pytest

from contracts.errors import Unusable
from extproc.edge import h2_frames as h2
from extproc.edge import unix_socket
from extproc.edge.grpc_stream import serve
from extproc.edge.h2_connection import UNSENT_LIMIT
from tests.contract.transport_servers import KINDS, client, folder, run, until
from tests.contract.transport_wire import Echo, data, headers, message

KINDS_OF_OURS = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "oracle"])


@KINDS_OF_OURS
def test_only_this_user_can_connect_and_the_path_goes_at_the_end(kind: str) -> None:
    """The socket is 0600; after a drain nothing is left in the folder."""

    async def scenario() -> None:
        with folder() as made:
            server = await serve(made / "s", Echo())
            assert stat.S_IMODE((made / "s").stat().st_mode) == 0o600
            assert [entry.name for entry in made.iterdir()] == ["s"]
            server.drain()
            server.drain()
            await server.drained()
            await server.close()
            assert list(made.iterdir()) == []

    run(kind, scenario())


@pytest.mark.parametrize(
    ("name", "mode", "says"),
    [("s", 0o755, "chmod 700"), ("s", 0o710, "chmod 700"), ("s" * 100, 0o700, "over 100 bytes"), ("missing/s", 0o700, "make it")],
)
async def test_a_path_that_cannot_be_served_safely_is_refused(name: str, mode: int, says: str) -> None:
    """An open folder, a long path, no folder: one sentence that says what to do."""
    with folder() as made:
        made.chmod(mode)
        with pytest.raises(Unusable, match=says):
            await serve(made / name, Echo())
        made.chmod(0o700)


async def test_a_file_in_the_way_is_not_removed() -> None:
    """Only a socket is replaced; anything else on the path stays."""
    with folder() as made:
        (made / "s").write_text("a file")
        with pytest.raises(Unusable, match="no socket"):
            await serve(made / "s", Echo())
        assert (made / "s").read_text() == "a file"


@KINDS_OF_OURS
def test_what_a_killed_predecessor_left_is_replaced(kind: str) -> None:
    """A stale socket on the path, and one under the second name, are no hindrance."""

    async def scenario() -> None:
        with folder() as made:
            for name in ("s", "s~"):
                with socket.socket(socket.AF_UNIX) as stale:
                    stale.bind(str(made / name))
            server = await serve(made / "s", Echo())
            async with client(made / "s") as call:
                calling = call()
                await calling.write(b"x")
                assert await calling.read() == b"x"
            await server.close()
            assert list(made.iterdir()) == []

    run(kind, scenario())


def test_a_path_always_leads_to_a_listener() -> None:
    """While one successor after the other takes it over, no connect finds the path missing or refused."""
    with folder() as made:
        listeners, misses, stop = [unix_socket.bind(made / "s")[0]], [], threading.Event()

        def knock() -> None:
            while not stop.is_set():
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.settimeout(5)
                    try:
                        peer.connect(str(made / "s"))
                    except OSError as error:
                        misses.append(error)

        knocking = threading.Thread(target=knock)
        knocking.start()
        listeners += [unix_socket.bind(made / "s")[0] for _ in range(300)]
        stop.set()
        knocking.join()
        for listener in listeners:
            listener.close()
        assert misses == []


@KINDS_OF_OURS
def test_a_connection_that_waits_when_the_drain_begins_is_served(kind: str) -> None:
    """Connected, not accepted yet, and the path already a successor's: what it sends is answered all the same."""

    async def scenario() -> None:
        with folder() as made:
            echo = Echo()
            first = await serve(made / "s", echo)
            with socket.socket(socket.AF_UNIX) as early:
                early.connect(str(made / "s"))
                early.sendall(h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + headers(1) + data(1, message(b"x")))
                second = await serve(made / "s", Echo())
                first.drain()  # the loop has not turned since connect
                await until(lambda: echo.taken == [(1, b"x")])
            await first.drained()
            await first.close()
            await second.close()
            assert echo.ends == [1]

    run(kind, scenario())


@KINDS_OF_OURS
def test_a_peer_that_does_not_read_costs_bounded_memory(kind: str) -> None:
    """It sends for ever and takes nothing: reading stops, so what waits is one limit and one read's replies; close does not hang."""
    reply = b"r" * 1000

    async def scenario() -> None:
        with folder() as made:
            server = await serve(made / "s", Echo(lambda _data, _stream: reply))
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_UNIX) as peer:
                peer.setblocking(False)
                await loop.sock_connect(peer, str(made / "s"))
                wide = h2.frame(h2.SETTINGS, 0, 0, h2.SETTING.pack(h2.INITIAL_WINDOW_SIZE, h2.MAX_WINDOW)) + h2.window_update(0, 1 << 30)
                await loop.sock_sendall(peer, h2.PREFACE + wide + headers(1))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(loop.sock_sendall(peer, data(1, message(b"?")) * 100_000), 1)
                (connection,) = server._connections
                assert connection.transport.get_write_buffer_size() < UNSENT_LIMIT + (32 << 20)
                await server.close()
            assert server.live == server.connections == 0

    run(kind, scenario())


async def test_a_peer_is_told_before_it_is_cut() -> None:
    """A stranger's bytes are answered by GOAWAY and the end of the connection; the listener goes on."""
    with folder() as made:
        server = await serve(made / "s", Echo())
        for _ in range(3):
            reader, writer = await asyncio.open_unix_connection(Path(made / "s"))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert (await reader.read()).endswith(b"may connect here")
            writer.close()
            await writer.wait_closed()
        await server.close()

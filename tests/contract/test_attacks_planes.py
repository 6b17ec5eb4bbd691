"""Attacks on control by whoever reaches its port for planes, and by planes that it knows."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.enrolment import EnrolToken, enrol_token
from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane import planes
from controlplane.governance import Governance
from controlplane.planes import door as planes_door
from controlplane.planes.door import MOST_OF_ONE
from controlplane.state import State
from controlplane.vault.rehashes import MOST_REPORTS, Rehashes
from extproc.edge.enrolment import enrolled
from extproc.edge.snapshot_wire import framed, message, receive
from tests.contract.planes_elsewhere import Elsewhere, listening
from tests.contract.planes_parts import plane, revoked, soon


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    """Control with a listener for planes."""
    async with listening(tmp_path) as found:
        yield found


def strangers(elsewhere: Elsewhere) -> int:
    """How many are in the door."""
    door = elsewhere.planes._door
    return door.strangers.total() if door else 0


@contextlib.contextmanager
def silent(elsewhere: Elsewhere, count: int) -> Iterator[list[socket.socket]]:
    """Connections on which nothing is said."""
    host, port = elsewhere.address.split(":")
    with contextlib.ExitStack() as held:
        yield [held.enter_context(socket.create_connection((host, int(port)))) for _ in range(count)]


async def test_strangers_are_few_and_a_known_plane_is_none_of_them(elsewhere: Elsewhere) -> None:
    """One too many of an address is hung up on; the plane that is there is told on, and others get in once the strangers left."""
    settings = elsewhere.machine()
    away = await enrolled(settings, elsewhere.address, await elsewhere.token())
    async with plane(settings.data, away.plane, away.connect) as part:
        await soon(lambda: part.revision)
        await soon(lambda: not strangers(elsewhere))
        with silent(elsewhere, MOST_OF_ONE) as held:
            await soon(lambda: strangers(elsewhere) == MOST_OF_ONE)
            with silent(elsewhere, 50) as more:
                for each in more:
                    each.settimeout(10)
                    with contextlib.suppress(ConnectionResetError):
                        assert await asyncio.to_thread(each.recv, 1) == b""
            assert strangers(elsewhere) == len(held)
            (report,) = await elsewhere.told.make(revoked(elsewhere.told.estate, "key-1"))
            assert (report.plane, report.problem) == ("far", "")
        await soon(lambda: not strangers(elsewhere))
        await enrolled(elsewhere.machine("other"), elsewhere.address, await elsewhere.token("other"))


async def test_a_stranger_that_never_says_goodbye_is_soon_gone(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent before TLS or after it: its descriptor is free again when its time is over."""
    monkeypatch.setattr(planes, "GREETING_S", 0.3)
    monkeypatch.setattr(planes_door, "GREETING_S", 0.3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with silent(elsewhere, 2) as (first, second):
        secured = await asyncio.to_thread(context.wrap_socket, second)
        await soon(lambda: not strangers(elsewhere))
        first.close()
        secured.close()


async def test_a_token_that_was_never_made_causes_no_write(elsewhere: Elsewhere) -> None:
    """While somebody writes, it is refused all the same: whoever has no token can't make control's changes wait."""
    real = enrol_token((await elsewhere.token()).read_text().strip())
    assert real is not None
    file = elsewhere.folder / "forged"
    file.write_text(EnrolToken("far", "0" * 64, real.authority).text())
    file.chmod(0o600)
    database = sqlite3.connect(elsewhere.folder / "control" / "state" / "portcullis.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unusable, match="the token was used, has expired"):
            await enrolled(elsewhere.machine(), elsewhere.address, file)
    finally:
        database.close()


async def test_a_plane_that_is_removed_and_takes_nothing_is_not_waited_for(elsewhere: Elsewhere) -> None:
    """It is off the list at once, though it neither reads nor closes."""
    away = await enrolled(elsewhere.machine(), elsewhere.address, await elsewhere.token())
    context = away._trust()
    raw = socket.create_connection((away.host, away.port))
    with await asyncio.to_thread(context.wrap_socket, raw, server_hostname="control.portcullis") as secured:
        await asyncio.to_thread(secured.sendall, framed(message({"plane": "far", "version": "0", "epoch": "", "revision": ""})))
        await soon(elsewhere.told.publisher.planes)
        assert await elsewhere.planes.remove("far")
        await soon(lambda: not elsewhere.told.publisher.planes())


async def test_what_a_plane_says_is_wrong_stays_on_its_line(elsewhere: Elsewhere) -> None:
    """It is shown in logs and terminals: no line breaks, no control characters, and not without end."""
    away = await enrolled(elsewhere.machine(), elsewhere.address, await elsewhere.token())
    reader, writer = await away.connect()
    writer.write(framed(message({"plane": "far", "version": "0", "epoch": "", "revision": ""})))
    await receive(reader)
    writer.write(framed(message({"revision": "1", "in_force": "1", "problem": "a\n\x1b[2Jb" + "c" * 9000})))
    await soon(lambda: elsewhere.told.publisher.planes()[0].problem)
    problem = elsewhere.told.publisher.planes()[0].problem
    assert problem.startswith("a??[2Jbc")
    assert len(problem) == 500
    writer.close()


async def test_reports_without_end_do_not_keep_an_administrator_waiting(tmp_path: Path) -> None:
    """A plane that reports hashes as fast as it can: only a few reports wait for their turn, and the others are let go."""
    settings = Settings(data=tmp_path)
    state = State.open(settings)
    governance = Governance.start(settings, state)
    rehashes = Rehashes(governance)
    for _ in range(1000):
        rehashes.hear({"x": {"old": "0", "new": "2:" + "0" * 64}}, lambda _key: True)
    assert len(rehashes._under_way) == MOST_REPORTS
    await rehashes.close()
    await governance.close()
    state.close()

"""Ingest as a process: killed with -9, its database killed and stopped, and what it answers on its socket."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contracts.audit import AuditRow, Intent
from contracts.settings import Spool as SpoolSettings
from extproc.edge.spool import Spool

WITH_SERVER = """
import asyncio, sys
from pathlib import Path
from contracts.settings import Settings
from ingest.server import serve
asyncio.run(serve(Settings(data=Path(sys.argv[1]), audit=sys.argv[2])))
"""
DOOR = Path(__file__).with_name("clickhouse_door.py")


class Ingest:
    """The process over one data folder, and a spool that it reads."""

    def __init__(self, root: Path, data: Path) -> None:
        self.root, self.data = root, data
        self.socket = data / "run" / "ingest.sock"
        self.spool = Spool(data / "spool" / "extproc-0", SpoolSettings(), segment_bytes=40_000)
        self.server = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.ids: list[str] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; it may not be ready yet."""
        command = [sys.executable, "-m", "ingest.server", "--data", str(self.data)]
        if self.server:
            command = [sys.executable, "-c", WITH_SERVER, str(self.data), self.server]
        self.process = subprocess.Popen(command, cwd=self.root, stderr=subprocess.DEVNULL)
        return self.process

    def end(self, number: int) -> int:
        """Send a signal and wait for the end."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(30)

    def write(self, count: int) -> None:
        """That many served exchanges."""
        for _ in range(count):
            row = AuditRow(
                id=str(uuid.uuid4()), envoy_id=str(uuid.uuid4()), time=time.time_ns(), key_id="k", outcome="served", termination="complete"
            )
            self.spool.intent(Intent(row=row))
            self.spool.row(row)
            self.ids.append(row.id)
        self.spool.tick()

    async def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """One request to its socket."""
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket))) as session:
            method = "GET" if body is None else "POST"
            async with session.request(method, f"http://ingest{path}", json=body) as answer:
                return answer.status, await answer.json()

    async def until(self, path: str, is_so: Callable[[int, Any], bool], body: Any = None) -> Any:
        """Ask until it is so."""
        for _ in range(600):
            try:
                status, answer = await self.ask(path, body)
                if is_so(status, answer):
                    return answer
            except (aiohttp.ClientError, OSError):
                pass
            self.spool.tick()
            await asyncio.sleep(0.1)
        pytest.fail(f"{path} never became so")

    async def ready(self) -> None:
        """Until its tables exist."""
        await self.until("/healthz", lambda status, _: status == 200)

    async def stored(self, count: int) -> list[list[Any]]:
        """Until that many rows are stored."""
        sql = {"sql": "SELECT sum(count), uniqExact(id), count() FROM audit.requests"}
        answer = await self.until("/query", lambda status, answer: status == 200 and answer["rows"][0][0] >= count, sql)
        return list(answer["rows"])


@pytest.fixture
async def ingest(root: Path) -> AsyncIterator[Ingest]:
    """A data folder with a path short enough for sockets; the process is not started."""
    data = Path(tempfile.mkdtemp(prefix="pi"))
    made = Ingest(root, data)
    made.spool.tick()
    yield made
    made.end(signal.SIGKILL)
    await made.spool.close()
    shutil.rmtree(data)


@pytest.fixture
def door() -> Iterator[Callable[[int], tuple[subprocess.Popen[str], int]]]:
    """Starts the database's process on a port (0: any), always over the same folder."""
    folder = tempfile.mkdtemp()
    started: list[subprocess.Popen[str]] = []

    def start(port: int) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen([sys.executable, str(DOOR), folder, str(port)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        if process.stdout is None:
            pytest.fail("the door has no output")
        line = process.stdout.readline()
        process.stdout.close()
        return process, int(line)

    yield start
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(folder)


async def test_killed_again_and_again_it_stores_each_row_once(ingest: Ingest) -> None:
    """Kill -9, right after its start and in the middle of its work; the last life stores the rest."""
    ledger = ingest.data / "ingest" / "plan.json"
    for turn in range(4):
        ingest.write(400)
        before = ledger.stat().st_mtime_ns if ledger.exists() else 0
        process = ingest.start()
        while turn and process.poll() is None and (not ledger.exists() or ledger.stat().st_mtime_ns == before):
            ingest.write(3)
            await asyncio.sleep(0.02)
        ingest.end(signal.SIGKILL)
    ingest.start()

    rows = await ingest.stored(len(ingest.ids))

    assert rows == [[len(ingest.ids)] * 3]


async def test_it_answers_on_a_socket_of_its_own(ingest: Ingest) -> None:
    """Health, queries, tail and counts; a signal ends it with what it has read stored."""
    process = ingest.start()
    await ingest.ready()
    assert stat.S_IMODE(ingest.socket.stat().st_mode) == 0o600
    waiting = asyncio.ensure_future(ingest.ask("/tail"))
    await asyncio.sleep(0)
    status, _ = await ingest.ask("/healthz")
    ingest.write(1)
    status, tailed = await waiting
    assert (status, [row["id"] for row in tailed["rows"]]) == (200, ingest.ids)

    status, answer = await ingest.ask("/query", {"sql": "SELECT toString(id) AS id FROM audit.requests"})
    assert (status, answer) == (200, {"columns": ["id"], "types": ["String"], "rows": [[ingest.ids[0]]], "truncated": False})
    assert (await ingest.ask("/query", {"sql": "SELECT file('/etc/hostname')"}))[0] == 400
    assert (await ingest.ask("/query", {"query": "SELECT 1"}))[0] == 400
    assert (await ingest.ask("/query", {"sql": "SELECT toUInt256(2) * 18446744073709551615 AS n"}))[0] == 200
    assert (await ingest.ask("/query", {"sql": "SELECT name, value FROM system.server_settings"}))[0] in {200, 400}

    counts = await ingest.until("/stats", lambda _, stats: stats["stored"] == 1)
    assert {name: counts[name] for name in ("accepted", "spooled", "dead", "late", "envoy")} == {
        "accepted": 1, "spooled": 0, "dead": 0, "late": 0, "envoy": None,
    }  # fmt: skip
    ingest.write(50)
    assert process.poll() is None
    assert ingest.end(signal.SIGTERM) == 0
    ingest.start()
    assert await ingest.stored(51) == [[51, 51, 51]]


async def test_a_query_without_end_does_not_hold_up_rows(ingest: Ingest) -> None:
    """It runs in a session of its own, and is stopped with 408."""
    ingest.start()
    await ingest.ready()
    endless = asyncio.ensure_future(ingest.ask("/query", {"sql": "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"}))
    await asyncio.sleep(0)
    ingest.write(10)

    assert await ingest.stored(10) == [[10, 10, 10]]
    assert not endless.done()
    assert (await endless)[0] == 408


async def test_a_second_ingest_on_the_same_folder_is_told_so(ingest: Ingest) -> None:
    """Two would store rows twice; it says what to do and ends with 2."""
    ingest.start()
    await ingest.ready()

    second = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "ingest.server", "--data", str(ingest.data)],
        cwd=ingest.root,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert second.returncode == 2
    assert "another ingest works on" in second.stderr
    assert (await ingest.ask("/healthz"))[0] == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_server_that_dies_or_hangs_costs_no_row(
    ingest: Ingest, door: Callable[[int], tuple[subprocess.Popen[str], int]], number: signal.Signals
) -> None:
    """The same client over HTTP: rows wait in the spool, and are stored once each when the server is back."""
    server, port = door(0)
    ingest.server = f"clickhouse://127.0.0.1:{port}?compress=false&send_receive_timeout=2"
    ingest.start()
    await ingest.ready()
    ingest.write(100)
    await ingest.stored(100)

    server.send_signal(number)
    ingest.write(200)
    trouble = await ingest.until("/healthz", lambda _, answer: answer.get("trouble"))
    assert trouble["trouble"]
    if number is signal.SIGKILL:
        server.wait()
        door(port)
    else:
        server.send_signal(signal.SIGCONT)

    assert await ingest.stored(300) == [[300, 300, 300]]


async def test_a_log_line_without_a_row_becomes_one(ingest: Ingest) -> None:
    """The second witness, end to end, with a log that was renamed in between."""
    log = ingest.data / "witness" / "access.jsonl"
    log.parent.mkdir()
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 5))
    line = {
        "id": None,
        "envoy_id": None,
        "time": now,
        "status": 503,
        "flags": "-",
        "details": "ext_proc_error",
        "duration_ms": 1,
        "method": "POST",
    }
    log.write_text(json.dumps(line) + "\n")
    ingest.start()
    await ingest.stored(1)
    log.rename(log.with_suffix(".jsonl.1"))
    log.write_text("not JSON\n" + json.dumps(line) + "\n")

    await ingest.stored(2)

    sql = "SELECT DISTINCT outcome, termination, error_code, witness, status FROM audit.requests"
    assert (await ingest.ask("/query", {"sql": sql}))[1]["rows"] == [["refused", "gate_died", "gate_unavailable", "envoy", 503]]


async def test_tail_begins_with_the_last_rows(ingest: Ingest) -> None:
    """At once, oldest first, as they stood in the spool; also in a life that has stored nothing yet. Then it goes on after them."""
    ingest.start()
    await ingest.ready()
    ingest.write(12)
    await ingest.stored(12)
    ingest.end(signal.SIGTERM)
    ingest.start()
    await ingest.ready()

    status, first = await ingest.ask("/tail")
    ingest.write(1)
    _, then = await ingest.ask(f"/tail?after={first['next']}")
    ingest.write(11)
    await ingest.stored(24)
    _, last = await ingest.ask("/tail")

    assert (status, [row["id"] for row in first["rows"]]) == (200, ingest.ids[2:12])
    assert {name: type(first["rows"][0][name]) for name in ("time", "status", "allow", "findings_prompt")} == {
        "time": int, "status": int, "allow": bool, "findings_prompt": dict,
    }  # fmt: skip
    assert [row["id"] for row in then["rows"]] == ingest.ids[12:13]
    assert [row["id"] for row in last["rows"]] == ingest.ids[14:]

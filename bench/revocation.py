"""How soon a revoked key is refused everywhere, and what the push of a change costs the requests that run meanwhile.

    python bench/revocation.py [--keys 100000] [--workers 4] [--revocations 40] [--connections 8]

Through real Envoy, with `portcullis up`. One load runs all the time; beside it a key is used by connections of its own, revoked
through the API, and used on until it is refused for a while. Times of the same clock, in milliseconds:

    last_success_ms     from the return of the revocation to the beginning of the last request that was still served (0: none was)
    answer_ms           how long the revocation took

`quiet` and `revoking` are the load's latencies without and with revocations. Beside that, in this process: what a push costs a
worker's event loop. Results go to bench/results/revocation.json. Nothing is asserted: machines differ.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import alive, described, free_port, resident_mib, until  # noqa: E402 - found beside this file

from contracts.settings import Settings  # noqa: E402 - as above
from contracts.snapshot import (  # noqa: E402 - as above
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    LiveSecret,
    ModelRecord,
    ProviderRecord,
    Record,
    TeamRecord,
)
from contracts.usage import Price  # noqa: E402 - as above
from controlplane.estate import Change, Changes, Estate, Kept  # noqa: E402 - as above
from controlplane.planes.view import View  # noqa: E402 - as above
from controlplane.state import State  # noqa: E402 - as above
from controlplane.vault import open_vault  # noqa: E402 - as above
from custody import store  # noqa: E402 - as above
from custody.secret import Secret  # noqa: E402 - as above
from extproc.edge.private_files import private_folder  # noqa: E402 - as above
from extproc.edge.snapshot_build import Assembly  # noqa: E402 - as above
from extproc.edge.snapshot_wire import batches, begin, end, piece  # noqa: E402 - as above

REFUSED_FOR_S = 0.25
KINDS: dict[type[Record], str] = {
    ProviderRecord: "provider", CredentialRecord: "credential", ModelRecord: "model",
    EnvironmentRecord: "environment", TeamRecord: "team", KeyRecord: "key",
}  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """A running system."""

    port: int
    control: str
    token: str
    pids: dict[str, int]


def a_key(number: int, secret: LiveSecret, public_id: str = "") -> KeyRecord:
    """A key like any other."""
    name = f"key-{number:06d}"
    return KeyRecord(public_id or f"id{number:010d}", name, (secret,), "search", f"p{number % 50}", "dev", ("cheap", "gpt-4o*"))


def seeded(data: Path, provider: int, count: int, usable: int) -> tuple[Settings, list[tuple[str, str]]]:
    """A state of so many keys; name and text of those that can be used."""
    settings = Settings(data=data)
    private_folder(data)
    state = State.open(settings)
    vault = open_vault(settings, state.load())
    peppers, shown = vault.first_pepper(), []
    records: list[Record] = [
        ProviderRecord("local", "openai", f"http://127.0.0.1:{provider}/v1"),
        CredentialRecord("main", "local", vault.seal(store.credential("main", 1), Secret(b"sk-bench-0123456789")), 1),
        ModelRecord("cheap", "local", "main", "tiny", (Price(0, 0, "bench"),)),
        EnvironmentRecord("dev"),
        TeamRecord("search", tuple(f"p{number}" for number in range(50))),
    ]
    for number in range(count):
        if number < usable:
            issued = vault.issue(peppers)
            shown.append((f"key-{number:06d}", issued.shown))
            records.append(a_key(number, issued.secret, issued.public_id))
        else:
            records.append(a_key(number, LiveSecret(os.urandom(32).hex(), 1, None)))
    changes = Changes([Change(KINDS[type(record)], record.name, None, Kept(record)) for record in records], "bench", peppers)
    state.commit(state.load(), changes, [])
    state.close()
    return settings, shown


@contextmanager
def running(folder: Path, workers: int, count: int, usable: int) -> Iterator[tuple[Gate, list[tuple[str, str]]]]:
    """A provider, and `portcullis up` on a state of so many keys."""
    provider, listen, control = free_port(), free_port(), free_port()
    settings, shown = seeded(folder / "data", provider, count, usable)
    config = folder / "portcullis.yaml"
    config.write_text(f"gateway: {{listen: 127.0.0.1:{listen}}}\ncontrol: {{listen: 127.0.0.1:{control}}}\nworkers: {workers}\n", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answers = subprocess.Popen([sys.executable, str(ROOT / "bench" / "provider.py"), str(provider), "10"])
    command = [sys.executable, "-m", "controlplane.cli", "up", "-c", str(config), "--data", str(settings.data)]
    up = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: alive(provider), "the bench's provider")
        until((settings.run / "ready.json").exists, "the gate", 300)
        ready = json.loads((settings.run / "ready.json").read_bytes())
        yield Gate(listen, ready["control"], Path(ready["admin_token_file"]).read_text("utf-8").strip(), ready["pids"]), shown
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()
        answers.terminate()
        answers.wait()


class Line:
    """One keep-alive connection to the gate."""

    def __init__(self, gate: Gate, key: str) -> None:
        body = json.dumps({"model": "cheap", "messages": [{"role": "user", "content": "Hello there."}]}).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{gate.port}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.gate, self.request = gate, head.encode() + body

    async def run(self, stop: asyncio.Event, seen: list[tuple[float, float, int]]) -> None:
        """Ask again and again; (begun, took, status) of each."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gate.port)
        while not stop.is_set():
            begun = time.perf_counter()
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            seen.append((begun, time.perf_counter() - begun, int(head[9:12])))
            await asyncio.sleep(0.01 if seen[-1][2] == 401 else 0)
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def using(gate: Gate, key: str, connections: int) -> AsyncIterator[list[tuple[float, float, int]]]:
    """Use a key until the block ends."""
    stop, seen = asyncio.Event(), []
    lines = [asyncio.ensure_future(Line(gate, key).run(stop, seen)) for _ in range(connections)]
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.gather(*lines)


async def revoke(gate: Gate, name: str) -> tuple[float, float]:
    """Revoke a key through the API: when the call began and when it returned."""
    host, _, port = gate.control.removeprefix("http://").rpartition(":")
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /api/v1/keys/{name}/revoke HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {gate.token}\r\n"
        "content-length: 0\r\nconnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"revoking {name}: {answer.decode()}")
    return begun, time.perf_counter()


async def revocations(gate: Gate, keys: Sequence[tuple[str, str]], connections: int) -> dict[str, Any]:
    """Revoke one key after another while it is used, and while others are."""
    after, took = [], []
    (_, steady), *victims = keys
    async with using(gate, steady, connections) as load:
        await asyncio.sleep(1)
        begun = time.perf_counter()
        await asyncio.sleep(5)
        quiet = latencies(load, begun, time.perf_counter())
        begun = time.perf_counter()
        for name, text in victims:
            async with using(gate, text, connections) as seen:
                await asyncio.sleep(0.15)
                asked, returned = await revoke(gate, name)
                while served_lately(seen):  # noqa: ASYNC110 - answers come from another process
                    await asyncio.sleep(REFUSED_FOR_S)
            if not any(status == 200 for _, _, status in seen) or {status for _, _, status in seen} - {200, 401}:
                raise SystemExit(f"{name}: answers other than 200 and 401")
            after.append(max(0.0, max(start for start, _, status in seen if status == 200) - returned) * 1e3)
            took.append((returned - asked) * 1e3)
        busy = latencies(load, begun, time.perf_counter())
        wrong = sum(status != 200 for _, _, status in load)
    return {"last_success_ms": spread(after), "answer_ms": spread(took), "quiet": quiet, "revoking": busy, "wrong_answers": wrong}


def served_lately(seen: Sequence[tuple[float, float, int]]) -> bool:
    """Whether a request was served that began within the last moments."""
    return any(status == 200 and begun > time.perf_counter() - REFUSED_FOR_S for begun, _, status in seen)


def latencies(seen: Sequence[tuple[float, float, int]], since: float, before: float) -> dict[str, float]:
    """Of the requests that began in this time."""
    return spread([took * 1e3 for begun, took, _ in seen if since <= begun < before])


def spread(values: Sequence[float]) -> dict[str, float]:
    """Count, median, p99 and the greatest."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"count": len(ordered), "p50": round(statistics.median(ordered), 3), "p99": round(p99, 3), "max": round(ordered[-1], 3)}


def pushed(view: View, plane: Assembly) -> list[bytes]:
    """The frames that bring a plane to what is shown."""
    shown, base = view.shown, plane.snapshot.revision
    touched = view.since(plane.epoch, base)
    items = shown.items() if touched is None else (shown.item(touch) for touch in touched)
    return [begin(shown.revision, view.epoch, "" if touched is None else base), *map(piece, batches(items)), end(shown.revision)]


def taken(plane: Assembly, frames: Sequence[bytes]) -> list[float]:
    """Take a push; milliseconds of this thread's CPU for each frame."""
    steps = []
    for frame in frames:
        started = time.thread_time()
        push = plane.feed(frame)
        if push is not None:
            plane.accept(push)
        steps.append((time.thread_time() - started) * 1e3)
    return steps


def loop_cost(count: int) -> dict[str, float]:
    """What pushes cost the event loops, in milliseconds of CPU: the longest step of a whole one, and changes of one key."""
    keys = [a_key(number, LiveSecret(os.urandom(32).hex(), 1, None)) for number in range(count)]
    estate = Estate().after(Changes([Change("key", record.name, None, Kept(record)) for record in keys]))
    view, plane = View(estate, None), Assembly()
    gc.collect()
    gc.freeze()  # as a plane does: what stays is not walked again
    whole = taken(plane, pushed(view, plane))
    on_plane, on_control = [], []
    for record in keys[:200]:
        old = estate.of("key")[record.name]
        change = Changes([Change("key", record.name, old, replace(old, record=replace(record, revoked=1)))])
        started = time.thread_time()
        estate = estate.after(change)
        view.after(estate, change)
        frames = pushed(view, plane)
        on_control.append((time.thread_time() - started) * 1e3)
        on_plane.append(sum(taken(plane, frames)))
    return {
        "whole_ms": round(sum(whole), 1),
        "whole_longest_step_ms": round(max(whole), 3),
        "change_p50_ms": round(statistics.median(on_plane), 3),
        "change_max_ms": round(max(on_plane), 3),
        "control_change_p50_ms": round(statistics.median(on_control), 3),
    }


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Everything."""
    with tempfile.TemporaryDirectory(prefix="pcl-", dir="/tmp") as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        for each in (few, many):
            each.mkdir(mode=0o700)
        with running(few, 1, 2, 2) as (gate, _):
            base = resident_mib(gate.pids["extproc"])
        with running(many, args.workers, args.keys, args.revocations + 1) as (gate, keys):
            workers = {name: resident_mib(pid) for name, pid in gate.pids.items() if name.startswith("extproc")}
            figures = asyncio.run(revocations(gate, keys, args.connections))
            figures["worker_mib"] = workers
            figures["worker_mib_after"] = {name: resident_mib(pid) for name, pid in gate.pids.items() if name.startswith("extproc")}
            figures["control_mib"] = resident_mib(gate.pids["control"])
    figures["bytes_a_key"] = round((max(workers.values()) - base) * (1 << 20) / args.keys)
    figures["push"] = loop_cost(args.keys)
    return figures


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--revocations", type=int, default=40)
    parser.add_argument("--connections", type=int, default=8)
    args = parser.parse_args()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    result = {"what": vars(args), "machine": described(), **measured(args)}
    out = ROOT / "bench" / "results" / "revocation.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for name, value in result.items():
        if name not in {"what", "machine"}:
            print(f"{name:18} {value}")
    print(f"kept in {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

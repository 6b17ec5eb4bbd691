"""Extproc's workers and its cap on bytes, attacked through the whole gate: what the app sees, what is sent on, and the row."""

from __future__ import annotations

import gzip
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from plain_http import Reply
from stack import Stack, alive, eventually

from extproc.edge.worker import NICE

LARGE = "Please write a short answer to the customer. " * 300_000
"""13 MB: a worker reads it long enough to be caught at it."""

ADDRESS = "anna.larsen@example.com"


@pytest.fixture(scope="module")
def attacked() -> Iterator[Stack]:
    """A gate whose workers are broken."""
    with Stack() as stack:
        yield stack


def workers(gate: Stack) -> set[int]:
    """Process ids of extproc's workers."""
    extproc = gate.pids["extproc"]
    found: set[int] = set()
    for thread in Path(f"/proc/{extproc}/task").iterdir():
        found |= {int(child) for child in (thread / "children").read_text("utf-8").split()}
    return found


def at_work(pid: int) -> bool:
    """Whether a worker is past its start: standing back is the last thing it does then."""
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[16]) == NICE


def stopped(gate: Stack, asking: Future[Reply]) -> int:
    """The process id of a worker, stopped before it has given back the large body that it was started for."""
    gone = workers(gate)

    def caught() -> int:
        assert not asking.done(), "the body was read before the worker could be stopped"
        for pid in workers(gate) - gone:
            if at_work(pid):
                os.kill(pid, signal.SIGSTOP)
                return pid
        return 0

    return int(eventually(caught, "a worker"))


def refused(gate: Stack, reply: Reply) -> None:
    """503 with a time to try again, nothing at the provider, one row that says so; and the next large body is served."""
    assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "gate_unavailable", "1")
    assert gate.mock_received() == []
    row = gate.row(reply.id)
    said = (row["outcome"], row["termination"], row["error_code"], row["status"], row["route"], row["usage_source"])
    assert said == ("refused", "refused", "gate_unavailable", 503, "chat", "none")
    again = gate.chat(LARGE + ADDRESS)
    assert again.status == 200
    assert [ADDRESS in got["body"] for got in gate.mock_received()] == [False]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_worker_that_is_lost_refuses_the_body_in_hand(attacked: Stack, how: signal.Signals) -> None:
    """Killed, or hung until its time is over: meanwhile small requests are served, and the next large one gets a fresh worker."""
    attacked.forget()
    for pid in workers(attacked):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not workers(attacked), "no worker")
    with ThreadPoolExecutor(1) as apart:
        asking = apart.submit(attacked.chat, LARGE + ADDRESS)
        pid = stopped(attacked, asking)
        assert [attacked.chat().status for _ in range(5)] == [200] * 5
        attacked.forget()
        os.kill(pid, how)
        reply = asking.result()
    refused(attacked, reply)
    assert pid not in workers(attacked)


def test_no_worker_outlives_extproc(attacked: Stack) -> None:
    """Extproc is killed over a large body: its workers end with it, the app hears of it, and one row tells."""
    attacked.forget()
    for pid in workers(attacked):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not workers(attacked), "no worker")
    with ThreadPoolExecutor(1) as apart:
        asking = apart.submit(attacked.chat, LARGE)
        pid = stopped(attacked, asking)
        gone = attacked.kill("extproc")
        reply = asking.result()
    assert (reply.status, reply.code) == (503, "gate_unavailable")
    assert attacked.mock_received() == []
    eventually(lambda: not alive(pid), "the worker's end")
    assert attacked.row(reply.id)["termination"] == "gate_died"
    attacked.back("extproc", gone)
    eventually(lambda: attacked.chat().status == 200, "a gate that serves")


def test_bytes_under_way_are_capped() -> None:
    """Over limits.inflight_bytes an app is told to come again; the one before it is served, and then there is room."""
    with Stack(settings="limits: {request_bytes: 1MiB, inflight_bytes: 1MiB}\n") as gate, ThreadPoolExecutor(1) as apart:
        gate.script({"chunks": ["data: {}\n\n"] * 2, "chunk_delay_ms": 6_000})
        first = apart.submit(gate.chat, "x" * 700_000, stream=True)
        eventually(lambda: len(gate.mock_received()) == 1, "the first at the provider")
        second = gate.chat("y" * 700_000)
        assert not first.done()
        assert (second.status, second.code, second.headers["retry-after"]) == (503, "gate_unavailable", "1")
        assert gate.chat().status == 200
        assert len(gate.mock_received()) == 2
        assert gate.row(second.id)["error_code"] == "gate_unavailable"
        assert first.result().status == 200
        assert gate.chat("y" * 700_000).status == 200


def test_two_hundred_at_once_are_each_answered_and_each_have_a_row(attacked: Stack) -> None:
    """Small, large, encoded, streamed, refused and broken ones together: every app gets its own answer, and one row."""
    attacked.forget()
    attacked.script({"echo": True, "repeat": 0})
    asked = {"model": "cheap", "messages": [{"role": "user", "content": f"Hello {ADDRESS}"}]}
    kinds = {
        "small": (200, lambda: attacked.chat(f"Hello {ADDRESS}")),
        "streamed": (200, lambda: attacked.chat(f"Hello {ADDRESS}", stream=True)),
        "encoded": (200, lambda: attacked.ask(gzip.compress(json.dumps(asked).encode()), content_encoding="gzip")),
        "large": (200, lambda: attacked.chat("so on, " * 45_000 + ADDRESS)),
        "not allowed": (403, lambda: attacked.chat(model="dear")),
        "twice": (400, lambda: attacked.ask(b'{"model":"cheap","model":"dear"}')),
        "stored": (400, lambda: attacked.chat(store=True)),
        "nobody": (401, lambda: attacked.ask(asked, key="")),
    }
    names = [name for name in kinds for _ in range(4 if name == "large" else 28)]
    with ThreadPoolExecutor(200) as apart:
        replies = list(apart.map(lambda name: kinds[name][1](), names))
    assert len(names) == 200
    assert Counter((name, reply.status) for name, reply in zip(names, replies, strict=True)) == Counter(
        {(name, status): names.count(name) for name, (status, _) in kinds.items()}
    )
    assert len({reply.id for reply in replies}) == 200
    assert not any(ADDRESS.encode() in reply.body for reply in replies)
    assert not any(ADDRESS in got["body"] for got in attacked.mock_received())
    known = [reply.id for name, reply in zip(names, replies, strict=True) if name != "nobody"]
    listed = ", ".join(f"'{one}'" for one in known)
    stored = f"SELECT count() AS rows, uniqExact(id) AS ids FROM audit.requests WHERE id IN ({listed})"  # noqa: S608 - ids that the gate made
    eventually(lambda: attacked.query(stored) == [{"rows": len(known), "ids": len(known)}], "a row for each")

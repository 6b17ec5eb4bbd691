"""What ingest costs: a spool and an access log that grow at a given rate, and the CPU that a real ingest spends on them.

    python bench/shipping.py [--rates 350,2000] [--seconds 10]

One intent, one row and one line of the access log an exchange, as they are in life: the intent when the exchange begins,
its row some milliseconds later, and the line when Envoy flushes its buffer, once a second. Figures are of the ingest
process alone, all its threads (so the database's engine is in), after a warm-up of the same rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import cpu_seconds, resident_mib  # noqa: E402 - found beside this file

from contracts.audit import AuditRow, Intent  # noqa: E402 - found at the root
from contracts.settings import Spool as SpoolSettings  # noqa: E402 - as above
from extproc.edge.spool import Spool  # noqa: E402 - as above

WARM_UP = 4.0
IDLE = 4.0
STEP = 0.01
FLUSH = 1.0
COUNT = {"sql": "SELECT sum(count), count(), uniqExact(id) FROM audit.requests"}
PARTS = {"sql": "SELECT count(), sum(rows) FROM system.parts WHERE database = 'audit' AND table = 'requests' AND active"}


def intended() -> AuditRow:
    """What is known of an exchange before its credential is used."""
    return AuditRow(
        id=str(uuid.uuid4()), time=time.time_ns(), organisation="acme", team="search", project="ranking", environment="dev",
        key_id="4rT9bQz01LmX", key_name="ranking-dev", client_address="127.0.0.1", user_agent="OpenAI/Python 3.54.0", method="POST",
        path="/v1/chat/completions", route="chat", dialect="openai", model_asked="cheap", provider="local", credential="local-main",
        choices=1, messages=1, request_bytes=450, allow=True, decision_id=str(uuid.uuid4()), policy_revision="9f2c41d07a1b",
        snapshot_revision="17", profile="strict", usage_source="none", policy_us=64, redact_us=31, envoy_id=str(uuid.uuid4()),
        plane="extproc-0", gateway_version="0.1.0",
    )  # fmt: skip


def finished(row: AuditRow) -> AuditRow:
    """The same exchange at its end."""
    row.model_served, row.status, row.outcome, row.termination = "tiny-2026", 200, "served", "complete"
    row.finish_reason, row.provider_status, row.provider_request_id = "stop", 200, "chatcmpl-" + row.id[:12]
    row.findings_prompt, row.actions, row.redacted_prompt = {"EMAIL_ADDRESS": 1}, {"prompt.EMAIL_ADDRESS": "redact"}, 1
    row.input_tokens, row.output_tokens, row.usage_source, row.response_bytes = 18, 42, "provider", 920
    row.gate_us, row.upstream_us, row.first_token_us, row.total_us = 210, 1200, 1300, 1900
    return row


def line(row: AuditRow) -> bytes:
    """Envoy's line on it; the fields are those of controlplane/envoy/witness.py."""
    seconds, nanoseconds = divmod(row.time, 1_000_000_000)
    said = {
        "id": row.id, "envoy_id": row.envoy_id,
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds // 1000:06d}Z", "method": "POST",
        "path": row.path, "status": 200, "flags": "-", "details": "via_upstream", "duration_us": 1900, "duration_ms": 2,
        "upstream_us": 1200, "request_bytes": 450, "response_bytes": 920, "client_address": "127.0.0.1",
        "user_agent": row.user_agent, "route": "chat", "provider": "local", "upstream_failure": None, "connection_details": None,
    }  # fmt: skip
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


class Traffic:
    """Writes exchanges at a rate, as extproc and Envoy do."""

    def __init__(self, data: Path) -> None:
        self.spool = Spool(data / "spool" / "extproc-0", SpoolSettings())
        self.written = 0
        self._log = _opened(data / "witness" / "access.jsonl")
        self._lines: list[bytes] = []
        self._flushed = 0.0

    async def run(self, rate: float, seconds: float) -> None:
        """Exchanges for a while; each is under way for one step."""
        begun, done, under_way = time.monotonic(), 0, list[AuditRow]()
        while (passed := time.monotonic() - begun) < seconds:
            rows, under_way = under_way, []
            for _ in range(int(passed * rate) - done):
                under_way.append(intended())
                self.spool.intent(Intent(row=under_way[-1]))
            done += len(under_way)
            self._end(rows)
            await asyncio.sleep(STEP)
        self._end(under_way)
        self._flush()

    def _end(self, rows: list[AuditRow]) -> None:
        for row in rows:
            self.spool.row(finished(row))
            self._lines.append(line(row))
        self.written += len(rows)
        if time.monotonic() - self._flushed >= FLUSH:
            self._flush()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        self._log.write(b"".join(self._lines))
        self._lines.clear()

    async def close(self) -> None:
        """End."""
        self._log.close()
        await self.spool.close()


def _opened(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True)
    return path.open("ab", buffering=0)


async def _ask(data: Path, path: str, body: Any = None) -> Any:
    method, socket = "GET" if body is None else "POST", str(data / "run" / "ingest.sock")
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session,
        session.request(method, f"http://ingest{path}", json=body) as answer,
    ):
        return await answer.json()


async def _ready(data: Path) -> None:
    for _ in range(600):
        try:
            if (await _ask(data, "/healthz")).get("ready"):
                return
        except (aiohttp.ClientError, OSError):
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("ingest did not come up")


@contextmanager
def _ingest(data: Path) -> Iterator[int]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "ingest.server", "--data", str(data)], env=environment)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def _stored(data: Path, count: int) -> float:
    """Seconds until that many exchanges are stored. Raises SystemExit if a row is missing or double."""
    begun = time.monotonic()
    while time.monotonic() - begun < 60:
        total, rows, ids = (await _ask(data, "/query", COUNT))["rows"][0]
        if total >= count:
            if not total == rows == ids == count:
                raise SystemExit(f"{count} exchanges became {rows} rows with {ids} ids")
            return time.monotonic() - begun
        await asyncio.sleep(0.05)
    raise SystemExit(f"only {total} of {count} exchanges were stored")


async def measured(rates: list[float], seconds: float) -> dict[str, Any]:
    """Each rate in turn, then nothing; µs of CPU an exchange, and s of CPU a second at rest."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="pcl-", dir="/tmp") as folder:
        data = Path(folder)
        traffic = Traffic(data)
        traffic.spool.start()
        with _ingest(data) as pid:
            await _ready(data)
            for rate in rates:
                await traffic.run(rate, WARM_UP)
                before, written = cpu_seconds(pid), traffic.written
                await traffic.run(rate, seconds)
                used, written = cpu_seconds(pid) - before, traffic.written - written
                figures[f"us_an_exchange_at_{rate:g}"] = round(used / written * 1e6, 1)
                figures[f"seconds_behind_at_{rate:g}"] = round(await _stored(data, traffic.written), 2)
            await asyncio.sleep(IDLE)
            before = cpu_seconds(pid)
            await asyncio.sleep(2 * IDLE)
            figures["idle_cpu"] = round((cpu_seconds(pid) - before) / (2 * IDLE), 4)
            figures["mib"] = resident_mib(pid)
            figures["parts"] = (await _ask(data, "/query", PARTS))["rows"][0]
            figures["exchanges"] = traffic.written
            await traffic.close()
    return figures


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", default="350,2000")
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    figures = asyncio.run(measured([float(rate) for rate in args.rates.split(",")], args.seconds))
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

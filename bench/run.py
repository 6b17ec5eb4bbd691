"""`make bench`: the line as it is, beside bare Envoy and beside an ext_proc that does nothing, in one run.

    python bench/run.py [--seconds 3] [--rounds 3]

Every figure that matters is a ratio within this run: machines differ and drift. The variants take turns in every
round, in shuffled order; medians over rounds are kept. Results go to bench/results/line.json, with the machine,
the versions and the commit beside them.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests" / "play")]

import stages  # noqa: E402 - found beside this file
from machine import alive, cpu_seconds, described, free_port, resident_mib, until  # noqa: E402 - as above
from variants import bare_envoy, gate, noop_envoy  # noqa: E402 - as above

PROMPT = "Please write a short and polite answer to a customer who asks when the parcel will arrive. " * 4
EVENTS = 100
TARGETS = {
    "python_us_16": "≤ 250 µs of Python CPU a request at 16 connections",
    "throughput_16_of_noop": "≥ 0.5 of the do-nothing ext_proc's requests/s at 16 connections",
    "added_p50_1_ms_over_noop": "≤ 0.35 ms of added median at one connection over the do-nothing ext_proc",
    "extproc_mib": "≤ 80 MiB resident",
    "sse_python_us_a_chunk": "≤ 60 µs of Python CPU a chunk",
}


@dataclass
class Variant:
    """One line under test: where it listens, the key it wants, and its processes by name."""

    name: str
    port: int
    key: str
    pids: dict[str, int]
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, figure: str, value: float) -> None:
        """Keep one round's figure."""
        self.figures[figure].append(value)

    def median(self, figure: str) -> float:
        """The figure over all rounds."""
        return statistics.median(self.figures[figure])


def request(variant: Variant, *, stream: bool, messages: list[dict[str, str]] | None = None) -> bytes:
    """The bytes of one request; with a short prompt, unless `messages` are given."""
    body = json.dumps({"model": "cheap", "stream": stream, "messages": messages or [{"role": "user", "content": PROMPT}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{variant.port}\r\nauthorization: Bearer {variant.key}\r\n"
        "content-type: application/json\r\naccept: application/json\r\nuser-agent: OpenAI/Python 3.54.0\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(variant: Variant, connections: int, seconds: float, *, stream: bool = False) -> dict[str, Any]:
    """Run the generator against a variant; its figures, and the CPU that each process used meanwhile, in seconds."""
    before = {name: cpu_seconds(pid) for name, pid in variant.pids.items()}
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "load.py"), "127.0.0.1", str(variant.port), str(connections), str(seconds)],
        input=request(variant, stream=stream),
        capture_output=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    if figures["errors"]:
        raise SystemExit(f"{variant.name}: {figures['errors']} of {figures['requests']} requests were not answered 200")
    figures["cpu"] = {name: cpu_seconds(pid) - before[name] for name, pid in variant.pids.items()}
    return figures


def unary_round(variant: Variant, seconds: float) -> None:
    """One connection, then sixteen."""
    for connections in (1, 16):
        got = load(variant, connections, seconds)
        variant.note(f"requests_s_{connections}", got["requests"] / seconds)
        variant.note(f"p50_ms_{connections}", got["p50_ms"])
        variant.note(f"p99_ms_{connections}", got["p99_ms"])
        for name, used in got["cpu"].items():
            variant.note(f"{name}_us_{connections}", used / got["requests"] * 1e6)


def stream_round(variant: Variant, seconds: float) -> None:
    """Sixteen streams at once; CPU for each chunk, by process."""
    got = load(variant, 16, seconds, stream=True)
    chunks = got["requests"] * (EVENTS + 2)
    variant.note("chunks_s", chunks / seconds)
    for name, used in got["cpu"].items():
        variant.note(f"{name}_us_a_chunk", used / chunks * 1e6)


@contextmanager
def provider() -> Iterator[int]:
    """The bench's own provider."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(ROOT / "bench" / "provider.py"), str(port), str(EVENTS)])
    try:
        until(lambda: alive(port), "the bench's provider")
        yield port
    finally:
        process.terminate()
        process.wait()


def measured(rounds: int, seconds: float) -> dict[str, Any]:
    """All variants, all rounds; the figures."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pcl-", dir="/tmp")))
        port = running.enter_context(provider())
        variants = [
            Variant(name, *running.enter_context(make(folder / name, port)))
            for name, make in (("bare", bare_envoy), ("noop", noop_envoy), ("gate", gate))
        ]
        for variant in variants:
            load(variant, 4, 1.0)
        for number in range(rounds):
            for variant in random.sample(variants, len(variants)):
                print(f"round {number + 1} of {rounds}: {variant.name}", file=sys.stderr)
                unary_round(variant, seconds)
                stream_round(variant, seconds)
        line = variants[-1]
        line.note("extproc_mib", resident_mib(line.pids["extproc"]))
        line.note("ingest_mib", resident_mib(line.pids["ingest"]))
        return {variant.name: {figure: round(variant.median(figure), 3) for figure in variant.figures} for variant in variants}


def ratios(figures: dict[str, Any]) -> dict[str, float]:
    """What the targets are about."""
    bare, noop, line = figures["bare"], figures["noop"], figures["gate"]
    return {
        "python_us_16": line["extproc_us_16"],
        "python_us_16_noop": noop["extproc_us_16"],
        "envoy_and_extproc_us_16": round(line["envoy_us_16"] + line["extproc_us_16"], 1),
        "throughput_16_of_noop": round(line["requests_s_16"] / noop["requests_s_16"], 3),
        "throughput_16_of_bare": round(line["requests_s_16"] / bare["requests_s_16"], 3),
        "added_p50_1_ms_over_noop": round(line["p50_ms_1"] - noop["p50_ms_1"], 3),
        "added_p50_1_ms_over_bare": round(line["p50_ms_1"] - bare["p50_ms_1"], 3),
        "extproc_mib": line["extproc_mib"],
        "sse_python_us_a_chunk": line["extproc_us_a_chunk"],
        "sse_python_us_a_chunk_noop": noop["extproc_us_a_chunk"],
    }


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    began = time.time()
    figures = measured(args.rounds, args.seconds)
    result = {
        "what": "unary: 0.4 KB prompt; streams: 16 at once, 100 events 1 ms apart; provider and load generator on the same machine",
        "machine": described(),
        "seconds": round(time.time() - began),
        "ratios": ratios(figures),
        "targets": TARGETS,
        "variants": figures,
        "stages_us": stages.measured(),
    }
    out = ROOT / "bench" / "results" / "line.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for name, value in result["ratios"].items():
        print(f"{name:32} {value:>10}   {TARGETS.get(name, '')}")
    print("where extproc's time goes, µs a request:")
    for name, value in result["stages_us"].items():
        print(f"  {name:30} {value:>8}")
    print(f"kept in {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

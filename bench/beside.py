"""`python bench/beside.py`: what small requests notice of large ones.

Eight connections ask small questions, one after another; then they do so while four more send bodies of nearly 20 MiB, back
to back. Both through the whole gate, and both through bare Envoy, in the same run: what bare Envoy shows is the machine's
part, which here also carries provider and load generators. Medians over rounds; results go to bench/results/beside.json.
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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import described, resident_mib  # noqa: E402 - found beside this file
from run import Variant, provider, request  # noqa: E402 - as above
from variants import bare_envoy, gate  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL, LARGE = 8, 4
LARGE_BYTES = (20 << 20) - (64 << 10)
"""Just under limits.request_bytes."""

TARGET = "≤ 3 times the p99 without the large ones"
SAID = (
    "the parcel was sent on monday and has not arrived yet so please ask the carrier where it is and write to the customer "
    "about when it will come what it weighs who signed for it and whether the price on the invoice is right für die Größe"
)


def prose(size: int) -> str:
    """About `size` characters of sentences, with an e-mail address in every few kilobytes; the same each time."""
    dice, words = random.Random(4), SAID.split()  # noqa: S311 - prose, no secret
    written: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(dice.choices(words, k=dice.randint(6, 20))).capitalize() + ".\n"
        if dice.random() < 0.03:
            sentence = f'"{dice.choice(words)}.{dice.randint(1, 9999)}@example.com" wrote: {sentence}'
        written.append(sentence)
        length += len(sentence)
    return "".join(written)


def large_request(variant: Variant) -> bytes:
    """A long conversation, in one request of LARGE_BYTES."""
    text = prose(LARGE_BYTES)
    turns = [text[at : at + 40_000] for at in range(0, len(text), 40_000)]
    while True:
        messages = [{"role": ("user", "assistant")[number % 2], "content": turn} for number, turn in enumerate(turns)]
        asked = request(variant, stream=False, messages=messages)
        if len(asked) <= LARGE_BYTES:
            return asked
        turns.pop()


def generator(variant: Variant, asked: bytes, connections: int, seconds: float) -> subprocess.Popen[bytes]:
    """A load generator, under way."""
    command = [sys.executable, str(ROOT / "bench" / "load.py"), "127.0.0.1", str(variant.port), str(connections), str(seconds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(asked)
    process.stdin.close()
    return process


def figures_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a generator measured."""
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.read())
    process.wait()
    return told


def alone(variant: Variant, seconds: float) -> None:
    """Small requests, and nothing else."""
    note(variant, "alone", figures_of(generator(variant, request(variant, stream=False), SMALL, seconds)), seconds)


def beside(variant: Variant, asked: bytes, seconds: float) -> None:
    """Small requests while large ones come; these begin a second before and end when the small ones have ended."""
    large = generator(variant, asked, LARGE, seconds + 2.0)
    time.sleep(1.5)
    note(variant, "beside", figures_of(generator(variant, request(variant, stream=False), SMALL, seconds)), seconds)
    if "extproc" in variant.pids:
        variant.note("extproc_mib", resident_mib(variant.pids["extproc"]))
        variant.note("workers_mib", sum(map(resident_mib, workers(variant.pids["extproc"]))))
    note(variant, "large", figures_of(large), seconds + 2.0)


def workers(pid: int) -> list[int]:
    """Extproc's worker processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


def note(variant: Variant, name: str, told: dict[str, Any], seconds: float) -> None:
    """Keep a generator's figures. An answer that is not 200 spoils a figure about small requests, and is counted for large ones."""
    if told["errors"] and name != "large":
        raise SystemExit(f"{variant.name}, {name}: {told['errors']} of {told['requests']} small requests were not answered 200")
    variant.note(f"{name}_requests_s", told["requests"] / seconds)
    variant.note(f"{name}_errors", told["errors"])
    for share in ("p50_ms", "p99_ms"):
        if told[share] is not None:
            variant.note(f"{name}_{share}", told[share])


@contextmanager
def lines() -> Iterator[list[Variant]]:
    """Both lines, running."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pcl-", dir="/tmp")))
        port = running.enter_context(provider())
        made = (("bare", bare_envoy), ("gate", gate))
        yield [Variant(name, *running.enter_context(make(folder / name, port))) for name, make in made]


def measured(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Both lines, all rounds; the medians."""
    with lines() as variants:
        asked = {variant.name: large_request(variant) for variant in variants}
        for variant in variants:
            figures_of(generator(variant, request(variant, stream=False), SMALL, 1.0))
        for number in range(rounds):
            for variant in random.sample(variants, len(variants)):
                print(f"round {number + 1} of {rounds}: {variant.name}", file=sys.stderr)
                alone(variant, seconds)
                beside(variant, asked[variant.name], seconds)
        return {
            variant.name: {name: round(statistics.median(values), 2) for name, values in variant.figures.items()} for variant in variants
        }


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    figures = measured(args.rounds, args.seconds)
    ratios = {
        "p99_beside_large": round(figures["gate"]["beside_p99_ms"] / figures["gate"]["alone_p99_ms"], 2),
        "p99_beside_large_bare_envoy": round(figures["bare"]["beside_p99_ms"] / figures["bare"]["alone_p99_ms"], 2),
    }
    result = {
        "what": f"{SMALL} connections with small requests, alone and beside {LARGE} with {LARGE_BYTES / (1 << 20):.1f} MiB, back to back",
        "machine": described(),
        "ratios": ratios,
        "targets": {"p99_beside_large": TARGET},
        "variants": figures,
    }
    out = ROOT / "bench" / "results" / "beside.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for variant, values in figures.items():
        for name, value in values.items():
            print(f"{variant:6} {name:24} {value:>10}")
    for name, value in ratios.items():
        print(f"{name:32} {value:>10}   {result['targets'].get(name, '')}")  # type: ignore[attr-defined] # a dict
    print(f"kept in {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python bench/bodies.py`: what a body costs, and an event of a stream, beside `json.loads` of the same bytes in the same run.

A body is parsed, examined, understood as a chat, looked into and, where something is found or the model has another
name at its provider, rewritten: all that a request's bytes cost between Envoy's message and the answer to it. CPU time
of this process alone, best of several rounds. Allocations are those of one pass, at their peak. Results go to
bench/results/bodies.json.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import described  # noqa: E402 - found beside this file

from contracts.policy import Actions  # noqa: E402 - as above
from extproc.core import prompt  # noqa: E402 - as above
from extproc.core.dialects import named  # noqa: E402 - as above
from extproc.core.stream import StreamedAnswer  # noqa: E402 - as above

KIB = 1024
SIZES = {"0.4 KB": 400, "2 KB": 2 * KIB, "20 KB": 20 * KIB, "200 KB": 200 * KIB, "5 MB": 5 * KIB * KIB}
TEXT = "Please write a short and polite answer to a customer who asks when the parcel will arrive. "
FOUND = "Write to anna.larsen@example.com about it, and please be quick. "
EVERY = 1 * KIB
"""Bytes of prompt with one address among them, where addresses are to be found."""
TURN = 1_500
"""Bytes of one message."""
REDACT = Actions({"*": "redact"}, {"*": "redact"}, "block")
CHAT = named("chat")
TARGETS = {
    "0.4 KB": "≤ 15 µs where nothing is found; ≤ 2.5 times that with one address",
    "larger": "≤ 10 µs a KB where nothing is found; ≤ 2.5 times that with an address in every KB",
    "event": "≤ 60 µs of CPU an event, without the transport",
}


def text_of(size: int, *, addresses: bool) -> str:
    """`size` characters of prose, with an address at the beginning of every EVERY where there are to be any."""
    block = (TEXT * (EVERY // len(TEXT) + 1))[:EVERY]
    if addresses:
        block = FOUND + block[: EVERY - len(FOUND)]
    return (block * (size // EVERY + 1))[:size]


def body_of(size: int, *, addresses: bool) -> bytes:
    """A chat of about `size` bytes, in turns of TURN bytes."""
    text = text_of(max(size - 100, 64), addresses=addresses)
    turns = [text[at : at + TURN] for at in range(0, len(text), TURN)]
    messages = [{"role": ("user", "assistant")[number % 2], "content": turn} for number, turn in enumerate(turns)]
    return json.dumps({"model": "tiny", "messages": messages}).encode()


def passed(raw: bytes, *, renamed: bool = False) -> bytes:
    """The whole way of a body."""
    reading = prompt.understood(CHAT, raw, 64)
    prompt.done(reading, REDACT)
    more = [*reading.call.asks, *([prompt.named("tiny-2026", reading.call)] if renamed else ())]
    return prompt.cleaned(raw, reading, REDACT, more)[0] if more or reading.places else raw


def cost(step: Callable[[], Any]) -> float:
    """µs of CPU for one call: the best of seven rounds of about 50 ms each."""
    step()
    gc.collect()
    began = time.process_time_ns()
    step()
    times = max(1, round(50e6 / max(time.process_time_ns() - began, 1_000)))
    rounds = []
    for _ in range(7):
        began = time.process_time_ns()
        for _ in range(times):
            step()
        rounds.append((time.process_time_ns() - began) / times / 1_000)
    return min(rounds)


def peak(step: Callable[[], Any]) -> int:
    """Bytes that one call has allocated at its peak, as Python counts them."""
    gc.collect()
    tracemalloc.start()
    step()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def bodies() -> dict[str, dict[str, float]]:
    """Size → its figures."""
    results: dict[str, dict[str, float]] = {}
    for name, size in SIZES.items():
        clean, dirty = body_of(size, addresses=False), body_of(size, addresses=True)
        kib = len(clean) / KIB
        loads = cost(lambda clean=clean: json.loads(clean))
        plain = cost(lambda clean=clean: passed(clean))
        found = cost(lambda dirty=dirty: passed(dirty))
        results[name] = {
            "bytes": len(clean),
            "json_loads_us": round(loads, 1),
            "nothing_found_us": round(plain, 1),
            "renamed_us": round(cost(lambda clean=clean: passed(clean, renamed=True)), 1),
            "found_us": round(found, 1),
            "nothing_found_us_a_kb": round(plain / kib, 2),
            "found_us_a_kb": round(found / (len(dirty) / KIB), 2),
            "nothing_found_of_json_loads": round(plain / loads, 2),
            "found_of_nothing_found": round(found / plain, 2),
            "peak_allocated_of_bytes": round(peak(lambda clean=clean: passed(clean)) / len(clean), 1),
        }
    return results


def event(text: str) -> bytes:
    """One event of a chat's stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    document = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": [choice]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def stream() -> dict[str, float]:
    """What an event of a stream costs, a word an event, and the last of it once it is known to be the last."""
    events = [event(f"{word} ") for word in (TEXT * 40).split()]

    def read() -> None:
        answer = StreamedAnswer(CHAT, REDACT)
        for one in events:
            answer.feed(one)
        answer.finish()

    loads = statistics.fmean(cost(lambda one=one: json.loads(one[6:])) for one in events[:8])
    each = cost(read) / len(events)
    return {"event_us": round(each, 1), "json_loads_us": round(loads, 1), "event_of_json_loads": round(each / loads, 1)}


def main() -> int:
    """Measure, print, keep."""
    result = {"machine": described(), "targets": TARGETS, "bodies": bodies(), "stream": stream()}
    out = ROOT / "bench" / "results" / "bodies.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for name, figures in result["bodies"].items():
        print(f"{name:8}" + "".join(f"  {figure} {value}" for figure, value in figures.items()))
    print("stream  " + "".join(f"  {figure} {value}" for figure, value in result["stream"].items()))
    print(f"kept in {out.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

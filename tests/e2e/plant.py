"""Plants a fresh e-mail address at every text of every dialect's requests and answers, through the whole gate, and tells who saw one.

`python tests/e2e/plant.py` starts a gate and a mock provider of its own; with `--url`, `--key` and `--mock` it asks one that runs
(`make demo` prints all three). Its key must redact all kinds and not block what can't be read, or its requests are refused; the table
counts those. Exit code 0 if nobody saw an address.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from declared import TWO_FAMILIES
from plain_http import Reply, ask
from policy_folders import copied
from shapes import routes as shapes
from shapes.passing import REDACT, ROUTES, stream_of
from shapes.planting import SPELLINGS, Spelling, address, everywhere, joined, readings
from shapes.streams import documents
from stack import Stack

from extproc.core.dialects import Route
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Unreadable

DECLARED: Final = (
    TWO_FAMILIES
    + """\
keys:
  app: {team: search, project: ranking, environment: dev, models: ["*"], profile: reading}
  open: {team: search, project: ranking, environment: dev, models: ["*"], profile: watching}
profiles:
  reading: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: alert}
  watching: {prompt: {"*": alert}, answer: {"*": alert}, unscanned: alert}
"""
)

NOTHING: Final = '_allowed contains "none"'
EVERYTHING: Final = "_allowed contains feature if some feature in input.request.features"
"""What the rule about features says as shipped, and what it says here, since all of them are to be looked into."""

PLANTED: Final = re.compile(r"planted[0-9]{6}x")
WRITTEN: Final = (SPELLINGS[1], SPELLINGS[2], SPELLINGS[5], SPELLINGS[8])
"""Within words; every character escaped; in JSON, and in JSON in JSON, with escapes."""

AT_ONCE: Final = 4
LARGE: Final = 40_000
"""Characters of a document to which no other is joined."""

SERVER_ERROR, BAD_GATEWAY = 500, 502
STREAM_HEAD: Final = {"content-type": "text/event-stream"}


@dataclass(slots=True)
class Line:
    """A line of the table: how many requests, how many addresses in them or in what answered them, and which were seen by whom."""

    route: str
    side: str
    asked: int = 0
    planted: int = 0
    refused: int = 0
    by_provider: set[str] = field(default_factory=set)
    by_client: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        counts = (self.asked, self.planted, self.refused, len(self.by_provider), len(self.by_client))
        return f"{self.route:<14}{self.side:<10}" + "".join(f"{count:>9}" for count in counts)


HEADING: Final = f"{'route':<14}{'side':<10}" + "".join(f"{name:>9}" for name in ("asked", "planted", "refused", "provider", "client"))


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that runs, and the mock provider behind it."""

    url: str
    key: str
    mock: str
    models: Mapping[str, str]

    def ask(self, route: Route, body: bytes) -> Reply:
        """One request, as an app would send it."""
        return ask(self.url, "POST", route.path, body, content_type="application/json", authorization=f"Bearer {self.key}")

    def script(self, *steps: Mapping[str, Any]) -> None:
        """Programme the mock's next answers."""
        assert ask(self.mock, "POST", "/__script", json.dumps(steps).encode()).status == 200

    def received(self) -> list[bytes]:
        """All that the mock got since the last time: a request a line."""
        got = ask(self.mock, "GET", "/__received").body.splitlines()
        ask(self.mock, "DELETE", "/__received")
        return got


# ── what is planted ────────────────────────────────────────────────────────────


def merged(given: Iterable[Any]) -> list[Any]:
    """The same documents in fewer, where they differ only in what their arrays hold."""
    made: list[Any] = []
    for document in given:
        last = made[-1] if made else {}
        both = last.keys() & document.keys()
        if made and len(json.dumps(last)) < LARGE and all(_joinable(last[name], document[name]) for name in both):
            longer = {name: last[name] + document[name] for name in both if last[name] != document[name]}
            made[-1] = {**last, **document, **longer}
        else:
            made.append(document)
    return made


def _joinable(first: Any, second: Any) -> bool:
    return first == second or all(type(one) is list and {type(item) for item in one} == {dict} for one in (first, second))


def request_of(route: Route, model: str) -> dict[str, Any]:
    """A plain request of a route."""
    document = {"model": model, "messages": [{"role": "user", "content": "hello"}], "prompt": "hello", "input": "hello", "max_tokens": 9}
    members = {"chat": "messages", "completions": "prompt", "messages": "messages max_tokens", "count_tokens": "messages"}
    return {name: value for name, value in document.items() if name in ("model", *members.get(route.name, "input").split())}


def streams(route: Route, spellings: Sequence[Spelling]) -> Iterator[tuple[int, bytes]]:
    """All events of a route with addresses in all their texts, in as few streams as they fit in, and how many there are."""
    stream = stream_of(route)
    reading, sent, planted = StreamedAnswer(route, REDACT), b"", 0
    for number, document in enumerate(shapes.of(route.name).events):
        found, text, _ = everywhere(document, spellings[number % len(spellings)])
        line = (f"event: {document['type']}\n" if stream.named else "").encode() + f"data: {text}\n\n".encode()
        try:
            reading.feed(line)
        except Unreadable:
            yield planted, sent
            reading, sent, planted = StreamedAnswer(route, REDACT), b"", 0
            reading.feed(line)
        sent, planted = sent + line, planted + len(found)
    yield planted, sent


def split_streams(route: Route) -> Iterator[tuple[int, bytes]]:
    """Streams with an address in each text that comes in pieces, split at one place further in each."""
    stream = stream_of(route)
    for place in range(1, len(address())):
        texts = {site.name: address() for site in stream.sites}
        yield len(texts), stream.render({name: [text[:place], text[place:]] for name, text in texts.items()})


# ── who saw what ───────────────────────────────────────────────────────────────


def seen_in(sent: bytes) -> set[str]:
    """The planted addresses that can be read in bytes, or put together from them."""
    text = sent.decode(errors="replace")
    try:
        trees = [json.loads(text)]
    except json.JSONDecodeError:
        try:
            trees = documents(sent)
        except json.JSONDecodeError:
            trees = []
    every = [text, *joined(trees)]
    return {found for one in every for read in readings(one) for found in PLANTED.findall(read)}


def of_requests(gate: Gate, route: Route) -> Line:
    """Addresses in the route's requests, in every spelling: what the mock got."""
    line = Line(route.name, "requests")
    model = gate.models[route.dialect.name]
    bodies: list[bytes] = []
    for document in merged({**one, "model": model} for one in shapes.of(route.name).requests):
        for spelling in WRITTEN:
            found, text, _ = everywhere(document, spelling, spared=["model"])
            bodies.append(text.encode())
            line.planted += len(found)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for reply in pool.map(lambda body: gate.ask(route, body), bodies):
            line.asked += 1
            line.refused += reply.status != 200
            line.by_client |= seen_in(reply.body)
    received = gate.received()
    assert len(received) == line.asked - line.refused, "what was let through came somewhere else"
    for got in received:
        line.by_provider |= seen_in(got)
    return line


def of_answers(gate: Gate, route: Route, *, failed: bool = False) -> Line:
    """Addresses in the route's answers, or in its provider's errors: what the app got."""
    line = Line(route.name, "errors" if failed else "answers")
    found = shapes.of(route.name)
    for document in merged(found.errors if failed else found.answers):
        for number, spelling in enumerate(WRITTEN):
            planted, text, _ = everywhere(document, spelling)
            line.planted += len(planted)
            status = (400, 429, 500, 529)[number] if failed else 200
            _answered(gate, route, line, {"body": text, "status": status, "headers": {"content-type": "application/json"}})
    return line


def of_streams(gate: Gate, route: Route) -> Line:
    """Addresses in the route's events, whole and split over them, the bytes cut anyhow: what the app got."""
    line = Line(route.name, "streams")
    whole, split = list(streams(route, WRITTEN)), list(split_streams(route))
    for number, (planted, sent) in enumerate((*split, *whole)):
        line.planted += planted
        cut = {"chunk_sizes": [(7, 64, 1000)[number % 3] if number else 1]}
        _answered(gate, route, line, {"body": sent.decode(), "headers": STREAM_HEAD, **cut}, stream=True)
    return line


def _answered(gate: Gate, route: Route, line: Line, step: Mapping[str, Any], **more: Any) -> None:
    gate.script(step)
    reply = gate.ask(route, json.dumps({**request_of(route, gate.models[route.dialect.name]), **more}).encode())
    line.asked += 1
    status = step.get("status", 200)
    line.refused += reply.status != (BAD_GATEWAY if status >= SERVER_ERROR else status)
    line.by_client |= seen_in(reply.body)


def lines(gate: Gate) -> Iterator[Line]:
    """The table, line by line."""
    gate.received()
    for route in ROUTES:
        yield of_requests(gate, route)
        yield of_answers(gate, route)
        yield of_answers(gate, route, failed=True)
        if shapes.of(route.name).stream:
            yield of_streams(gate, route)
        gate.received()


@contextmanager
def own_gate() -> Iterator[Stack]:
    """A gate and a mock provider for this alone, in which every feature is allowed."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="plant-")))
        rule = "gateway/rules/content/feature_allowed"
        name = f"{rule}/feature_allowed.rego"
        policies = copied(folder, removed=(f"{rule}/feature_allowed_test.rego",))
        text = (policies / name).read_text("utf-8")
        (policies / name).write_text(text.replace(NOTHING, EVERYTHING), "utf-8")
        yield ending.enter_context(Stack(DECLARED, settings=f"policy: embedded://{policies}\n"))


def gate_of(stack: Stack, key: str = "app") -> Gate:
    """The gate that a stack runs, for one of its keys."""
    return Gate(stack.gateway, stack.key(key), stack.mock, {"openai": "cheap", "anthropic": "small"})


def main() -> int:
    """Plant and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="the gate's address")
    parser.add_argument("--key", help="a virtual key")
    parser.add_argument("--mock", help="the mock provider's address")
    parser.add_argument("--model", default="cheap", help="a model of dialect openai")
    parser.add_argument("--anthropic-model", default="small", help="a model of dialect anthropic")
    chosen = parser.parse_args()
    with ExitStack() as ending:
        models = {"openai": chosen.model, "anthropic": chosen.anthropic_model}
        if chosen.url and chosen.key and chosen.mock:
            gate = Gate(chosen.url, chosen.key, chosen.mock, models)
        else:
            gate = replace(gate_of(ending.enter_context(own_gate())), models=models)
        sys.stdout.write(f"{HEADING}\n")
        seen = 0
        for line in lines(gate):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            seen += len(line.by_provider) + len(line.by_client)
        return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main())

"""Attacks on a whole gate, as tables: what is sent, what the app sees of it, and the row it leaves.

All attacks of a table go out one after the other, each from an address of its own and each followed by a good request that
must be served; then their rows are waited for together. `attack_table.py` makes docs/attacks.md of the same tables.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from raw_http import Answer, Heard, Sources, http2, talk
from stack import PROVIDER_SECRET, Stack, eventually

KEY: Final = b"pcl_%b_%b_%b" % (b"K" * 12, b"K" * 43, b"K" * 6)
"""Stands in tables for the virtual key `app`, which is as long; OTHER for another valid one."""
OTHER: Final = KEY.replace(b"K", b"O")

ASKED: Final = b'{"model":"cheap","messages":[{"role":"user","content":"hi"}]}'
SENT_ON: Final = ASKED.replace(b"cheap", b"tiny").decode()

INVALID: Final = "refused, refused, invalid_request"
UNKNOWN: Final = "refused, refused, unknown_route"
NO_KEY: Final = "refused, refused, invalid_api_key"
SERVED: Final = "served, complete"
WITNESS: Final = "second witness"

TO_PROVIDER: Final = {"host", "authorization", "accept", "accept-encoding", "content-type", "content-length", "openai-beta", "user-agent"}
TO_APP: Final = {
    "cache-control", "connection", "content-language", "content-length", "content-type", "date", "openai-processing-ms",
    "openai-version", "retry-after", "retry-after-ms", "server", "transfer-encoding", "x-portcullis-cost-usd",
    "x-portcullis-decision-id", "x-portcullis-request-id", "x-request-id", "x-should-retry",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is seen from outside. `app`: see Heard. `provider`: requests that reached it. `row`: `outcome, termination, error_code`."""

    app: str
    row: str
    by: str
    provider: int


@dataclass(frozen=True, slots=True)
class Attack:
    """One line of a table. `wire`: bytes as they are sent, in pieces; `streams`: of HTTP/2, those that are listened to.

    `app` has ` or ` in it where it depends on timing what still reaches the app.
    """

    name: str
    wire: bytes | Sequence[bytes]
    app: str = "400 invalid_request"
    row: str = INVALID
    by: str = "extproc"
    provider: int = 0
    answers: int = 1
    streams: Sequence[int] | None = None

    def expected(self, seen: Outcome) -> Outcome:
        """What must be seen."""
        app = seen.app if seen.app in self.app.split(" or ") else self.app
        return Outcome(app, self.row, self.by if self.row != "none" else "", self.provider)

    def unmet(self, seen: Seen) -> list[str]:
        """What is not as the table says, in words: the outcome, what was wrong besides, and the good request that followed."""
        expected = self.expected(seen.outcome)
        found = [] if seen.outcome == expected else [f"{seen.outcome} instead of {expected}"]
        found += seen.faults
        return found if seen.after == 200 else [*found, f"the good request that followed got {seen.after}"]


@dataclass(slots=True)
class Seen:
    """What was seen of an attack. `faults`: what was wrong besides, in words; `after`: of the good request that followed."""

    heard: Heard
    received: Sequence[Mapping[str, Any]]
    after: int
    rows: Sequence[Mapping[str, Any]] = ()
    faults: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome:
        """The line that was seen."""
        counted = Counter(row_words(row) for row in self.rows for _ in range(row["count"]))
        words = [word if count == 1 else f"{count} × {word}" for word, count in sorted(counted.items())]
        writers = sorted({{"extproc": "extproc", "envoy": WITNESS}[row["witness"]] for row in self.rows})
        return Outcome(self.heard.app, "; ".join(words) or "none", ", ".join(writers), len(self.received))


def row_words(row: Mapping[str, Any]) -> str:
    """A row in words."""
    return ", ".join(filter(None, (row["outcome"], row["termination"], row["error_code"])))


class Stage:
    """A gate that is attacked."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.port = int(stack.gateway.rpartition(":")[2])
        self.keys = {KEY: stack.key("app").encode(), OTHER: stack.key("strict").encode()}
        self.sources = Sources()

    def filled(self, wire: bytes | Sequence[bytes]) -> list[bytes]:
        """The pieces with the real keys in them."""
        pieces = [wire] if isinstance(wire, bytes) else list(wire)
        for stand_in, key in self.keys.items():
            pieces = [piece.replace(stand_in, key) for piece in pieces]
        return pieces

    def send(self, attack: Attack) -> Heard:
        """One attack, from a fresh address."""
        pieces = self.filled(attack.wire)
        if attack.streams is None:
            return talk(self.port, self.sources.fresh(), pieces, attack.answers)
        with http2(self.port, self.sources.fresh()) as connection:
            connection.send(*pieces)
            connection.listen(*attack.streams)
            return connection.heard

    def see(self, act: Callable[[], Heard]) -> Seen:
        """Do it, and look at the provider and at a good request afterwards. Rows come later."""
        self.stack.forget()
        heard = act()
        received = self.stack.mock_received()
        self.stack.forget_steps()
        return Seen(heard, received, self.stack.chat().status, faults=self.provider_faults(received))

    def observe(self, attacks: Sequence[Attack]) -> dict[str, Seen]:
        """All attacks of a table."""
        seen = {attack.name: self.see(lambda attack=attack: self.send(attack)) for attack in attacks}  # type: ignore[misc] # a default
        self.add_rows(list(seen.values()))
        return seen

    def add_rows(self, seen: Sequence[Seen]) -> None:
        """Wait until every exchange has its row, then give each its own, and look for what may never be."""
        eventually(self.all_counted, "a row, or a place in a minute's count, for every request that Envoy counts")
        by_source: dict[str, list[dict[str, Any]]] = {}
        for row in self.stack.query("SELECT * FROM audit.requests WHERE client_address != '127.0.0.1' ORDER BY id"):
            by_source.setdefault(row["client_address"], []).append(row)
        for one in seen:
            one.rows = by_source.get(one.heard.source, [])
            one.faults += self.answer_faults(one)

    def all_counted(self) -> bool:
        """Every request that Envoy counts is stored, or held for the count of its minute."""
        stats = self.stack.client.call("GET", "/api/v1/audit/stats")
        return bool(stats["stored"] + stats["held"] == self.stack.envoy_counter())

    # ── what must hold whatever is sent ───────────────────────────────────────

    @property
    def secrets(self) -> list[bytes]:
        """What nobody may be shown: the provider's credential and the secret parts of the keys."""
        return [PROVIDER_SECRET.encode(), *(key.split(b"_")[2] for key in self.keys.values())]

    def answer_faults(self, seen: Seen) -> list[str]:
        """Of what the app got."""
        ids = {row["id"] for row in seen.rows}
        passed_on = {row["provider_status"] for row in seen.rows}
        found = ["a secret in what the app got" for secret in self.secrets if secret in seen.heard.raw]
        for answer in seen.heard.answers:
            if answer.status < 200:
                continue
            found += [f"header {name}" for name, _ in answer.headers if name not in TO_APP]
            if answer.get("x-portcullis-request-id") not in ids:
                found.append("the app was told another id than the row's")
            if answer.status >= 400 and answer.status not in passed_on:
                found += _shape_faults(answer)
        return found

    def provider_faults(self, received: Sequence[Mapping[str, Any]]) -> list[str]:
        """Of what the provider got: one spelling of one request, with its own credential, and nothing of the attack."""
        found = []
        for request in received:
            if (request["method"], request["path"], request["body"]) != ("POST", "/v1/chat/completions", SENT_ON):
                found.append(f"the provider got {request['method']} {request['path']} {request['body']}")
            found += [f"the provider got the header {name}" for name in request["headers"] if name not in TO_PROVIDER]
            if request["headers"].get("authorization") != f"Bearer {PROVIDER_SECRET}":
                found.append("the provider got another credential")
            if any(secret in json.dumps(request).encode() for secret in self.secrets[1:]):
                found.append("the provider got a key")
        return found

    def written_faults(self) -> list[str]:
        """Of what the gate wrote down: no secret in any row, log line or message."""
        places = {
            "rows": json.dumps(self.stack.query("SELECT * FROM audit.requests")).encode(),
            "access log": b"".join(path.read_bytes() for path in self.stack.data.rglob("*access*.jsonl*")),
            "log": self.stack.log_file.read_bytes(),
        }
        assert all(places.values())
        return [f"a secret in the {place}" for place, raw in places.items() if any(secret in raw for secret in self.secrets)]


_MEMBERS: Final = ({"message", "type", "param", "code", "request_id"}, {"message", "type", "details"})
"""Of a refusal's `error` in OpenAI's shape, and in Anthropic's."""


def _shape_faults(answer: Answer) -> list[str]:
    """A refusal is one of ours, and says nothing of Envoy."""
    if not answer.error:
        return [] if not answer.body else [f"{answer.status} without our shape"]
    found = []
    if not any(members <= set(answer.error) for members in _MEMBERS):
        found.append("an error without our members")
    if answer.get("x-portcullis-request-id") not in {answer.error.get("request_id"), json.loads(answer.body).get("request_id")}:
        found.append("body and header name different exchanges")
    if re.search(rb"envoy|upstream connect|nghttp2", answer.body, re.IGNORECASE):
        found.append("Envoy's own words")
    return found


def cases(attacks: Sequence[Any]) -> list[Any]:
    """Attacks as a test's parameters."""
    return [pytest.param(attack, id=attack.name) for attack in attacks]

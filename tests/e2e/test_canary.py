"""Secrets and texts are planted in every kind of exchange, and then looked for wherever a gate writes.

Looked through: every file of the data folder (the spool as extproc left it, before ingest took it), every row by SQL, all
that `up` printed, what the parts' command lines say, Envoy's own dump of its state, and what apps got back.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from plain_http import Reply
from stack import PROVIDER_SECRET, Stack, eventually

from contracts.audit import OUTCOMES

PROMPT: Final = "canary-of-the-prompt-5d1c"
ANSWER: Final = "canary-of-the-answer-9e7b"
PERSON: Final = "canary.person@example.com"
CARD: Final = "4111 1111 1111 1111"
TEXTS: Final = (PROMPT, ANSWER, PERSON, CARD, CARD.replace(" ", ""))
OWN: Final = {"vault/admin-token", "vault/kek"}
"""Files whose business it is to hold a secret of the gate's own."""

STREAM: Final = {"text": [f"{ANSWER} canary.per", "son@exam", f"ple.com {CARD}"], "chunk_delay_ms": 5}
ECHO: Final = f"{ANSWER}: no such key {PROVIDER_SECRET}, {PERSON}"


def spellings(secret: str) -> Iterator[bytes]:
    """A text as it is, and as programs are used to writing it: base64 at each of its three places, hex, in a URL, in JSON."""
    raw = secret.encode()
    yield from {raw, raw.hex().encode(), quote(secret).encode(), json.dumps(secret)[1:-1].encode()}
    for before in range(3):
        yield base64.b64encode(b"\0" * before + raw)[4 if before else 0 : -4]


def shown(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Which secret stands where."""
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, raw in places.items()
        if any(s in raw for s in spellings(secret))
    ]


def asked(**more: Any) -> dict[str, Any]:
    """A request that is full of canaries; `cheap` may be asked for by every key."""
    messages = [
        {"role": "system", "content": f"{PROMPT} of the system"},
        {"role": "user", "content": [{"type": "text", "text": f"{PROMPT}: write to {PERSON}"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"q": PROMPT})}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": PROMPT},
    ]
    return {"model": "cheap", "messages": messages, "stop": [PROMPT], **more}


def exchanges(gate: Stack) -> Mapping[str, Callable[[], Reply]]:
    """Each kind of exchange by name. The mock is told beforehand what to answer."""
    key = gate.key()
    card = [{"role": "user", "content": f"{PROMPT} {CARD}"}]
    broken = json.dumps(asked()).encode()[:-1]
    echo = json.dumps({"error": {"message": ECHO}})

    def failing(**step: Any) -> Reply:
        gate.script(step)
        return gate.ask(asked())

    def streamed(step: Mapping[str, Any], name: str = "app") -> Reply:
        gate.script(step)
        return gate.ask(asked(stream=True), key=name)

    return {
        "served": lambda: failing(text=f"{ANSWER} {PERSON} {CARD}"),
        "served in a stream": lambda: streamed(STREAM),
        "watched only": lambda: streamed(STREAM, "watched"),
        "tools": lambda: failing(tool_calls=[{"name": "f", "arguments": {"q": f"{ANSWER} {PERSON}"}, "id": "c"}]),
        "model refused": lambda: gate.ask(asked(model="dear")),
        "card refused": lambda: gate.ask(asked(messages=card), key="strict"),
        "no json": lambda: gate.ask(broken),
        "twice the same name": lambda: gate.ask(b'{"model": "cheap", "%s": 1, "%s": 2}' % (PROMPT.encode(), PROMPT.encode())),
        "wrong key": lambda: gate.ask(asked(), key="", authorization=f"Bearer {key[:-1]}{'1' if key[-1] == '0' else '0'}"),
        "cut key": lambda: gate.ask(asked(), key="", x_api_key=key[:-3]),
        "key in the query": lambda: gate.ask(asked(), path=f"/v1/chat/completions?key={key}&text={PROMPT}"),
        "unknown path": lambda: gate.ask(asked(), path=f"/v1/other?text={PROMPT}"),
        "odd headers": lambda: gate.ask(asked(), x_portcullis_metadata=PROMPT, cookie=PROMPT, x_odd=PROMPT),
        "provider says 400": lambda: failing(status=400, body=echo, headers={"x-echo": PROVIDER_SECRET}),
        "provider says 401": lambda: failing(status=401, body=echo),
        "provider says 500": lambda: failing(status=500, body=echo),
        "garbage": lambda: failing(body=f"{ANSWER} {PROVIDER_SECRET}"),
        "garbage in a stream": lambda: streamed(
            {"chunks": [f"data: {ANSWER} {PERSON}\n\n"], "headers": {"content-type": "text/event-stream"}}
        ),
        "no http": lambda: failing(fault="garbage"),
        "compressed": lambda: failing(text=ANSWER, fault="encoded"),
        "reset": lambda: failing(fault="reset"),
        "broken off": lambda: streamed({**STREAM, "fault": "reset_mid"}),
        "cut short": lambda: streamed({**STREAM, "fault": "truncated"}),
    }


def leaves(gate: Stack) -> None:
    """An app that goes away in the middle of a stream."""
    gate.script({**STREAM, "fault": "stall_mid"})
    with contextlib.closing(opened(gate)) as connection:
        assert connection.recv(64).startswith(b"HTTP/1.1 200")


def opened(gate: Stack) -> socket.socket:
    """A connection with one streamed request on it."""
    host, _, port = gate.gateway.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    body = json.dumps(asked(stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {gate.key()}\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def crashes(gate: Stack) -> None:
    """Extproc dies with a stream under way."""
    gate.script({**STREAM, "fault": "stall_mid"})
    with contextlib.closing(opened(gate)) as connection:
        assert connection.recv(64).startswith(b"HTTP/1.1 200")
        gate.back("extproc", gate.kill("extproc"))


def files(gate: Stack) -> dict[str, bytes]:
    """All that lies in the data folder."""
    found = {path.relative_to(gate.data).as_posix(): path for path in gate.data.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name not in OWN}


def told(gate: Stack) -> dict[str, bytes]:
    """What the running system says of itself."""
    rows = json.dumps(gate.query("SELECT * FROM audit.requests"), ensure_ascii=False)
    lines = {f"command line of {part}": Path(f"/proc/{pid}/cmdline").read_bytes() for part, pid in gate.pids.items()}
    dumps = {path: gate.admin(path).encode() for path in ("/config_dump", "/stats", "/clusters", "/certs")}
    return {"rows": rows.encode(), "log": gate.log_file.read_bytes(), **lines, **dumps}


@pytest.mark.timeout(240)
def test_what_was_planted_is_nowhere(own_gate: Stack) -> None:
    """No provider secret, no virtual key, no text of a prompt or an answer, in whatever became of the exchange.

    And the provider gets no key; an address it gets only where the profile says `alert`.
    """
    keys = {name: own_gate.key(name) for name in ("app", "strict", "watched")}
    replies: dict[str, bytes] = {}
    received: dict[str, bytes] = {}
    with own_gate.paused("ingest"):
        for name, run in exchanges(own_gate).items():
            own_gate.forget()
            with contextlib.suppress(http.client.HTTPException, OSError):
                reply = run()
                replies[f"reply: {name}"] = repr((reply.status, dict(reply.headers))).encode() + reply.body
            received[f"provider: {name}"] = json.dumps(own_gate.mock_received()).encode()
        leaves(own_gate)
        crashes(own_gate)
        spooled = {f"before ingest: {name}": raw for name, raw in files(own_gate).items()}
        assert sum(b'"termination"' in raw for name, raw in spooled.items() if "/extproc-0/" in name) > 0
    count = own_gate.envoy_counter()
    eventually(lambda: own_gate.query("SELECT sum(count) AS n FROM audit.requests")[0]["n"] == count, "every row", 90)
    assert {row["outcome"] for row in own_gate.query("SELECT outcome FROM audit.requests")} == set(OUTCOMES)
    written = {**spooled, **files(own_gate), **told(own_gate)}

    virtual = {f"key {name}": key for name, key in keys.items()} | {
        f"secret of key {name}": key.split("_")[2] for name, key in keys.items()
    }
    assert shown({"provider secret": PROVIDER_SECRET, **virtual}, {**written, **replies}) == []
    assert shown(virtual, received) == []
    assert {place.partition(" in ")[2] for place in shown({"person": PERSON}, received)} == {"provider: watched only"}
    assert shown({text: text for text in TEXTS}, written) == []
    refusals = {
        name: raw for name, raw in replies.items() if any(word in name for word in ("refused", "json", "name", "key", "path", "odd"))
    }
    assert shown({"prompt": PROMPT, "card": CARD}, refusals) == []


def test_a_leak_would_be_seen() -> None:
    """The search finds each spelling."""
    for raw in (
        PROVIDER_SECRET.encode(),
        base64.b64encode(b"x" + PROVIDER_SECRET.encode() + b"yz"),
        PROVIDER_SECRET.encode().hex().encode(),
    ):
        assert shown({"it": PROVIDER_SECRET}, {"here": b"before " + raw + b" after"}) == ["it in here"]
    assert shown({"it": PROVIDER_SECRET}, {"here": b"nothing"}) == []

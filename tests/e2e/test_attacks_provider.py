"""A provider that lies, leaks, redirects or breaks HTTP: its answer is read, or an error of ours stands in its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from attack_stage import Outcome, Seen, Stage, cases
from declared import DECLARED
from raw_http import Heard, Provider, raw_provider, talk
from stack import PROVIDER_SECRET, Stack

SECRET: Final = PROVIDER_SECRET.encode()
ESCAPED: Final = b"".join(b"\\u%04x" % byte for byte in SECRET)
STOLEN: Final = "elsewhere"
"""Under this name the provider counts requests that were sent to where a redirect points."""

GARBAGE: Final = "failed, upstream_garbage, upstream_error"
STATUS: Final = "failed, upstream_status, upstream_error"
BROKE: Final = "failed, upstream_reset, upstream_error"
SERVED: Final = "served, complete"
SHUT: Final = b""
"""A last piece that closes the connection."""


@dataclass(frozen=True, slots=True)
class Case:
    """One answer. `evil`: texts that may not reach the app, besides the credential. `open`: known not to hold yet, and why."""

    name: str
    pieces: Sequence[bytes]
    app: str
    row: str
    stream: bool = False
    evil: Sequence[bytes] = ()
    open: str = ""

    @property
    def expected(self) -> Outcome:
        """What must be seen; the request was sent once, to this provider."""
        return Outcome(self.app, self.row, "extproc", 1)


def chat(text: bytes = b"hello") -> bytes:
    """A chat completion."""
    return (
        b'{"id":"x","object":"chat.completion","model":"odd","choices":[{"index":0,"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}]}'
        % text
    )


def error(text: bytes) -> bytes:
    """An error."""
    return b'{"error":{"message":"%b"}}' % text


def delta(text: bytes, reason: bytes = b"null") -> bytes:
    """An event with a piece of text."""
    return (
        b'data: {"id":"x","object":"chat.completion.chunk","model":"odd","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n'
        % (text, reason)
    )


DONE: Final = delta(b"", b'"stop"') + b"data: [DONE]\n\n"
JSON: Final = b"content-type: application/json\r\n"
EVENTS: Final = b"content-type: text/event-stream\r\n"
LENGTH: Final = b"content-length: %d\r\n"


def answer(status: bytes = b"200 OK", body: bytes = chat(), kind: bytes = JSON, lines: bytes = b"") -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 " + status + b"\r\n" + kind + lines + LENGTH % len(body) + b"\r\n" + body


def chunked(*parts: bytes, trailers: bytes = b"") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


def events(*parts: bytes, lines: bytes = b"", trailers: bytes = b"") -> bytes:
    """An event stream, a part a chunk."""
    return b"HTTP/1.1 200 OK\r\n" + EVENTS + lines + b"transfer-encoding: chunked\r\n\r\n" + chunked(*parts, trailers=trailers)


def served(name: str, *pieces: bytes, evil: Sequence[bytes] = ()) -> Case:
    """Passed on, but for what is evil in it."""
    return Case(name, pieces, "200", SERVED, evil=evil)


def streamed(name: str, *pieces: bytes, app: str = "200", row: str = SERVED, evil: Sequence[bytes] = ()) -> Case:
    """The same in an event stream."""
    return Case(name, pieces, app, row, stream=True, evil=evil)


def failed(name: str, *pieces: bytes, row: str = GARBAGE, evil: Sequence[bytes] = ()) -> Case:
    """Not passed on."""
    return Case(name, pieces, "502 upstream_error", row, evil=evil)


ECHOES: Final = (
    served("the credential in a header that stays here", answer(lines=b"x-echo: " + SECRET + b"\r\n")),
    served("the credential in a header that goes on", answer(lines=b"openai-version: " + SECRET + b"\r\ncache-control: " + SECRET + b"\r\n")),
    served("the credential in content-type", answer(kind=b"content-type: application/json; x=" + SECRET + b"\r\n")),
    served("the credential in the status line", answer(b"200 " + SECRET)),
    served("the credential in the body", answer(body=chat(SECRET))),
    served("the credential in the body, escaped", answer(body=chat(ESCAPED)), evil=[ESCAPED]),
    served("the credential in a name", answer(body=chat()[:-1] + b',"' + SECRET + b'":1}')),
    Case("the credential in an error", [answer(b"400 Bad", error(SECRET))], "400", STATUS),
    Case("the credential in an error, escaped", [answer(b"400 Bad", error(ESCAPED))], "400", STATUS, evil=[ESCAPED]),
    Case("the credential in an error that is text", [answer(b"400 Bad", SECRET, b"content-type: text/plain\r\n")], "400", STATUS),
    Case("the credential in an error that is HTML", [answer(b"404 No", b"<p>" + SECRET, b"content-type: text/html\r\n")], "404", STATUS),
    failed("the credential in an error 500", answer(b"500 Bad", error(SECRET)), row=STATUS),
    failed("the credential in an error 401", answer(b"401 No", error(SECRET), lines=b"www-authenticate: Bearer " + SECRET + b"\r\n"), row=STATUS),
    streamed("the credential in an event", events(delta(SECRET), DONE)),
    streamed("the credential in an event, escaped", events(delta(ESCAPED), DONE), evil=[ESCAPED]),
    streamed("the credential in an event cut over two chunks", events(delta(SECRET)[:110], delta(SECRET)[110:], DONE)),
    streamed("the credential over two events", events(delta(SECRET[:10]), delta(SECRET[10:]), DONE)),
    streamed("the credential a character an event", events(*(delta(bytes((byte,))) for byte in SECRET), DONE)),
    streamed("the credential over two events, escaped", events(delta(ESCAPED[:60]), delta(ESCAPED[60:]), DONE)),
    streamed("the credential over the data lines of an event", events(b'data: {"id":"x","choices":[{"index":0,"delta":\ndata: {"content":"' + SECRET + b'"},"finish_reason":null}]}\n\n', DONE)),
    streamed("the credential in a comment", events(b": " + SECRET + b"\n\n", delta(b"a"), DONE)),
    streamed("the credential in `id:`", events(b"id: " + SECRET + b"\n" + delta(b"a"), DONE)),
    streamed("the credential in `event:`", events(b"event: " + SECRET + b"\n" + delta(b"a"), DONE)),
    streamed("the credential in an error event", events(b"data: " + error(SECRET) + b"\n\n"), row=STATUS),
    streamed("the credential in a stream's trailers", events(delta(b"a"), DONE, trailers=b"openai-version: " + SECRET + b"\r\n")),
    served("the credential in trailers", b"HTTP/1.1 200 OK\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\n" + chunked(chat(), trailers=b"openai-version: " + SECRET + b"\r\n")),
    served(
        "headers that claim to be the gate's, or Envoy's",
        answer(lines=b"x-portcullis-request-id: evil\r\nx-portcullis-decision-id: evil\r\nx-portcullis-cost-usd: 9\r\nx-envoy-of-tomorrow: evil\r\nx-ratelimit-limit-requests: 9\r\nset-cookie: evil\r\n"),
        evil=[b"evil"],
    ),
    streamed("the same on a stream", events(delta(b"a"), DONE, lines=b"x-portcullis-request-id: evil\r\nx-envoy-of-tomorrow: evil\r\nset-cookie: evil\r\n"), evil=[b"evil"]),
)  # fmt: skip


def redirect(status: bytes, body: bytes = b"") -> bytes:
    """To a place of the provider's choice, which counts who comes."""
    return b"HTTP/1.1 " + status + b"\r\nlocation: http://127.0.0.1:@port@/v1/chat/completions\r\n" + LENGTH % len(body) + b"\r\n" + body


STATUSES: Final = (
    *(failed(f"redirect: {status}", redirect(str(status).encode() + b" X"), row=STATUS, evil=[b"location", b"127.0.0.1"]) for status in (300, 301, 302, 303, 305, 307, 308)),
    served("`refresh`, `location` and `link` on a good answer", answer(lines=b"refresh: 0;url=http://evil/\r\nlocation: http://evil/\r\nlink: <http://evil/>\r\nalt-svc: evil\r\n"), evil=[b"evil"]),
    failed("304", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", row=STATUS),
    Case(
        "101 to an upgrade that nobody asked for",
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nevil", SHUT],
        "502 upstream_error",
        STATUS,
        evil=[b"evil", b"HTTP/1.1 101"],
    ),
    Case("201 with a good answer, which nobody would count", [answer(b"201 Created")], "502 upstream_error", STATUS),
    *(served(f"{status} before the answer: stays here", b"HTTP/1.1 %d X\r\nlink: <evil>\r\n\r\n" % status + answer(), evil=[b"evil"]) for status in (100, 102, 103, 199)),
    *(failed(f"{status} and no answer", b"HTTP/1.1 %d X\r\n\r\n" % status, SHUT, row=BROKE) for status in (100, 103)),
    served("100, 20,000 times before the answer", b"HTTP/1.1 100 Continue\r\nx-a: b\r\n\r\n" * 20_000 + answer()),
    failed("100 with a body", b"HTTP/1.1 100 Continue\r\ncontent-length: 4\r\n\r\nevil" + answer(), evil=[b"evil"]),
    failed("204 with a body", b"HTTP/1.1 204 No\r\n" + JSON + LENGTH % 4 + b"\r\nevil", SHUT, evil=[b"evil"]),
    *(failed(f"status `{status.decode()}`", answer(status + b" X")) for status in (b"000", b"99", b"-200", b"abc")),
    *(failed(f"status `{status.decode()}`", answer(status + b" X"), row=STATUS) for status in (b"600", b"999", b"1000")),
    failed("403", answer(b"403 No", error(b"no")), row=STATUS),
)  # fmt: skip

FRAMES: Final = (
    failed("content-length below the body", b"HTTP/1.1 200 OK\r\n" + JSON + LENGTH % 10 + b"\r\n" + chat(), SHUT),
    failed("content-length above the body", b"HTTP/1.1 200 OK\r\n" + JSON + LENGTH % 5000 + b"\r\n" + chat(), SHUT, row=BROKE),
    failed("content-length: `-1`", b"HTTP/1.1 200 OK\r\n" + JSON + b"content-length: -1\r\n\r\n" + chat()),
    failed("content-length twice, equal", answer(lines=LENGTH % len(chat()))),
    failed("content-length twice, different", answer(lines=LENGTH % 3)),
    failed("content-length and chunks", b"HTTP/1.1 200 OK\r\n" + JSON + LENGTH % 5 + b"transfer-encoding: chunked\r\n\r\n" + chunked(chat())),
    failed("transfer-encoding: `gzip, chunked`", b"HTTP/1.1 200 OK\r\n" + JSON + b"transfer-encoding: gzip, chunked\r\n\r\n" + chunked(gzip.compress(chat()))),
    failed("transfer-encoding: `identity`", b"HTTP/1.1 200 OK\r\n" + JSON + b"transfer-encoding: identity\r\n\r\n" + chat(), SHUT),
    failed("a chunk size that is none", b"HTTP/1.1 200 OK\r\n" + JSON + b"transfer-encoding: chunked\r\n\r\nzz\r\n" + chat(), row=BROKE),
    served("no length: to the end of the connection", b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n" + chat(), SHUT),
    served("HTTP/1.0", answer().replace(b"HTTP/1.1", b"HTTP/1.0"), SHUT),
    failed("no head", chat(), SHUT),
    failed("1,000 headers", answer(lines=b"x-a: b\r\n" * 1000)),
    failed("a header of 200,000 bytes", answer(lines=b"x-a: " + b"b" * 200_000 + b"\r\n")),
    failed("NUL in a header", answer(lines=b"openai-version: a\0b\r\n")),
    failed("a space before a colon", answer(lines=b"openai-version : a\r\n")),
    failed("a header without a colon", answer(lines=b"openai-version\r\n")),
    served("CR in a header that goes on: dropped", answer(lines=b"openai-version: a\rset-cookie: evil\r\n"), evil=[b"\rset-cookie"]),
    served("LF in a header that goes on: the next header stays here", answer(lines=b"openai-version: a\nset-cookie: evil\r\n"), evil=[b"evil"]),
    served("a second answer behind the first", answer() + answer(body=chat(b"evil")), evil=[b"evil"]),
)  # fmt: skip

KINDS: Final = (
    failed("gzip, unasked", answer(body=gzip.compress(chat()), lines=b"content-encoding: gzip\r\n")),
    failed("gzip that says it is JSON", answer(body=gzip.compress(chat()))),
    failed("gzip behind `content-encoding: identity`", answer(body=gzip.compress(chat()), lines=b"content-encoding: identity\r\ncontent-encoding: gzip\r\n")),
    failed("an error that is gzip", answer(b"400 Bad", gzip.compress(error(b"x")), lines=b"content-encoding: gzip\r\n")),
    Case("a stream that is gzip", [events(gzip.compress(delta(b"a") + DONE), lines=b"content-encoding: gzip\r\n")], "502 upstream_error", GARBAGE, stream=True),
    Case("an event stream that says it is JSON", [answer(body=delta(b"evil") + DONE)], "502 upstream_error", GARBAGE, stream=True, evil=[b"evil"]),
    streamed("JSON that says it is an event stream", events(chat(b"evil")), row=GARBAGE, evil=[b"evil"]),
    failed("an event stream, unasked", events(delta(b"evil"), DONE), evil=[b"evil"]),
    streamed("JSON where a stream was asked for: read as JSON", answer(body=chat(b"write to a@example.com")), evil=[b"a@example.com"]),
    streamed("`Text/Event-Stream ; charset=utf-16`: read as a stream", events(delta(b"write to a@example.com"), DONE).replace(b"text/event-stream", b"Text/Event-Stream ; charset=utf-16"), evil=[b"a@example.com"]),
    streamed("JSON and an event stream at once: read as JSON", answer(body=chat(b"write to a@example.com"), lines=EVENTS), evil=[b"a@example.com"]),
    failed("HTML", answer(body=b"<p>evil</p>", kind=b"content-type: text/html\r\n"), evil=[b"evil"]),
    failed("bytes", answer(body=b"\0\1evil", kind=b"content-type: application/octet-stream\r\n"), evil=[b"evil"]),
    failed("nothing", answer(body=b"")),
    streamed("a stream of nothing", events(), row="failed, truncated, upstream_error"),
)  # fmt: skip

TITLE: Final = "The provider"
TABLES: Final = {"Echoes of the credential": ECHOES, "Statuses and redirects": STATUSES, "Framing": FRAMES, "Kinds of content": KINDS}
CASES: Final = tuple(case for table in TABLES.values() for case in table)

MORE: Final = """\
providers:
  odd: {dialect: openai, url: "http://127.0.0.1:@port@/v1", insecure: true}
""", """\
credentials:
  odd-main: {provider: odd, secret: {env: E2E_PROVIDER_SECRET}}
""", """\
models:
  odd: {provider: odd, credential: odd-main, price: {input: 1, output: 1}}
"""  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """The provider."""
    with raw_provider() as made:
        yield made


@pytest.fixture(scope="module")
def stage(provider: Provider) -> Iterator[Stage]:
    """A gate of this module's own, with that provider."""
    declared = DECLARED
    for part in MORE:
        declared = declared.replace(part.partition("\n")[0] + "\n", part.replace("@port@", str(provider.port)), 1)
    with Stack(declared) as stack:
        yield Stage(stack)


def asked(stage: Stage, provider: Provider, number: int, case: Case) -> Heard:
    """One request that gets this answer."""
    agent = f"case-{number}"
    provider.answers[agent] = [piece.replace(b"@port@", str(provider.port).encode()) for piece in case.pieces]
    body = json.dumps({"model": "odd", "messages": [{"role": "user", "content": "hi"}], "stream": case.stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {stage.stack.key('strict')}\r\nuser-agent: {agent}\r\n"
    )
    head += f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    return talk(stage.port, stage.sources.fresh(), [head.encode() + body])


@pytest.fixture(scope="module")
def seen(stage: Stage, provider: Provider) -> dict[str, Seen]:
    """All answers, given; each followed by a good one of the same provider, on the connection that is left."""
    found: dict[str, Seen] = {}
    good = served("good", answer(lines=b"connection: close\r\n"), SHUT)
    for number, case in enumerate(CASES):
        heard = asked(stage, provider, number, case)
        received = [{"head": head} for head, _ in provider.received.get(f"case-{number}", [])]
        found[case.name] = Seen(heard, received, asked(stage, provider, 1000 + number, good).answers[0].status)
    stage.add_rows(list(found.values()))
    return found


def spoken(heard: Heard) -> str:
    """What the app's SDK puts together of a stream."""
    blocks = b"".join(answer.body for answer in heard.answers).split(b"\n\n")
    events = [b"\n".join(line[6:] for line in block.split(b"\n") if line.startswith(b"data: ")) for block in blocks]
    documents = [json.loads(event) for event in events if event.startswith(b"{")]
    return "".join(choice["delta"].get("content", "") for document in documents for choice in document.get("choices", ()))


@pytest.mark.parametrize("case", cases(CASES))
def test_answer(seen: dict[str, Seen], case: Case) -> None:
    """The app and the one row are as the table says; no credential, and nothing of what is evil, reaches the app."""
    one = seen[case.name]
    assert one.outcome == case.expected
    assert one.faults == []
    assert [text for text in (SECRET, *case.evil) if text in one.heard.raw] == []
    assert not case.stream or PROVIDER_SECRET not in spoken(one.heard)


def test_no_redirect_is_followed(seen: dict[str, Seen], provider: Provider) -> None:
    """Each request that came was one that the gate was asked for."""
    assert all(len(requests) == 1 for requests in provider.received.values())
    assert set(provider.received) == {f"case-{n}" for number in range(len(CASES)) for n in (number, 1000 + number)}


def test_nothing_secret_is_written_down(stage: Stage, seen: dict[str, Seen]) -> None:
    """In no row, log line or message."""
    assert stage.written_faults() == []

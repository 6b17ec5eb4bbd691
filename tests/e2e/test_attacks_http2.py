"""HTTP/2 that is bent: pseudo-headers, floods, resets, lists without end. The gate stays up, and each stream leaves its row."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

import pytest
from attack_stage import ASKED, INVALID, KEY, SERVED, UNKNOWN, WITNESS, Attack, Outcome, Seen, Stage, cases
from raw_http import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Heard,
    Http2,
    block,
    frame,
    http2,
)
from stack import eventually

from ingest.keyless import ROWS_A_MINUTE

Fields = Sequence[tuple[bytes, bytes]]

PATH: Final = b"/v1/chat/completions"
SAYS: Final = ((b"authorization", b"Bearer " + KEY), (b"content-type", b"application/json"))
LENGTH: Final = (b"content-length", b"%d" % len(ASKED))
RESET: Final = "stream reset, PROTOCOL_ERROR"
TOO_MUCH: Final = "stream reset, INTERNAL_ERROR"
CLOSED: Final = "connection closed"


def pseudo(path: bytes = PATH, method: bytes = b"POST", authority: bytes = b"gate", scheme: bytes = b"http") -> list[tuple[bytes, bytes]]:
    """The four of a request."""
    return [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    """A request that lacks a pseudo-header."""
    return [pair for pair in (*pseudo(), *SAYS) if pair[0] != name]


GOOD: Final = (*pseudo(), *SAYS)


def head(fields: Fields = GOOD, stream: int = 1, flags: int = END_HEADERS) -> bytes:
    """HEADERS."""
    return frame(HEADERS, flags, stream, block(*fields))


def body(stream: int = 1, data: bytes = ASKED, flags: int = END_STREAM) -> bytes:
    """DATA."""
    return frame(DATA, flags, stream, data)


def request(fields: Fields = GOOD, stream: int = 1) -> bytes:
    """A request with its body."""
    return head(fields, stream) + body(stream)


def bad(name: str, fields: Fields, app: str = RESET) -> Attack:
    """No request: its stream is reset, and the rest of the connection goes on. Only Envoy has seen it."""
    return Attack(name, request(fields), app, by=WITNESS, streams=[1])


def late(name: str, *wire: bytes, app: str = RESET) -> Attack:
    """No longer a request once extproc has seen its head."""
    return Attack(name, wire, app, streams=[1] if app == RESET else [])


def good(name: str, *wire: bytes) -> Attack:
    """Served as the request that it is."""
    return Attack(name, wire, "200", SERVED, provider=1, streams=[1])


def ending(name: str, *wire: bytes, row: str = "none", by: str = WITNESS) -> Attack:
    """The connection ends. A frame that opens no stream begins no exchange, so there is no row."""
    return Attack(name, wire, CLOSED, row, by, streams=[])


def more(*fields: tuple[bytes, bytes]) -> Fields:
    """A good request with more fields."""
    return (*GOOD, *fields)


NAMES: Final = (
    bad("`:path` twice", (*pseudo(), (b":path", b"/v1/files"), *SAYS)),
    bad("`:method` twice", (*pseudo(), (b":method", b"GET"), *SAYS)),
    bad("`:authority` twice", (*pseudo(), (b":authority", b"evil"), *SAYS)),
    bad("`:path` behind other headers", (*pseudo()[:3], *SAYS, pseudo()[3])),
    bad("an unknown pseudo-header", (*pseudo(), (b":foo", b"x"), *SAYS)),
    bad("`:status` in a request", (*pseudo(), (b":status", b"200"), *SAYS)),
    bad("`:protocol` (extended CONNECT)", (*pseudo(b"/v1/realtime", b"CONNECT"), (b":protocol", b"websocket"), *SAYS)),
    *(bad(f"no `{name.decode()}`", without(name)) for name in (b":path", b":method", b":scheme", b":authority")),
    bad("an empty `:path`", (*pseudo(b""), *SAYS)),
    bad("a space in `:path`", (*pseudo(PATH + b" HTTP/1.1"), *SAYS)),
    bad("CR LF in `:path`", (*pseudo(PATH + b"\r\nx-evil: 1"), *SAYS)),
    bad("NUL in `:path`", (*pseudo(PATH + b"\0"), *SAYS)),
    bad("absolute form in `:path`", (*pseudo(b"http://evil" + PATH), *SAYS)),
    bad("backslashes in `:path`", (*pseudo(PATH.replace(b"/", b"\\")), *SAYS)),
    bad("a fragment in `:path`", (*pseudo(PATH + b"#x"), *SAYS), "400 invalid_request"),
    bad("a space in `:method`", (*pseudo(method=b"POST /v1/files"), *SAYS)),
    bad("CR LF in `:method`", (*pseudo(method=b"POST\r\n"), *SAYS)),
    bad("a space in `:authority`", (*pseudo(authority=b"ga te"), *SAYS)),
    bad("a user in `:authority`", (*pseudo(authority=b"u:p@gate"), *SAYS)),
    bad("upper case in a name", more((b"X-Upper", b"a"))),
    bad("`Authorization`", (*pseudo(), (b"Authorization", SAYS[0][1]), SAYS[1])),
    bad("an underscore in a name", more((b"x_api_key", b"a")), TOO_MUCH),
    bad("a colon and CR LF in a name", more((b"x-a: b\r\nx-c", b"d"))),
    bad("a space in a name", more((b"x a", b"b"))),
    bad("no name", more((b"", b"b"))),
    bad("CR LF in a value", more((b"user-agent", b"a\r\nx-evil: 1"))),
    bad("CR in a value", more((b"user-agent", b"a\rb"))),
    bad("NUL in a value", more((b"user-agent", b"a\0b"))),
    *(
        bad(f"`{name.decode()}`, which belongs to HTTP/1.1 connections", more((name, value)))
        for name, value in ((b"connection", b"close"), (b"keep-alive", b"1"), (b"proxy-connection", b"close"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"websocket"))
    ),
    bad("`te: gzip`", more((b"te", b"gzip"))),
    good("`te: trailers`", request(more((b"te", b"trailers")))),
    good("`host` that is not `:authority`: the route sets its own", request(more((b"host", b"evil")))),
    good("`:scheme` of another kind: means nothing", request((*pseudo(scheme=b"ftp"), *SAYS))),
    Attack("lower case in `:method`", request((*pseudo(method=b"post"), *SAYS)), "404 unknown_route", UNKNOWN, streams=[1]),
    Attack("UTF-8 in `:path`", request((*pseudo("/v1/chät/completions".encode()), *SAYS)), "404 unknown_route", UNKNOWN, streams=[1]),
    Attack("CONNECT", head(((b":method", b"CONNECT"), (b":authority", b"evil:443"), *SAYS)), "404 unknown_route", UNKNOWN, streams=[1]),
)  # fmt: skip

LENGTHS: Final = (
    late("content-length above the body's", request(more((b"content-length", b"%d" % (len(ASKED) + 10))))),
    late("content-length below the body's", request(more((b"content-length", b"5")))),
    Attack("content-length and no body", head(more(LENGTH), flags=END_HEADERS | END_STREAM), RESET, by=WITNESS, streams=[1]),
    bad("content-length twice", more(LENGTH, LENGTH)),
    bad("content-length twice, different", more(LENGTH, (b"content-length", b"3"))),
    bad("content-length: `-1`", more((b"content-length", b"-1"))),
    good("trailers: `authorization`: dropped", head(), body(flags=0), head(((b"authorization", b"Bearer " + b"z" * 67),), flags=END_HEADERS | END_STREAM)),
    late("trailers with `:path`", head(), body(flags=0), head(((b":path", b"/v1/files"),), flags=END_HEADERS | END_STREAM)),
    late("trailers that do not end the stream", head(), body(flags=0), head(((b"x-t", b"1"),))),
    late("DATA after END_STREAM", request() + body(), app=CLOSED),
    late("HEADERS after END_STREAM", request() + head(((b"x-t", b"1"),), flags=END_HEADERS | END_STREAM), app=CLOSED),
    late("a frame above the limit", head() + body(data=b"x" * 20_000), app=CLOSED),
)  # fmt: skip

FRAMES: Final = (
    good("a head in two frames", frame(HEADERS, 0, 1, block(*GOOD)[:20]) + frame(CONTINUATION, END_HEADERS, 1, block(*GOOD)[20:]) + body()),
    good("padding", frame(HEADERS, END_HEADERS | PADDED, 1, b"\3" + block(*GOOD) + b"\0\0\0") + body()),
    good("a frame of an unknown kind before", frame(99, 0, 1, b"abc"), request()),
    ending("DATA between a head's frames", frame(HEADERS, 0, 1, block(*GOOD)) + body() + frame(CONTINUATION, END_HEADERS, 1), row=INVALID),
    *(ending(f"a field block that is none: {name}", frame(HEADERS, END_HEADERS, 1, data), row=INVALID) for name, data in (
        ("garbage", b"\xff" * 6), ("index 0", b"\x80"), ("an index beyond the table", b"\xfe"), ("a table of 2 GiB", b"\x3f\xff\xff\xff\x7f" + block(*GOOD)),
    )),
    ending("DATA on a stream that is not open", body()),
    ending("a request on stream 0", request(stream=0)),
    ending("a request on an even stream", request(stream=2)),
    ending("CONTINUATION without a head", frame(CONTINUATION, END_HEADERS, 1, block(*GOOD))),
    ending("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + block(*GOOD))),
    ending("padding longer than its frame", frame(HEADERS, END_HEADERS | PADDED, 1, b"\xffabc")),
    ending("a stream that depends on itself", frame(HEADERS, END_HEADERS | PRIORITISED, 1, struct.pack(">IB", 1, 1) + block(*GOOD)) + body()),
    ending("a window of 0 more", frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0))),
    ending("a window over its limit", *[frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF))] * 2),
    ending("SETTINGS of an odd size", frame(SETTINGS, 0, 0, b"abc")),
    ending("PING of an odd size", frame(PING, 0, 0, b"abc")),
    ending("RST_STREAM on a stream that is not open", frame(RST_STREAM, 0, 1, struct.pack(">I", 8))),
)  # fmt: skip

FLOODS: Final = (
    bad("a list of 200 headers", more(*((b"x-%d" % number, b"y") for number in range(200))), TOO_MUCH),
    bad("200 cookies", more(*((b"cookie", b"c%d=v" % number) for number in range(200))), TOO_MUCH),
    Attack("a list of 90,000 bytes", [frame(HEADERS, 0, 1, block(*GOOD)), *(frame(CONTINUATION, 0, 1, block((b"x", b"y" * 15_000))) for _ in range(6)), frame(CONTINUATION, END_HEADERS, 1), body()], TOO_MUCH, by=WITNESS, streams=[1]),
    Attack("CONTINUATION, 5 MB of it and no end", [frame(HEADERS, 0, 1, block(*GOOD)), *[frame(CONTINUATION, 0, 1, block((b"x", b"y" * 1000))) * 10] * 500], f"{TOO_MUCH} or {CLOSED}", by=WITNESS, streams=[1]),
    ending("CONTINUATION, 2,000 empty ones", frame(HEADERS, 0, 1, block(*GOOD)) + frame(CONTINUATION, 0, 1) * 2000, row=INVALID),
    late("DATA, 20,000 empty ones", head() + body(data=b"", flags=0) * 20_000, app=CLOSED),
    *(ending(f"{name}, 20,000 of them", *[wire * 1000] * 20) for name, wire in (
        ("PING", frame(PING, 0, 0, b"12345678")), ("SETTINGS", frame(SETTINGS, 0, 0)), ("PRIORITY", frame(PRIORITY, 0, 1, b"\0\0\0\3\1")),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))),
    )),
)  # fmt: skip

TITLE: Final = "HTTP/2"
TABLES: Final = {"Names and pseudo-headers": NAMES, "Lengths, ends and trailers": LENGTHS, "Frames": FRAMES, "Floods": FLOODS}
ATTACKS: Final = tuple(attack for table in TABLES.values() for attack in table)


@pytest.mark.parametrize("attack", cases(ATTACKS))
def test_attack(seen: dict[str, Seen], attack: Attack) -> None:
    """The app, the provider and the one row are as the table says; the gate goes on."""
    assert attack.unmet(seen[attack.name]) == []


def acted(stage: Stage, act: Callable[[Http2], None]) -> Seen:
    """What is seen of an attack that listens in between."""

    def run() -> Heard:
        with http2(stage.port, stage.sources.fresh()) as connection:
            act(connection)
            return connection.heard

    seen = stage.see(run)
    stage.add_rows([seen])
    return seen


def test_streams_over_the_limit_are_refused_and_may_be_tried_again(stage: Stage) -> None:
    """150 at once: 100 are served, 50 are told REFUSED_STREAM, which says that nothing was done; each served one has its row."""

    def act(connection: Http2) -> None:
        stage.stack.script({"delay_ms": 500, "repeat": 0})
        streams = range(1, 301, 2)
        connection.send(*(stage.filled(request(stream=stream))[0] for stream in streams))
        connection.listen(*streams)

    seen = acted(stage, act)

    assert seen.outcome == Outcome(", then ".join(["200"] * 100 + ["stream reset, REFUSED_STREAM"] * 50), f"100 × {SERVED}", "extproc", 100)
    assert (seen.faults, seen.after) == ([], 200)


def begun_and_reset(fields: Fields, stream: int) -> bytes:
    """A request, and its end before anyone could answer."""
    return request(fields, stream) + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))


def test_rapid_resets_end_the_connection(stage: Stage) -> None:
    """1,000 requests, each reset at once (CVE-2023-44487): Envoy closes, hardly one is sent on, every stream it took has a row."""

    def act(connection: Http2) -> None:
        connection.send(*stage.filled(b"".join(begun_and_reset(GOOD, stream) for stream in range(1, 2001, 2))))
        connection.listen()

    seen = acted(stage, act)
    count, _, words = seen.outcome.row.partition(" × ")

    assert (seen.heard.app, words, seen.after) == (CLOSED, "aborted, client_gone", 200)
    assert 1 < int(count) < 1000
    assert len(seen.received) < 10


def test_a_bad_request_ends_no_other_stream(stage: Stage) -> None:
    """Beside an answer that is under way, on the same connection: that one comes whole."""

    def act(connection: Http2) -> None:
        stage.stack.script({"text": ["a"] * 5, "chunk_delay_ms": 20})
        connection.send(*stage.filled(head() + body(data=ASKED[:-1] + b',"stream":true}')))
        connection.listen(1, pieces=1)
        connection.send(*stage.filled(request(more((b"X-Upper", b"a")), stream=3)))
        connection.listen(1, 3)

    seen = acted(stage, act)

    assert (seen.heard.app, seen.outcome.row, seen.after) == (f"200, then {RESET}", f"{INVALID}; {SERVED}", 200)
    assert b"[DONE]" in seen.heard.raw


def test_an_app_that_breaks_the_connection_under_its_answer_has_left(stage: Stage) -> None:
    """It was sent on, so it was not refused: aborted, with the credential's use on record."""

    def act(connection: Http2) -> None:
        stage.stack.script({"text": ["a"] * 100, "chunk_delay_ms": 20})
        connection.send(*stage.filled(head() + body(data=ASKED[:-1] + b',"stream":true}')))
        connection.listen(1, pieces=1)
        connection.send(frame(PING, 0, 0, b"abc"))
        connection.listen()

    seen = acted(stage, act)

    assert (seen.heard.app, seen.outcome.row, seen.after) == (f"200, then {CLOSED}", "aborted, client_gone", 200)
    assert seen.rows[0]["credential"] == "local-main"


def test_nothing_secret_is_written_down(stage: Stage, seen: dict[str, Seen]) -> None:
    """In no row, log line or message."""
    assert stage.written_faults() == []


def test_rapid_resets_without_a_key_do_not_fill_the_audit(stage: Stage) -> None:
    """Of 600, ten rows a minute for each way they can end; the rest is held for the minute's count."""
    source = stage.sources.fresh()
    keyless = [pair for pair in GOOD if pair[0] != b"authorization"]
    for _ in range(3):
        with http2(stage.port, source) as connection:
            connection.send(b"".join(begun_and_reset(keyless, stream) for stream in range(1, 401, 2)))
            connection.send(frame(PING, 0, 0, b"abc"))
            connection.listen()

    eventually(stage.all_counted, "all of them, stored or held")
    assert stage.stack.client.call("GET", "/api/v1/audit/stats")["held"] > 100
    rows = stage.stack.query(f"SELECT id FROM audit.requests WHERE client_address = '{source}'")  # noqa: S608 - ours
    assert len(rows) <= 2 * ROWS_A_MINUTE * 2, "two ways to end, and two minutes if one was over in between"

"""HTTP/1.1 that is bent: bombs of headers, lengths that disagree, requests smuggled into others. Each leaves its row."""

from __future__ import annotations

from typing import Final

import pytest
from attack_stage import ASKED, INVALID, KEY, SERVED, UNKNOWN, WITNESS, Attack, Seen, Stage, cases

POST: Final = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST: Final = b"host: gate\r\n"
SAYS: Final = b"authorization: Bearer " + KEY + b"\r\ncontent-type: application/json\r\n"
CLOSE: Final = b"connection: close\r\n"
LENGTH: Final = b"content-length: %d\r\n" % len(ASKED)
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
LAST: Final = b"0\r\n\r\n"
SMUGGLED: Final = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + SAYS + LENGTH + b"\r\n" + ASKED
SILENT: Final = "connection closed"
"""Where the framing of a body breaks, Envoy has no place left to answer in and closes. The row has the refusal."""


def chunk(data: bytes = ASKED, extension: bytes = b"") -> bytes:
    """A chunk."""
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


def with_head(lines: bytes) -> bytes:
    """A good request with more lines in its head."""
    return POST + HOST + SAYS + CLOSE + lines + LENGTH + b"\r\n" + ASKED


def framed(lines: bytes, body: bytes) -> bytes:
    """A request that says itself how its body is framed."""
    return POST + HOST + SAYS + CLOSE + lines + b"\r\n" + body


def bad_head(name: str, lines: bytes, app: str = "400 invalid_request") -> Attack:
    """Refused by Envoy before anything else."""
    return Attack(name, with_head(lines), app, by=WITNESS)


def good_head(name: str, lines: bytes) -> Attack:
    """Read in the one way that RFC 9112 leaves, and nothing of it goes on."""
    return Attack(name, with_head(lines), "200", SERVED, provider=1)


def bad_frame(name: str, lines: bytes, body: bytes) -> Attack:
    """Refused for how it says its body is framed."""
    return Attack(name, framed(lines, body), by=WITNESS)


def good_frame(name: str, lines: bytes, body: bytes) -> Attack:
    """Odd, and framed in one way only; the provider gets a frame of the gate's own."""
    return Attack(name, framed(lines, body), "200", SERVED, provider=1)


def broken(name: str, body: bytes) -> Attack:
    """Chunks that break off: extproc has seen the head by then, so the row is its own."""
    return Attack(name, framed(CHUNKED, body), SILENT)


BOMBS: Final = (
    good_head("90 headers", b"x-a: y\r\n" * 90),
    bad_head("150 headers", b"x-a: y\r\n" * 150, "431 invalid_request"),
    bad_head("one header of 70,000 bytes", b"x-a: " + b"y" * 70_000 + b"\r\n", "431 invalid_request"),
    bad_head("a name of 70,000 bytes", b"x" * 70_000 + b": y\r\n", "431 invalid_request"),
    good_head("90 cookies", b"".join(b"cookie: c%d=v\r\n" % number for number in range(90))),
    bad_head("1,000 cookies", b"".join(b"cookie: c%d=v\r\n" % number for number in range(1000)), "431 invalid_request"),
    Attack("content-type twice, equal", with_head(b"content-type: application/json\r\n")),
    Attack("content-type twice, different", with_head(b"content-type: text/plain\r\n")),
    Attack("a body that is compressed", with_head(b"content-encoding: gzip\r\n")),
)

LINES: Final = (
    good_head("a folded value (obs-fold): unfolded", b"x-a: b\r\n c\r\n"),
    Attack("a fold before the first header", POST + b" x-a: b\r\n" + HOST + SAYS + CLOSE + LENGTH + b"\r\n" + ASKED, by=WITNESS),
    good_head("a bare LF ends a line", b"x-a: b\n"),
    Attack("a bare LF hides `x-portcullis-user`: read as the header it is", with_head(b"x-a: b\nx-portcullis-user: eve\r\n"), "403 not_allowed", "refused, refused, not_allowed"),
    good_head("a bare CR in a value that stays here", b"x-a: b\rx-b: c\r\n"),
    good_head("a bare CR in a value that goes on: dropped", b"user-agent: a\rx-evil: b\r\n"),
    good_head("a fold in a value that goes on: unfolded", b"user-agent: a\r\n x-evil: b\r\n"),
    bad_head("a bare CR in a name", b"x-a\r: b\r\n"),
    bad_head("NUL in a value", b"x-a: b\0c\r\n"),
    bad_head("NUL in a name", b"x-a\0: c\r\n"),
    bad_head("a control character in a value", b"x-a: \x01\r\n"),
    bad_head("a space before the colon", b"x-a : c\r\n"),
    bad_head("a space in a name", b"x a: c\r\n"),
    bad_head("no colon", b"x-a\r\n"),
    bad_head("no name", b": c\r\n"),
    bad_head("a byte above ASCII in a name", b"x-\xff: a\r\n"),
    bad_head("an underscore in a name", b"content_length: 3\r\n"),
    good_head("bytes above ASCII in a value", b"x-a: \xff\xfe\r\n"),
    Attack("LF alone everywhere: read as lines", with_head(b"").replace(b"\r\n", b"\n"), "200", SERVED, provider=1),
    Attack("empty lines before the request", b"\r\n\r\n" + with_head(b""), "200", SERVED, provider=1),
    Attack("a space before the request", b" " + with_head(b""), by=WITNESS),
    Attack("HTTP/0.9", b"GET /v1/chat/completions\r\n\r\n", "426 invalid_request", by=WITNESS),
    Attack("HTTP/1.0", with_head(b"").replace(b"HTTP/1.1", b"HTTP/1.0"), "426 invalid_request", by=WITNESS),
    Attack("`HTTP/2.0` in the first line", with_head(b"").replace(b"HTTP/1.1", b"HTTP/2.0"), "426 invalid_request", by=WITNESS),
    Attack("no version that is one", with_head(b"").replace(b"HTTP/1.1", b"HTTP/1.1x"), by=WITNESS),
    Attack("no host", with_head(b"").replace(HOST, b""), by=WITNESS),
    good_head("a second host", b"host: evil\r\n"),
    Attack("`connection` names authorization: it is dropped", with_head(b"").replace(CLOSE, b"connection: close, authorization\r\n"), "401 invalid_api_key", "refused, refused, invalid_api_key"),
    Attack("`connection` names host", with_head(b"").replace(CLOSE, b"connection: close, host\r\n"), by=WITNESS),
    Attack("`connection` names x-forwarded-proto", with_head(b"").replace(CLOSE, b"connection: close, x-forwarded-proto\r\n"), by=WITNESS),
    Attack("TLS on the plain port", b"\x16\x03\x01\x00\x6e\x01\x00\x00\x6a\x03\x03" + b"\0" * 90, by=WITNESS),
)  # fmt: skip

LENGTHS: Final = (
    bad_frame("content-length twice, equal", LENGTH + LENGTH, ASKED),
    bad_frame("content-length twice, different", LENGTH + b"content-length: 3\r\n", ASKED),
    bad_frame("content-length as a list", b"content-length: %d, %d\r\n" % (len(ASKED), len(ASKED)), ASKED),
    *(
        bad_frame(f"content-length: `{value}`" if value else "content-length: nothing", f"content-length: {value}\r\n".encode(), ASKED)
        for value in ("+60", "-1", "0x3c", "", "60 60", "6e1", "60;x", "99999999999999999999999")
    ),
    good_frame("content-length with a leading zero", b"content-length: 0%d\r\n" % len(ASKED), ASKED),
    Attack("CL.TE: content-length, then chunked; a request behind", POST + HOST + SAYS + LENGTH + CHUNKED + b"\r\n" + LAST + SMUGGLED, by=WITNESS),
    Attack("TE.CL: chunked, then content-length; a request behind", POST + HOST + SAYS + CHUNKED + b"content-length: 4\r\n\r\n" + chunk() + LAST + SMUGGLED, by=WITNESS),
    *(
        bad_frame(f"transfer-encoding: `{value}`", f"transfer-encoding: {value}\r\n".encode(), chunk() + LAST)
        for value in ("chunked, identity", "identity", "identity, chunked", "gzip, chunked", "xchunked", "chunked, chunked", '"chunked"', "\x0bchunked", "chunked\x0c")
    ),
    bad_frame("transfer-encoding: `identity` with a content-length", b"transfer-encoding: identity\r\n" + LENGTH, ASKED),
    bad_frame("transfer-encoding twice", CHUNKED + CHUNKED, chunk() + LAST),
    bad_frame("`transfer-encoding :` with a content-length", b"transfer-encoding : chunked\r\n" + LENGTH, ASKED),
    good_frame("transfer-encoding: `Chunked`", b"Transfer-Encoding: Chunked\r\n", chunk() + LAST),
    good_frame("transfer-encoding on a folded line", b"transfer-encoding:\r\n chunked\r\n", chunk() + LAST),
    Attack("neither length nor chunks: no body", framed(b"", ASKED)),
)  # fmt: skip

BODIES: Final = (
    good_frame("chunk extensions: dropped", CHUNKED, chunk(extension=b';a=b;c="d"') + LAST),
    good_frame("a chunk extension of 100,000 bytes: dropped", CHUNKED, chunk(extension=b";a=" + b"b" * 100_000) + LAST),
    good_frame("a space after a chunk's size", CHUNKED, chunk(extension=b" ") + LAST),
    broken("a bare LF in a chunk extension", chunk(extension=b";a\nb") + LAST),
    broken("a bare CR in a chunk extension", chunk(extension=b";a\rb") + LAST),
    broken("chunk size `zz`", b"zz\r\n" + ASKED + b"\r\n" + LAST),
    broken("chunk size `-1`", b"-1\r\n" + ASKED + b"\r\n" + LAST),
    broken("chunk size `0x3c`", b"0x3c\r\n" + ASKED + b"\r\n" + LAST),
    broken("chunk size of 17 digits", b"f" * 17 + b"\r\n" + ASKED + b"\r\n" + LAST),
    broken("LF alone after a chunk's size", b"%x\n" % len(ASKED) + ASKED + b"\n0\n\n"),
    broken("other bytes than CR LF after a chunk", b"%x\r\n" % len(ASKED) + ASKED + b"XX" + LAST),
    broken("a trailer without a colon", chunk() + b"0\r\nno colon\r\n\r\n"),
    good_frame(
        "trailers: `authorization`, `x-portcullis-user`, `content-length`: dropped",
        CHUNKED + b"trailer: authorization\r\n",
        chunk() + b"0\r\nauthorization: Bearer " + b"z" * 67 + b"\r\nx-portcullis-user: eve\r\ncontent-length: 3\r\n\r\n",
    ),
    Attack("a request behind the body: it is one of its own", POST + HOST + SAYS + LENGTH + b"\r\n" + ASKED + b"GET /v1/files HTTP/1.1\r\n" + HOST + SAYS + CLOSE + b"\r\n", "200, then 404 unknown_route", f"{UNKNOWN}; {SERVED}", provider=1, answers=2),
    Attack("garbage behind the body", POST + HOST + SAYS + LENGTH + b"\r\n" + ASKED + b"garbage\r\n\r\n", "200, then 400 invalid_request", f"{INVALID}; {SERVED}", f"extproc, {WITNESS}", provider=1, answers=2),
    Attack("a request inside the body: it is no JSON", framed(b"content-length: %d\r\n" % (len(ASKED) + len(SMUGGLED)), ASKED + SMUGGLED)),
    Attack("a request inside a chunk: it is no JSON", framed(CHUNKED, chunk() + chunk(SMUGGLED) + LAST)),
    good_head("expect: 100-continue", b"expect: 100-continue\r\n"),
    good_head("expect: 200-ok: means nothing", b"expect: 200-ok\r\n"),
    Attack("a body behind GET", with_head(b"").replace(b"POST ", b"GET "), "404 unknown_route", UNKNOWN),
)  # fmt: skip

TITLE: Final = "HTTP/1.1"
TABLES: Final = {
    "Header bombs": BOMBS,
    "Lines of the head": LINES,
    "Lengths that disagree": LENGTHS,
    "Bodies, and what stands behind them": BODIES,
}
ATTACKS: Final = tuple(attack for table in TABLES.values() for attack in table)


@pytest.mark.parametrize("attack", cases(ATTACKS))
def test_attack(seen: dict[str, Seen], attack: Attack) -> None:
    """The app, the provider and the one row are as the table says; the gate goes on."""
    assert attack.unmet(seen[attack.name]) == []


def test_nothing_secret_is_written_down(stage: Stage, seen: dict[str, Seen]) -> None:
    """In no row, log line or message."""
    assert stage.written_faults() == []


def test_the_provider_gets_no_line_break_in_a_header(seen: dict[str, Seen]) -> None:
    """A CR or a fold in a value of ours would be a header more to a provider that reads CR as an end of line."""
    for name in ("a bare CR in a value that goes on: dropped", "a fold in a value that goes on: unfolded"):
        (request,) = seen[name].received
        assert request["headers"]["user-agent"] in {"ax-evil: b", "a x-evil: b"}

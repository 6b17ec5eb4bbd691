"""Bodies through the whole gate: encoded ones are decoded and governed, and what two parsers could read differently is refused."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from typing import Any, Final

import brotli
import pytest
from stack import Stack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ADDRESS: Final = "anna.berg@example.com"
CHAT: Final = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"to {ADDRESS}"}]}).encode()


def raw_deflate(body: bytes) -> bytes:
    """DEFLATE without zlib's header, as some clients send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


CODINGS: Final = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    " deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("coding", CODINGS)
def test_an_encoded_prompt_is_read_like_a_plain_one(gate: Stack, coding: str) -> None:
    """The provider gets it plain and redacted, and no header says that it ever was encoded; the row counts what was in it."""
    reply = gate.ask(CODINGS[coding](CHAT), content_encoding=coding)
    assert reply.status == 200, reply.body
    (received,) = gate.mock_received()
    assert received["body"] == CHAT.decode().replace(ADDRESS, "[EMAIL_ADDRESS]")
    assert "content-encoding" not in received["headers"]
    assert received["headers"]["accept-encoding"] == "identity"
    row = gate.row(reply.id)
    assert (row["findings_prompt"], int(row["request_bytes"])) == ({"EMAIL_ADDRESS": 1}, len(CHAT))


ZIPPED: Final = gzip.compress(CHAT, mtime=0)


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("gzip, br", gzip.compress(brotli.compress(CHAT), mtime=0), 400, "invalid_request"),
        ("identity, gzip, gzip", gzip.compress(ZIPPED, mtime=0), 400, "invalid_request"),
        ("compress", CHAT, 400, "invalid_request"),
        ("gzip", CHAT, 400, "invalid_request"),
        ("gzip", ZIPPED[:-9], 400, "invalid_request"),
        ("gzip", ZIPPED + ZIPPED, 400, "invalid_request"),
        ("br", brotli.compress(CHAT)[:-3], 400, "invalid_request"),
        ("zstd", zstd.compress(CHAT) + zstd.compress(b"{}"), 400, "invalid_request"),
        ("zstd", zstd.compress(b" " * (30 << 20)), 400, "invalid_request"),
        ("gzip", gzip.compress(ZIPPED, mtime=0), 400, "invalid_request"),
    ],
)
def test_what_is_not_plainly_encoded_is_refused(gate: Stack, coding: str, body: bytes, status: int, code: str) -> None:
    """Stacked, unknown, damaged, doubled, exploding: nothing is sent on, and each leaves its row."""
    reply = gate.ask(body, content_encoding=coding)
    assert (reply.status, reply.code) == (status, code)
    assert gate.mock_received() == []
    row = gate.row(reply.id)
    assert (row["outcome"], row["error_code"], int(row["status"])) == ("refused", code, status)


def with_content(content: str, *, model: str = '"gpt-4o-mini"', more: str = "") -> bytes:
    """A chat request's text."""
    return f'{{"model":{model},"messages":[{{"role":"user","content":{content}}}]{more}}}'.encode()


MALFORMED: Final[dict[str, tuple[bytes, str]]] = {
    "a member named twice": (with_content('"a"', more=',"model":"dear"'), "same name"),
    "a member named twice, once escaped": (with_content('"a"', more=',"m\\u006fdel":"dear"'), "same name"),
    "a member named twice below": (with_content('"a"', more=',"x":[{"y":1,"z":2,"y":3}]'), "same name"),
    "a member in two cases": (with_content('"a"', more=',"Model":"dear"'), "case"),
    "names that fold to one": (with_content('"a"', more=',"x":{"\u017ftop":1,"stop":2}'), "case"),
    "a known member in another case": (b'{"Messages":[],"model":"gpt-4o-mini"}', "another case"),
    "invalid UTF-8": (with_content('"a"').replace(b'"a"', b'"\xff\xfe"'), "UTF-8"),
    "an overlong slash": (with_content('"a"').replace(b'"a"', b'"\xc0\xaf"'), "UTF-8"),
    "half of a surrogate pair": (with_content('"\\ud83d"'), "surrogate"),
    "NaN": (with_content('"a"', more=',"temperature":NaN'), "JSON"),
    "Infinity": (with_content('"a"', more=',"temperature":-Infinity'), "JSON"),
    "a number out of range": (with_content('"a"', more=',"temperature":1e999'), "range"),
    "a number that no double holds": (with_content('"a"', more=',"seed":9007199254740993'), "every parser"),
    "a byte order mark": (b"\xef\xbb\xbf" + with_content('"a"'), "byte order mark"),
    "UTF-16": (with_content('"a"').decode().encode("utf-16"), "UTF-8"),
    "too many levels": (with_content('"a"', more=',"x":' + "[" * 80 + "]" * 80), "levels"),
    "very many levels": (with_content('"a"', more=',"x":' + "[" * 5000 + "]" * 5000), "JSON"),
    "something after it": (with_content('"a"') + b"{}", "JSON"),
    "a comment": (with_content('"a"', more="/* x */"), "JSON"),
    "no object": (b"[]", "object"),
    "nothing": (b" ", "JSON"),
    "no model": (b'{"messages":[{"role":"user","content":"a"}]}', "model"),
    "a model that is none": (with_content('"a"', model="7"), "model"),
    "a number for a text": (with_content("4111111111111111"), "messages"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_two_parsers_could_read_differently_is_refused(gate: Stack, name: str) -> None:
    """400 with a reason that holds nothing of the body; no provider sees it; its row is there."""
    body, why = MALFORMED[name]
    reply = gate.ask(body)
    assert (reply.status, reply.code) == (400, "invalid_request")
    message = reply.document["error"]["message"]
    assert why in message
    assert "4111" not in message
    assert gate.mock_received() == []
    row = gate.row(reply.id)
    assert (row["outcome"], row["error_code"], row["route"], row["key_name"]) == ("refused", "invalid_request", "chat", "app")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json; charset=utf-16", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""],
)
def test_only_json_in_utf8_is_read(gate: Stack, content_type: str) -> None:
    """Whatever the body is: another type says that somebody would read it otherwise."""
    reply = gate.ask(CHAT, content_type=content_type)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert gate.row(reply.id)["outcome"] == "refused"
    assert gate.mock_received() == []


def planted(text: str) -> list[Any]:
    """Messages with a text in a place where a filter might not look."""
    call = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": json.dumps({"to": [{"mail": text}]})}}
    return [
        {"role": "user", "content": [{"type": "text", "text": "x", "of_next_year": {text: 1}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"mail": text}).replace("@", "\\u0040")},
        {"role": "user", "content": "hi", "name": text},
    ]


def test_no_corner_of_a_prompt_is_left_unread(gate: Stack) -> None:
    """Names of members, JSON in JSON, its escapes, numbers without quotes: JSON stays JSON, and nothing is left."""
    body = {"model": "gpt-4o-mini", "messages": planted(ADDRESS), "metadata": {"card": 4111111111111111}, "user": ADDRESS}
    reply = gate.ask(body)
    assert reply.status == 200, reply.body
    (received,) = gate.mock_received()
    clean = {
        "model": "gpt-4o-mini",
        "messages": planted("[EMAIL_ADDRESS]"),
        "metadata": {"card": "[CREDIT_CARD]"},
        "user": "[EMAIL_ADDRESS]",
    }
    assert json.loads(received["body"]) == clean
    assert gate.row(reply.id)["findings_prompt"] == {"EMAIL_ADDRESS": 5, "CREDIT_CARD": 1}

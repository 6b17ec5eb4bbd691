"""Images through real clients: they can't be scanned, so the profile decides."""

from __future__ import annotations

import base64
import struct
import zlib

from app import App
from roster import having
from stack import Stack


def png() -> str:
    """A picture of one white pixel, in base64."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xff")) + chunk(b"IEND", b"")
    return base64.b64encode(whole).decode()


@having("image")
def test_an_image_passes_where_the_profile_lets_it(app: App, gate: Stack) -> None:
    """With `unscanned: alert` the provider gets the picture as it was, and the words beside it without the address."""
    gate.script({"text": "A pixel"})
    came = app.do("image", key="looking", prompt="What does bert@example.org see?", image=png())
    assert (came.failure, came.text) == (None, "A pixel")
    (got,) = gate.mock_received()
    assert png() in got["body"]
    assert "What does [EMAIL_ADDRESS] see?" in got["body"]


def refused(app: App, gate: Stack, verb: str, image: str) -> None:
    """The client's own error, asked for once; nothing leaves the house."""
    before = gate.envoy_counter()
    failure = app.do(verb, image=image).refused
    assert (failure.status, failure.code) == (400, "guardrail_blocked")
    assert "UNSCANNED" in failure.message
    assert gate.envoy_counter() - before == 1
    assert gate.mock_received() == []


@having("image")
def test_an_image_is_refused_where_all_must_be_scanned(app: App, gate: Stack) -> None:
    """With `unscanned: block`."""
    refused(app, gate, "image", png())


@having("image_url")
def test_an_images_address_is_refused_where_all_must_be_scanned(app: App, gate: Stack) -> None:
    """Nor may the provider be sent to fetch it."""
    refused(app, gate, "image_url", "https://example.com/pixel.png")

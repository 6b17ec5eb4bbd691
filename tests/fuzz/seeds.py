"""First inputs, made from the shapes that the tests have: `python tests/fuzz/seeds.py FOLDER` writes a folder for each target.

What the corpus keeps of them is what an engine found to reach something that smaller inputs don't.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fuzz.of_codings import ENCODE
from fuzz.targets import TARGETS
from fuzz.words import CARD, KEY, MAIL, PIECES
from shapes import routes as shapes
from shapes.streams import Site, Stream

_NAMES: Final = sorted(TARGETS)
_MOST: Final = 80
_LONGEST: Final = 3000


def of(name: str) -> Iterator[bytes]:
    """Inputs of a target."""
    match name:
        case "json":
            yield from _texts()
        case "sse":
            yield from (b"data: {}\n\n", b"\xef\xbb\xbf: c\r\n\r\nevent: e\rdata: a\rdata: b\r\r", b"data\n\ndata: x\n\nid: 1\n\n")
        case "texts":
            yield from (b" ".join(PIECES[at : at + 4]) for at in range(len(PIECES)))
            yield b'{"to": "%b", "n": %b}' % (MAIL, CARD)
        case "codings":
            for number, encode in enumerate(ENCODE.values()):
                yield from (bytes([number + 5 * limit]) + encode(b'{"model": "cheap"}' * 20) for limit in (1, 3))
        case _:
            yield from _of_route(*name.rsplit("_", 1))


def _texts() -> Iterator[bytes]:
    yield from (
        b"{}",
        b'{"a": [1, 2.5e3, -0, "x\\u0041\\n\\\\", null, true, {"B": {}}], "n": 4111111111111111}',
        b' [ [ [ "\\ud83d\\ude00" ] ] ] ',
    )


def _of_route(route: str, part: str) -> Iterator[bytes]:
    found = shapes.of(route)
    if part == "request":
        yield from _planted(found.requests)
    elif part == "answer":
        yield from _planted((*found.answers, *found.errors))
    elif found.stream:
        yield from _streams(found.stream)
        yield from (found.stream.line(document) for document in _some(found.events))


def _some(documents: tuple[Any, ...]) -> list[Any]:
    """So many that they can be looked through, from all over."""
    short = [document for document in documents if len(json.dumps(document)) < _LONGEST]
    return short[:: max(1, len(short) // _MOST)]


def _planted(documents: tuple[Any, ...]) -> Iterator[bytes]:
    for number, document in enumerate(_some(documents)):
        raw = json.dumps(document).encode()
        yield raw.replace(b" text", b" %b" % MAIL) if number % 3 == 0 else raw


def _streams(stream: Stream) -> Iterator[bytes]:
    halves = [MAIL[:9].decode(), MAIL[9:].decode(), " ", CARD.decode()]
    yield stream.render({site.name: halves for site in stream.sites[:3]})
    yield from (stream.render({site.name: halves}) for site in stream.sites)
    yield from (_bare(stream, site, MAIL) for site in stream.sites)
    yield _bare(stream, stream.sites[0], KEY)
    yield stream.render({stream.sites[0].name: list("a@b.org é😀")}).replace(b"\n", b"\r\n")


def _bare(stream: Stream, site: Site, planted: bytes) -> bytes:
    """A text in pieces, and of its events no more than it takes to tell them from others."""
    events = [site.event(piece) for piece in (planted[:9].decode(), planted[9:].decode(), " ")]
    if site.begin:
        events[:1] = site.begin(planted[:9].decode())
    return b"".join(stream.line({name: value for name, value in event.items() if name not in _SAID}) for event in events)


_SAID: Final = ("id", "object", "created", "model", "system_fingerprint", "usage", "item_id")


def main(folder: Path) -> None:
    """Write all of them."""
    for name in _NAMES:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for number, raw in enumerate(of(name)):
            (place / f"seed-{number:03}").write_bytes(raw)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

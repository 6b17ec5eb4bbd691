"""What control and a plane say to each other, and in what shape.

    plane   ──► {"plane": name, "version": text, "epoch": text, "revision": what is in force}        on connecting
    control ──► {"begin": {"revision": text, "epoch": text, "base": text}}                           at once, and on every change
            ──► pieces, of at most PIECE items
            ──► {"end": text}
    plane   ──► {"revision": text, "in_force": text, "problem": ""}                                  in force; or why it is not

Each frame is its length in bytes (4, big endian) and its body. One that begins with `{` is a JSON object; any other is a piece,
an item a line:

    kind TAB name TAB document LF …       name is a JSON string, document one line of JSON; none: the record is gone

Kinds are those of contracts/snapshot.py, a key's name being its public id, and `organisation` and `pepper` (name: its version),
whose documents are JSON strings. A push with a `base` holds what changed since that revision of the same epoch; one without holds
everything. An epoch is one life of control and what it shows to planes of these projects: revisions of two are not compared.

Where nothing changes, control says {"still": true} every STILL_S: a plane that hears nothing for SILENCE_S takes the connection for
dead. A plane tells {"rehashed": {key id: {"old": hash, "new": word}}} of keys that it saw used under an older pepper.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from itertools import islice
from typing import Any, Final

import orjson

from contracts.snapshot import RECORDS, Record, record_of

PIECE: Final = 32
"""Items of a piece: less than a millisecond of a plane's event loop."""
MAX_BYTES: Final = 16 << 20
ORGANISATION: Final = "organisation"
PEPPER: Final = "pepper"

STILL: Final = b'{"still":true}'
STILL_S: Final = 5.0
SILENCE_S: Final = 20.0

Item = tuple[str, str, bytes]
"""Kind, name, document; an empty document: the record is gone."""

_Fields = tuple[tuple[str, Any], ...]


def _defaults(record: type[Record]) -> _Fields:
    return tuple((each.name, each.default_factory() if each.default_factory is not MISSING else each.default) for each in fields(record))


_FIELDS: Final[dict[type[Record], _Fields]] = {record: _defaults(record) for record in RECORDS.values()}


def packed(record: Record) -> bytes:
    """A record as one line of JSON, without what stands at its default."""
    found = {name: value for name, default in _FIELDS[type(record)] if (value := getattr(record, name)) != default}
    return orjson.dumps(found, default=dict)


def unpacked(kind: str, document: bytes) -> Record:
    """Read what `packed` wrote. Raises ValueError, TypeError or KeyError for anything else."""
    return record_of(kind, orjson.loads(document))


def framed(body: bytes) -> bytes:
    """A frame as it crosses the socket."""
    return len(body).to_bytes(4, "big") + body


def message(said: object) -> bytes:
    """A message's frame body."""
    return orjson.dumps(said)


def read_message(body: bytes) -> dict[str, Any]:
    """The JSON object of a frame body. Raises ValueError or TypeError where it is none."""
    said = orjson.loads(body)
    if not isinstance(said, dict):
        raise TypeError("the message is no object")
    return said


def begin(revision: str, epoch: str, base: str) -> bytes:
    """The frame that a push begins with; no `base`: it holds everything."""
    return message({"begin": {"revision": revision, "epoch": epoch, "base": base}})


def end(revision: str) -> bytes:
    """The frame that a push ends with."""
    return message({"end": revision})


def batches(items: Iterable[Item], most: int = PIECE) -> Iterator[list[Item]]:
    """Items by the piece."""
    left = iter(items)
    while batch := list(islice(left, most)):
        yield batch


def is_piece(body: bytes) -> bool:
    """Whether a frame body holds items."""
    return not body.startswith(b"{")


def piece(items: Iterable[Item]) -> bytes:
    """A piece's frame body."""
    return b"\n".join(b"%b\t%b\t%b" % (kind.encode(), orjson.dumps(name), document) for kind, name, document in items)


def read_piece(body: bytes) -> Iterable[Item]:
    """The items of a piece. Raises ValueError where it is none."""
    for line in body.split(b"\n"):
        kind, name, document = line.split(b"\t")
        yield kind.decode(), orjson.loads(name), document


async def receive(reader: asyncio.StreamReader, most: int = MAX_BYTES) -> bytes:
    """The next frame's body, of `most` bytes. Raises EOFError where the other end is gone, ValueError where it sent something else."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if not 0 < length <= most:
        raise ValueError("the frame is longer than any that is sent")
    return await reader.readexactly(length)

"""The spool's format on disk, as bytes: how a record is written, and how a segment is read back.

    segment = header frame*
    header  = "PCLSPOOL" u16 version  u16 length  JSON {"plane", "writer"}
    frame   = u32 length  u32 crc     payload

Integers are little-endian. `crc` is CRC-32 (IEEE 802.3, as in zlib) over the length field and the payload, so that
a page of zeros, which a machine's crash may leave at the end of a file, is not a row of empty frames. A payload is
1 byte to 1 MiB of JSON: {"row": {column: value}} or {"intent": {column: value}}.

A writer only appends, and only to segments it opened itself. So what a reader finds at the end is either whole, or
torn (cut anywhere by a crash), and anything else that does not check out is corrupt.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from enum import Enum

MAGIC = b"PCLSPOOL"
VERSION = 1
MAX_PAYLOAD = 1 << 20
"""A row is some 2 KiB; what claims to be longer than this is damage, and is not worth allocating for."""

_START = struct.Struct("<8sHH")
_LENGTH = struct.Struct("<I")
_FRAME = struct.Struct("<II")
OVERHEAD = _FRAME.size


class Tail(Enum):
    """What follows the last whole frame."""

    CLEAN = "clean"
    TORN = "torn"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Header:
    """Whose segment it is. `writer` names one life of the process that wrote it; `end`: offset of the first frame."""

    plane: str
    writer: str
    end: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Whole frames in order, as (offset behind the frame, payload); `end`: offset behind the last; what follows it."""

    frames: tuple[tuple[int, bytes], ...]
    end: int
    tail: Tail


class BadSegmentError(ValueError):
    """The bytes are not the start of a segment that this version can read."""


def write_header(plane: str, writer: str) -> bytes:
    """Start of a segment."""
    names = json.dumps({"plane": plane, "writer": writer}).encode()
    return _START.pack(MAGIC, VERSION, len(names)) + names


def write_frame(payload: bytes) -> bytes:
    """One record. Raises ValueError for an empty payload or one over MAX_PAYLOAD."""
    size = len(payload)
    if not 0 < size <= MAX_PAYLOAD:
        raise ValueError(f"a spool record has 1 to {MAX_PAYLOAD} bytes, this one {size}")
    return _FRAME.pack(size, _crc(size, payload)) + payload


def read_header(start: bytes) -> Header | None:
    """Read the header; None while the file is too short for one. Raises BadSegmentError."""
    if not MAGIC.startswith(start[: len(MAGIC)]):
        raise BadSegmentError("not a spool segment")
    if len(start) < _START.size:
        return None
    _, version, size = _START.unpack_from(start)
    if version != VERSION:
        raise BadSegmentError(f"spool format {version}; this version reads {VERSION}")
    end = _START.size + size
    if len(start) < end:
        return None
    return _header(start[_START.size : end], end)


def cut(data: bytes, base: int, limit: int = MAX_PAYLOAD) -> Cut:
    """Cut `data`, which lies at offset `base` of its segment, into frames; stop once `limit` frames are found."""
    frames: list[tuple[int, bytes]] = []
    at = 0
    while len(frames) < limit:
        payload = _payload(data, at)
        if isinstance(payload, Tail):
            return Cut(tuple(frames), base + at, payload)
        at += OVERHEAD + len(payload)
        frames.append((base + at, payload))
    return Cut(tuple(frames), base + at, Tail.CLEAN if at == len(data) else Tail.TORN)


def _payload(data: bytes, at: int) -> bytes | Tail:
    """Payload of the whole frame at `at`, or what is there instead."""
    left = len(data) - at
    if left == 0:
        return Tail.CLEAN
    if left >= _LENGTH.size and not 0 < _LENGTH.unpack_from(data, at)[0] <= MAX_PAYLOAD:
        return Tail.CORRUPT
    if left < OVERHEAD:
        return Tail.TORN
    size, crc = _FRAME.unpack_from(data, at)
    if left < OVERHEAD + size:
        return Tail.TORN
    payload = data[at + OVERHEAD : at + OVERHEAD + size]
    return payload if crc == _crc(size, payload) else Tail.CORRUPT


def _crc(size: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(size)))


def _header(names: bytes, end: int) -> Header:
    try:
        read = json.loads(names)
        return Header(str(read["plane"]), str(read["writer"]), end)
    except (ValueError, KeyError, TypeError) as error:
        raise BadSegmentError("the segment's header can't be read") from error

"""A body's pieces made into others, without the whole of it ever being held."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS


def cut(pieces: Iterable[bytes], sizes: Sequence[int]) -> Iterator[bytes]:
    """The same bytes in pieces of these sizes, over and over; the last one is what is left."""
    held = bytearray()
    want = cycle(sizes)
    size = next(want)
    for piece in pieces:
        held += piece
        start = 0
        while len(held) - start >= size:
            yield bytes(held[start : start + size])
            start += size
            size = next(want)
        del held[:start]
    if held:
        yield bytes(held)


def packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes as gzip, flushed after each piece as a server flushes its events (RFC 1952)."""
    packer = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


def until(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes."""
    for piece in pieces:
        if size <= 0:
            return
        yield piece[:size]
        size -= len(piece)

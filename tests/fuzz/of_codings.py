"""Content codings. Oracle: any bytes under any coding give what the library's own decoder gives, within the limit, or one of our two refusals.

The first byte of an input says which coding and limit.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import brotli
from fuzz import mutation
from fuzz.oracles import demand

from contracts.errors import InvalidRequest, RequestTooLarge
from extproc.core.encodings import FREE, RATIO, coding, decode, weight, zstd

_LIMITS: Final = (0, 100, 5_000, FREE, 4 * FREE)
ENCODE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda plain: _packed(plain, 31),
    "deflate": lambda plain: _packed(plain, 15),
    "br": lambda plain: bytes(brotli.compress(plain, quality=1)),
    "zstd": zstd.compress,
    "x-gzip": lambda plain: _packed(plain, -15),
}
"""By the names that a header may have; the last two are there to be refused."""

_READ: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda raw: zlib.decompress(raw, 31),
    "deflate": lambda raw: zlib.decompress(raw, 15) if _wrapped(raw) else zlib.decompress(raw, -15),
    "br": lambda raw: bytes(brotli.decompress(raw)),
    "zstd": zstd.decompress,
}


def check(data: bytes, closely: bool = False) -> None:
    """The target."""
    name = list(ENCODE)[data[0] % len(ENCODE)] if data else "gzip"
    limit = _LIMITS[data[0] // len(ENCODE) % len(_LIMITS)] if data else 0
    raw = data[1:]
    for chosen in _READ if closely else [name.removeprefix("x-")]:
        known = coding((("content-encoding", chosen),))
        demand(known == chosen and weight(raw, known) >= len(raw), "a coding that is none", chosen)
        _decoded(raw, chosen, limit)


def _decoded(raw: bytes, name: str, limit: int) -> None:
    cap = min(limit, max(FREE, RATIO * len(raw)))
    try:
        out = decode(raw, name, limit)
    except RequestTooLarge:
        demand(cap == limit, "the ratio is not the limit")
    except InvalidRequest as error:
        demand(error.__context__ is None, "what a decoder said hangs on to the refusal")
    else:
        demand(len(out) <= cap, "more than may come out", len(out))
        demand(_read(raw, name) == out, "not what the library reads", name, raw)


def _read(raw: bytes, name: str) -> bytes:
    try:
        return _READ[name](raw)
    except zstd.ZstdError:
        return b""  # a frame of nothing that says it holds more than the limit: in small steps its decoder does not compare the two


def _packed(plain: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(plain) + packer.flush()


def _wrapped(raw: bytes) -> bool:
    return raw[0] & 0xF == 8 and int.from_bytes(raw[:2]) % 31 == 0


def mutated(raw: bytes, dice: random.Random) -> bytes:
    """Something encoded, with what is in it changed, or with something behind or before it."""
    head, body = raw[:1] or b"\0", raw[1:]
    name = list(ENCODE)[head[0] % len(ENCODE)]
    try:
        plain = decode(body, name.removeprefix("x-"), FREE)
    except (InvalidRequest, RequestTooLarge):
        plain = body[:100]
    match dice.randrange(5):
        case 0:
            return bytes([dice.randrange(256)]) + body
        case 1:
            return head + body[: dice.randint(0, len(body))]
        case 2:
            return head + body + dice.choice((b"\0", ENCODE[name](plain), b"x"))
        case 3:
            return head + ENCODE[name](plain * dice.choice((2, 50, 5_000)) if len(plain) < 500 else b"")
        case _:
            return head + ENCODE[name](mutation.text(plain, dice))

"""A request body out of its content coding, with a cap on what comes out.

Codings and their registry: RFC 9110, section 8.4; deflate RFC 1950 and 1951, gzip RFC 1952, brotli
RFC 7932, zstd RFC 8878 with the window of RFC 9659. What one decoder reads and another doesn't is
a way round the gate, so only the plain case passes: one coding, one stream, whole, nothing after it.

A few bytes may stand for gigabytes, so a decoder is never asked for more than the cap and one byte.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import brotli

from contracts.errors import InvalidRequest, RequestTooLarge
from extproc.core.events import Headers

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RATIO: Final = 100
"""Bytes that may come out for each that went in. JSON of prompts shrinks to a fifth or a tenth; deflate can reach 1,032, zstd far more."""

FREE: Final = 1 << 20
"""Bytes that may come out whatever the ratio: small bodies of many blanks are harmless."""

WORTH: Final = 16
"""How much work a coded byte is taken for. Bodies over 16 KiB are thus decoded away from the event loop, others take 5 ms at most."""

STEP: Final = 1 << 20
"""Brotli's limit holds by whole blocks: up to twice as much may come at once."""

WINDOW_LOG: Final = 23
"""zstd frames may look back 8 MiB and no further (RFC 9659, section 3)."""

_ZLIB, _RAW, _GZIP = zlib.MAX_WBITS, -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS
_METHOD, _CHECK = 8, 31  # RFC 1950, section 2.2
_FRAME: Final = b"\x28\xb5\x2f\xfd"
"""How a zstd frame begins. Skippable frames hold what no reader shows, and older formats are for archives."""


class _Damaged(Exception):  # noqa: N818 - a fact about the bytes, turned into a refusal in this file
    """The bytes are not one whole stream of the coding and nothing else."""


# ── which coding ──────────────────────────────────────────────────────────────


def coding(headers: Headers) -> str:
    """The request's one content coding: `gzip`, `deflate`, `br`, `zstd`, or empty where there is none.

    Raises:
        InvalidRequest: several codings, in one header or in several, or one that is not known here.
    """
    named = [token.strip().lower() for name, text in headers if name == "content-encoding" for token in text.split(",")]
    named = [token for token in named if token not in {"", "identity"}]
    if not named:
        return ""
    if len(named) > 1:
        raise InvalidRequest("The body is encoded more than once. Send it with one content-encoding, or with none.")
    name = named[0].removeprefix("x-") if named[0] == "x-gzip" else named[0]
    if name not in _DECODERS:
        raise InvalidRequest(f"The body's content-encoding is not known here. Send one of {', '.join(_DECODERS)}, or none.")
    return name


def weight(raw: bytes, coding: str) -> int:
    """What decoding `raw` counts as, in bytes of plain work: the `size` of its `Compute`."""
    return len(raw) * WORTH if coding else 0


# ── decoding ──────────────────────────────────────────────────────────────────


def decode(raw: bytes, coding: str, limit: int) -> bytes:
    """The body itself; `coding` is what `coding()` gave, `limit` is in bytes.

    Raises:
        RequestTooLarge: more than `limit` bytes come out.
        InvalidRequest: damaged, cut short, followed by something else (a second gzip member or zstd frame too), in need of a
            dictionary or of a window over 8 MiB, or more than RATIO bytes for each that went in once FREE bytes are out.
    """
    if not coding:
        return _fits(raw, limit, limit)
    cap = min(limit, max(FREE, RATIO * len(raw)))
    try:
        plain = _DECODERS[coding](raw, cap + 1)
    except (_Damaged, zlib.error, brotli.error, zstd.ZstdError):
        plain = None
    if plain is None:  # outside the handler: what a decoder said of the bytes must not hang on to the refusal
        raise InvalidRequest(f"The body can't be read as {coding}: it must be one whole stream with nothing after it.")
    return _fits(plain, cap, limit)


def _fits(plain: bytes, cap: int, limit: int) -> bytes:
    if len(plain) <= cap:
        return plain
    if cap == limit:
        raise RequestTooLarge(f"The body is over limits.request_bytes ({limit} bytes), counted after decoding. Send less.")
    raise InvalidRequest(f"The body decodes to more than {RATIO} times its size. Send it without content-encoding.")


def _inflated(raw: bytes, most: int, format_bits: int) -> bytes:
    decoder = zlib.decompressobj(format_bits)
    plain = decoder.decompress(raw, most)
    if len(plain) < most:
        _whole(ended=decoder.eof, rest=decoder.unused_data)
    return plain


def _gzip(raw: bytes, most: int) -> bytes:
    return _inflated(raw, most, _GZIP)


def _deflate(raw: bytes, most: int) -> bytes:
    """With zlib's header, as the RFC has it, or without, as some clients send it; the first two bytes decide."""
    wrapped = len(raw) > 1 and raw[0] & 0xF == _METHOD and (raw[0] << 8 | raw[1]) % _CHECK == 0
    return _inflated(raw, most, _ZLIB if wrapped else _RAW)


def _brotli(raw: bytes, most: int) -> bytes:
    decoder = brotli.Decompressor()
    pieces = [decoder.process(raw, output_buffer_limit=min(STEP, most))]
    size = len(pieces[0])
    while size < most and not decoder.is_finished():
        pieces.append(decoder.process(b"", output_buffer_limit=min(STEP, most - size)))
        if not pieces[-1]:
            raise _Damaged
        size += len(pieces[-1])
    # What follows the end of the stream is an error of the decoder's own.
    return b"".join(pieces)


def _zstd(raw: bytes, most: int) -> bytes:
    if not raw.startswith(_FRAME):
        raise _Damaged
    decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
    plain = decoder.decompress(raw, most)
    if len(plain) < most:
        _whole(ended=decoder.eof, rest=decoder.unused_data)
    return plain


def _whole(*, ended: bool, rest: bytes) -> None:
    if rest or not ended:
        raise _Damaged


_DECODERS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = MappingProxyType(
    {"gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}
)

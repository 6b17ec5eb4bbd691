"""Whatever bytes come under whatever coding: a body within the limit or one of two refusals, and nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import brotli
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.errors import InvalidRequest, RequestTooLarge
from extproc.core.encodings import FREE, coding, decode, zstd

CODINGS: Final = ("gzip", "deflate", "br", "zstd")
ENCODE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda plain: _zlib(plain, 31),
    "deflate": lambda plain: _zlib(plain, 15),
    "deflate without a header": lambda plain: _zlib(plain, -15),
    "br": lambda plain: bytes(brotli.compress(plain, quality=1)),
    "zstd": zstd.compress,
}
PLAIN: Final = (
    st.binary(max_size=300)
    | st.text(max_size=200).map(str.encode)
    | st.builds(lambda x, n: x * n, st.binary(max_size=3), st.integers(0, 5000))
)


def _zlib(plain: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(plain) + packer.flush()


@given(PLAIN, st.sampled_from(sorted(ENCODE)), st.integers(0, 20_000))
def test_what_was_encoded_comes_out_or_is_too_large(plain: bytes, form: str, limit: int) -> None:
    """Within the limit the body is exactly what was put in; over it, it is too large."""
    encoded = ENCODE[form](plain)
    try:
        out = decode(encoded, form.split(maxsplit=1)[0], limit)
    except RequestTooLarge:
        assert len(plain) > limit
    else:
        assert out == plain
        assert len(out) <= limit


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stream of some coding with bytes changed, cut, doubled or added."""
    raw = bytearray(ENCODE[draw(st.sampled_from(sorted(ENCODE)))](draw(PLAIN)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(raw)


@given(damaged() | st.binary(max_size=400), st.sampled_from(CODINGS), st.integers(0, 2 * FREE))
@example(b"\x28\xb5\x2f\xfd", "zstd", 10)
@example(b"", "br", 0)
@example(b"\x1f\x8b\x08", "gzip", 10)
@example(b"\x78\x9c", "deflate", 10)
def test_any_bytes_give_a_body_or_one_of_our_refusals(raw: bytes, name: str, limit: int) -> None:
    """No decoder's own error gets out, and no limit is passed."""
    try:
        out = decode(raw, name, limit)
    except (InvalidRequest, RequestTooLarge):
        return
    assert len(out) <= limit


@given(st.lists(st.tuples(st.just("content-encoding"), st.text(st.characters(max_codepoint=255)))).map(tuple))
def test_any_header_names_a_known_coding_or_is_refused(headers: tuple[tuple[str, str], ...]) -> None:
    """One known coding, none, or a refusal."""
    try:
        assert coding(headers) in {"", *CODINGS}
    except InvalidRequest:
        return

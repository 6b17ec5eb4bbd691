"""Content codings: the plain case passes, and every other is refused with a text that holds nothing of the body."""

from __future__ import annotations

import gzip
import json
import traceback
import zlib
from collections.abc import Callable
from typing import Final

import brotli
import pytest

from contracts.errors import InvalidRequest, Refused, RequestTooLarge
from extproc.core import encodings
from extproc.core.encodings import FREE, RATIO, coding, decode, weight, zstd

BODY: Final = json.dumps({"model": "cheap", "messages": [{"role": "user", "content": "Grüße an jane@example.com"}]}).encode()
LIMIT: Final = 20 << 20


def bare_deflate(data: bytes) -> bytes:
    """Deflate without zlib's header, as some clients send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


ENCODE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
FORMS: Final = [*ENCODE.items(), ("deflate", bare_deflate)]
each_form = pytest.mark.parametrize(("name", "encode"), FORMS, ids=["gzip", "deflate", "br", "zstd", "deflate without a header"])


# ── which coding ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([""], ""),
        (["identity"], ""),
        ([" Identity , "], ""),
        (["gzip"], "gzip"),
        (["x-gzip"], "gzip"),
        (["  GZip\t"], "gzip"),
        (["deflate"], "deflate"),
        (["br"], "br"),
        (["zstd"], "zstd"),
        (["identity, br"], "br"),
        (["identity", "zstd"], "zstd"),
    ],
)
def test_one_coding_is_named(values: list[str], expected: str) -> None:
    """Names fold case, x-gzip is gzip, and identity is no coding."""
    assert coding((("content-type", "application/json"), *(("content-encoding", value) for value in values))) == expected


@pytest.mark.parametrize("values", [["gzip, br"], ["gzip", "br"], ["gzip,gzip"], ["gzip", "gzip"], ["br", "identity", "br"]])
def test_stacked_codings_are_refused(values: list[str]) -> None:
    """More than one coding is refused, in one header or in several, and also where it is twice the same."""
    with pytest.raises(InvalidRequest, match="more than once"):
        coding(tuple(("content-encoding", value) for value in values))


@pytest.mark.parametrize("value", ["compress", "x-compress", "x-br", "aes128gcm", "*", "gzip;q=1", "jane@example.com", "dcb", "dcz"])
def test_an_unknown_coding_is_refused_without_its_name(value: str) -> None:
    """What is not known here is refused; the caller's text is not said back."""
    with pytest.raises(InvalidRequest, match="gzip, deflate, br, zstd") as caught:
        coding((("content-encoding", value),))
    assert value == "*" or value not in str(caught.value).replace("gzip, deflate, br, zstd", "")


# ── whole bodies ──────────────────────────────────────────────────────────────


@each_form
@pytest.mark.parametrize("plain", [b"", b"{}", BODY, BODY * 3000], ids=len)
def test_a_body_comes_out_as_it_was(name: str, encode: Callable[[bytes], bytes], plain: bytes) -> None:
    """Each coding gives back what was put in."""
    assert decode(encode(plain), name, LIMIT) == plain


def test_without_a_coding_the_body_stays_as_it_is() -> None:
    """No coding: the same bytes, under the same limit."""
    assert decode(BODY, "", len(BODY)) is BODY
    with pytest.raises(RequestTooLarge):
        decode(BODY, "", len(BODY) - 1)


@each_form
def test_the_limit_is_exact(name: str, encode: Callable[[bytes], bytes]) -> None:
    """As many bytes as the limit pass, one more is too large."""
    encoded = encode(BODY)
    assert decode(encoded, name, len(BODY)) == BODY
    with pytest.raises(RequestTooLarge, match=r"limits\.request_bytes"):
        decode(encoded, name, len(BODY) - 1)


# ── what is not one whole stream ──────────────────────────────────────────────


def refused(raw: bytes, name: str) -> Refused:
    """The refusal of a body; nothing of the body, and no decoder's words, may hang on it."""
    with pytest.raises(InvalidRequest) as caught:
        decode(raw, name, LIMIT)
    why = caught.value
    assert why.__cause__ is None
    assert why.__context__ is None
    assert "jane" not in "".join(traceback.format_exception(why))
    assert str(why).startswith(f"The body can't be read as {name}")
    return why


@each_form
def test_a_body_that_is_cut_short_is_refused(name: str, encode: Callable[[bytes], bytes]) -> None:
    """Wherever it is cut, also before the first byte and in the trailer."""
    encoded = encode(BODY)
    for end in range(len(encoded)):
        refused(encoded[:end], name)


@each_form
@pytest.mark.parametrize("rest", [b"\0", b"\n", b"{}", None], ids=["nul", "newline", "json", "the same again"])
def test_what_follows_the_end_is_refused(name: str, encode: Callable[[bytes], bytes], rest: bytes | None) -> None:
    """Trailing bytes, further gzip members and further zstd frames: readers disagree about them."""
    encoded = encode(BODY)
    refused(encoded + (encoded if rest is None else rest), name)


@each_form
def test_a_body_in_another_coding_is_refused(name: str, encode: Callable[[bytes], bytes]) -> None:
    """What is said must be so: nothing is guessed from the bytes."""
    refused(BODY, name)
    for other in ENCODE:
        if other != name:
            refused(encode(BODY), other)


@pytest.mark.parametrize("place", [-8, -4], ids=["checksum", "length"])
def test_gzips_trailer_is_checked(place: int) -> None:
    """A wrong checksum or length in gzip's trailer is refused."""
    encoded = bytearray(gzip.compress(BODY))
    encoded[place] ^= 1
    refused(bytes(encoded), "gzip")


def test_zlibs_checksum_is_checked() -> None:
    """A wrong Adler-32 is refused."""
    encoded = bytearray(zlib.compress(BODY))
    encoded[-1] ^= 1
    refused(bytes(encoded), "deflate")


def test_a_zstd_checksum_is_checked() -> None:
    """A frame that brings a checksum must be right."""
    encoded = bytearray(zstd.compress(BODY, options={zstd.CompressionParameter.checksum_flag: 1}))
    assert decode(bytes(encoded), "zstd", LIMIT) == BODY
    encoded[-1] ^= 1
    refused(bytes(encoded), "zstd")


def test_a_preset_dictionary_is_refused() -> None:
    """Neither zlib's nor zstd's dictionaries are known here."""
    packer = zlib.compressobj(zdict=b"jane@example.com")
    refused(packer.compress(BODY) + packer.flush(), "deflate")
    samples = [BODY.replace(b"cheap", b"m%d" % number) for number in range(200)]
    trained = zstd.train_dict(samples, 1024)
    refused(zstd.compress(BODY, zstd_dict=trained), "zstd")


def test_skippable_frames_are_refused() -> None:
    """A frame that readers pass over may hide anything: before, after and alone."""
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0jane"
    frame = zstd.compress(BODY)
    for raw in (skipped, skipped + frame, frame + skipped):
        refused(raw, "zstd")


def test_a_window_over_8_mib_is_refused() -> None:
    """A frame of a few bytes can ask for gigabytes of memory: 8 MiB is what RFC 9659 allows."""
    windows = {}
    for log in (23, 24, 27):
        options = {zstd.CompressionParameter.window_log: log}
        packer = zstd.ZstdCompressor(options=options)
        windows[log] = packer.compress(BODY) + packer.flush(zstd.ZstdCompressor.FLUSH_FRAME)
    assert decode(windows[23], "zstd", LIMIT) == BODY
    refused(windows[24], "zstd")
    refused(windows[27], "zstd")


# ── bombs ─────────────────────────────────────────────────────────────────────


@each_form
def test_a_bomb_is_refused_by_its_ratio(name: str, encode: Callable[[bytes], bytes]) -> None:
    """Sixteen mebibytes of blanks in a few bytes: under the size limit, and refused all the same."""
    bomb = encode(b" " * (16 << 20))
    assert len(bomb) < (16 << 20) // RATIO
    with pytest.raises(InvalidRequest, match=f"more than {RATIO} times"):
        decode(bomb, name, LIMIT)


@each_form
def test_small_bodies_may_shrink_as_they_like(name: str, encode: Callable[[bytes], bytes]) -> None:
    """The ratio counts once a mebibyte is out."""
    assert len(decode(encode(b" " * FREE), name, LIMIT)) == FREE
    with pytest.raises(InvalidRequest, match="times its size"):
        decode(encode(b" " * (FREE + 1)), name, LIMIT)


@each_form
def test_a_bomb_under_a_smaller_limit_is_too_large(name: str, encode: Callable[[bytes], bytes]) -> None:
    """Where the size limit is reached before the ratio, that is what is said."""
    with pytest.raises(RequestTooLarge):
        decode(encode(b" " * (16 << 20)), name, FREE // 2)


def test_brotli_is_asked_for_no_more_than_it_may_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its decoder has no cap of its own: every call names one, and a bomb is let go at the cap."""
    real, given = brotli.Decompressor, list[int]()

    class Watched:
        """The real decoder, with what came out counted."""

        def __init__(self) -> None:
            self._real = real()
            self.is_finished = self._real.is_finished

        def process(self, data: bytes, *, output_buffer_limit: int) -> bytes:
            """Count what the real one gives."""
            assert 0 < output_buffer_limit <= encodings.STEP
            given.append(len(out := bytes(self._real.process(data, output_buffer_limit=output_buffer_limit))))
            return out

    bomb = brotli.compress(b" " * (64 << 20))
    monkeypatch.setattr(encodings.brotli, "Decompressor", Watched)
    with pytest.raises(InvalidRequest):
        decode(bomb, "br", LIMIT)
    assert sum(given) <= FREE + 2 * encodings.STEP


def test_weight_is_counted_in_plain_bytes() -> None:
    """What is encoded weighs more than its length, what is not weighs nothing."""
    assert weight(BODY, "") == 0
    assert weight(BODY, "br") == len(BODY) * encodings.WORTH

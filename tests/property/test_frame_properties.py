"""Any bytes are frames that were written, a torn tail, or corrupt: never anything else, and never an exception."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ingest.frame import BadSegmentError, Tail, cut, read_header, write_frame

payloads = st.lists(st.binary(min_size=1, max_size=60), max_size=8)


@given(st.binary(max_size=300))
@example(bytes(64))
@example(b"\xff" * 64)
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    """The reader neither raises nor gives more than there is."""
    found = cut(data, 0)

    assert 0 <= found.end <= len(data)
    assert b"".join(write_frame(payload) for _, payload in found.frames) == data[: found.end]


@given(st.binary(max_size=80))
def test_any_bytes_are_a_header_or_none_or_refused(data: bytes) -> None:
    """The same for a segment's start."""
    try:
        header = read_header(data)
    except BadSegmentError:
        return
    assert header is None or header.end <= len(data)


@given(payloads, st.data())
def test_a_prefix_gives_a_prefix(written: list[bytes], data: st.DataObject) -> None:
    """Cut anywhere, what is whole is read and the rest is torn."""
    whole = b"".join(map(write_frame, written))
    length = data.draw(st.integers(0, len(whole)))

    found = cut(whole[:length], 0)

    assert [payload for _, payload in found.frames] == written[: len(found.frames)]
    assert found.tail is (Tail.CLEAN if found.end == length else Tail.TORN)
    assert length - found.end < max(map(len, written), default=0) + 8


@given(payloads, st.data())
def test_a_flipped_bit_gives_no_record_that_was_not_written(written: list[bytes], data: st.DataObject) -> None:
    """Damage ends the reading; it does not change a record."""
    whole = bytearray(b"".join(map(write_frame, written)))
    if whole:
        at = data.draw(st.integers(0, len(whole) * 8 - 1))
        whole[at // 8] ^= 1 << at % 8

    found = cut(bytes(whole), 0)

    assert [payload for _, payload in found.frames] == written[: len(found.frames)]
    assert not whole or len(found.frames) < len(written)


@given(payloads, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_reading_in_pieces_gives_the_same(written: list[bytes], steps: list[int]) -> None:
    """A reader that comes while the writer writes sees each record once."""
    whole = b"".join(map(write_frame, written))
    seen: list[bytes] = []
    at = length = 0
    for step in [*steps, len(whole)]:
        length = min(len(whole), length + step)
        found = cut(whole[at:length], at)
        seen += [payload for _, payload in found.frames]
        at = found.end

    assert seen == written

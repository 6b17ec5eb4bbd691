"""The spool's bytes: what is written is read, and nothing else is."""

from __future__ import annotations

import pytest

from ingest.frame import MAX_PAYLOAD, BadSegmentError, Tail, cut, read_header, write_frame, write_header


def test_frames_are_read_back_in_order_with_the_offset_behind_each() -> None:
    """A reader gets each payload and where to go on after it."""
    one, two = write_frame(b"one"), write_frame(b"second")

    found = cut(one + two, 100)

    assert found.frames == ((100 + len(one), b"one"), (100 + len(one) + len(two), b"second"))
    assert (found.end, found.tail) == (100 + len(one) + len(two), Tail.CLEAN)


@pytest.mark.parametrize("missing", range(1, 11))
def test_a_frame_cut_anywhere_is_torn(missing: int) -> None:
    """A crash in the middle of a write leaves a tail that is no record and no damage."""
    whole = write_frame(b"one")

    found = cut(whole + whole[:-missing], 0)

    assert [payload for _, payload in found.frames] == [b"one"]
    assert found.tail is Tail.TORN
    assert found.end == len(whole)


def test_a_changed_byte_is_corrupt() -> None:
    """A payload that does not fit its checksum is not given out."""
    frame = bytearray(write_frame(b"one"))
    frame[-1] ^= 1

    found = cut(bytes(frame), 0)

    assert (found.frames, found.tail) == ((), Tail.CORRUPT)


def test_a_page_of_zeros_is_corrupt_and_not_empty_records() -> None:
    """What a machine's crash may leave at the end of a file gives no record."""
    found = cut(write_frame(b"one") + bytes(4096), 0)

    assert len(found.frames) == 1
    assert found.tail is Tail.CORRUPT


@pytest.mark.parametrize("payload", [b"", b"x" * (MAX_PAYLOAD + 1)])
def test_a_payload_that_no_reader_would_take_is_not_written(payload: bytes) -> None:
    """The writer's limits are the reader's."""
    with pytest.raises(ValueError, match="1 to 1048576 bytes"):
        write_frame(payload)


def test_header_names_plane_and_writer() -> None:
    """Whose segment it is stands in front."""
    start = write_header("extproc-0", "77-1")

    header = read_header(start + write_frame(b"one"))

    assert header is not None
    assert (header.plane, header.writer, header.end) == ("extproc-0", "77-1", len(start))


@pytest.mark.parametrize("length", range(30))
def test_header_cut_anywhere_is_not_there_yet(length: int) -> None:
    """A writer that was killed while it opened a segment left no damage."""
    assert read_header(write_header("extproc-0", "77-1")[:length]) is None


@pytest.mark.parametrize(
    "start", [b"something else", b"PCLSPOOL\x02\x00\x02\x00{}", b"PCLSPOOL\x01\x00\x02\x00{}", b"PCLSPOOL\x01\x00\x01\x00{"]
)
def test_what_is_no_header_of_this_version_is_refused(start: bytes) -> None:
    """Another file, another version, or a header without names can't be read."""
    with pytest.raises(BadSegmentError):
        read_header(start)

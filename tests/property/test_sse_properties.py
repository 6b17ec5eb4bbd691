"""Laws of the splitter: no byte is lost, and the split of the bytes doesn't matter."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from extproc.core.sse import Event, Splitter

END = st.sampled_from([b"\n", b"\r", b"\r\n"])
LINE = st.sampled_from(
    [b"", b"", b"data: {}", b"data:x", b"data", "data: é😀".encode(), b": c", b"event: e", b"id", b"x:y:z", b"\xef\xbb\xbfdata: b"]
)
STREAM = st.lists(st.tuples(LINE, END).map(b"".join), max_size=20).map(b"".join)
SPLIT = st.lists(st.integers(0, 200), max_size=12)


def pieces(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream cut at these places."""
    bounds = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(bounds)]


def split(parts: list[bytes]) -> tuple[list[Event], bytes]:
    """The events of a stream that comes in these pieces, and what is left."""
    splitter = Splitter()
    found = [event for part in parts for event in splitter.feed(part)] + list(splitter.finish())
    return found, splitter.rest()


def by_the_book(stream: bytes) -> list[bytes]:
    """The data of dispatched events, by the standard's own steps over whole lines, one character at a time."""
    stream = stream.removeprefix(b"\xef\xbb\xbf")
    lines, line, at = [], b"", 0
    while at < len(stream):
        if stream[at : at + 1] in (b"\r", b"\n"):
            at += 2 if stream[at : at + 2] == b"\r\n" else 1
            lines.append(line)
            line = b""
        else:
            line += stream[at : at + 1]
            at += 1
    events, buffer = [], []
    for text in lines:
        if not text:
            if buffer and b"\n".join(buffer):
                events.append(b"\n".join(buffer))
            buffer = []
        elif text.split(b":")[0] == b"data":
            buffer.append(text[5:].removeprefix(b" "))
    return events


@given(STREAM, SPLIT)
@example(b"data: a\r\n\r\ndata: b\r\r", [9, 10, 11])
@example(b"\xef\xbb\xbf\ndata: a\n\n", [1, 2])
def test_any_split_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    """Also inside a code point, a CRLF or a field's name; and byte by byte."""
    whole = split([stream])
    assert split(pieces(stream, places)) == whole
    assert split([bytes([byte]) for byte in stream]) == whole


@given(STREAM, SPLIT)
def test_no_byte_is_lost(stream: bytes, places: list[int]) -> None:
    """The events' bytes and the rest, joined, are the stream."""
    found, rest = split(pieces(stream, places))
    assert b"".join(event.raw for event in found) + rest == stream


@given(STREAM)
@example(b"\xef\xbb\xbf\ndata: a\n\n")
def test_the_data_is_that_of_the_standard(stream: bytes) -> None:
    """A second reading, written plainly from the standard, finds the same data."""
    found, _ = split([stream])
    assert [event.data for event in found if event.data] == by_the_book(stream)


@given(STREAM)
@example(b"data\n\n")
@example(b"data: {}\ndata: {}\n: c\r\r")
@example(b"data\n\xef\xbb\xbfdata: b\n\n")
@example(b"\n\xef\xbb\xbfdata: b\ndata: {}\n\n")
def test_exchanged_data_is_what_a_reader_then_reads(stream: bytes) -> None:
    """Whatever an event looks like, after an exchange it has the new data and what stood beside it."""
    for number, event in enumerate(split([stream])[0]):
        if event.data is None:
            continue
        ahead = [b"\n"] if number else []  # a byte order mark counts at the start of a stream only
        new = b'{"a":\n1}' if event.span is None else b"{}"
        again = split([*ahead, event.with_data(new)])[0][-1]
        assert (again.data, lines(again.beside)) == (new, lines(event.beside))
        bare = split([*ahead, event.without_rest()])[0][-1]
        assert (bare.data, bare.beside) == (event.data, b"")


def lines(text: bytes) -> bytes:
    """The same lines, each with LF at its end."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


@given(st.binary(max_size=60), SPLIT)
def test_any_bytes_are_split_somehow(stream: bytes, places: list[int]) -> None:
    """No bytes break the splitter."""
    found, rest = split(pieces(stream, places))
    assert b"".join(event.raw for event in found) + rest == stream

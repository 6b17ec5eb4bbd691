"""Event streams: what an event is, which bytes it has, and how its data is exchanged."""

from __future__ import annotations

import pytest

from extproc.core.sse import Event, EventTooLarge, Splitter


def events(stream: bytes) -> list[Event]:
    """Every event of a stream that comes in one piece and ends."""
    splitter = Splitter()
    return [*splitter.feed(stream), *splitter.finish()]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\ndata:  b\n\n", [b"a", b" b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [b"a", b"b", b"c"]),
        (b"data: a\ndata: b\ndata\ndata:\n\n", [b"a\nb\n\n"]),
        (b"data\n\n", [b""]),
        (b": hello\n\n", [None]),
        (b"event: x\nid: 1\nretry: 5\n\n", [None]),
        (b": hello\nevent: x\ndata: a\nid: 1\n\n", [b"a"]),
        (b"data: a\n\n\n\n", [b"a", None, None]),
        (b"\r\n\r\ndata: a\r\n\r\n", [None, None, b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a", None]),
        (b"Data: a\ndatax: b\n data: c\n\n", [None]),
        (b"data: a:b\n\n", [b"a:b"]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: a\r\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, data: list[bytes | None]) -> None:
    """Line ends, comments, fields without colon, one space after it, and the byte order mark at the start."""
    assert [event.data for event in events(stream)] == data


def test_what_never_became_an_event_is_left_over() -> None:
    """The rest is what a reader drops at the end of the stream."""
    splitter = Splitter()
    assert [event.raw for event in splitter.feed(b"data: a\n\ndata: b\n")] == [b"data: a\n\n"]
    assert list(splitter.finish()) == []
    assert splitter.rest() == b"data: b\n"


def test_a_last_cr_waits_for_a_line_feed() -> None:
    """A CR in hand may be half of CRLF: the event's bytes are the same either way."""
    splitter = Splitter()
    assert list(splitter.feed(b"data: a\r\n\r")) == []
    assert [event.raw for event in splitter.feed(b"\n")] == [b"data: a\r\n\r\n"]
    assert list(splitter.feed(b"\r")) == []
    assert [event.raw for event in splitter.feed(b"data: b")] == [b"\r"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\n\n", b"data: {}\n\n"),
        (b"data:a\r\n\r\n", b"data:{}\r\n\r\n"),
        (b"\xef\xbb\xbfdata: a\n\n", b"\xef\xbb\xbfdata: {}\n\n"),
        (b": c\nevent: x\ndata:  a\nid: 1\n\n", b": c\nevent: x\ndata: {}\nid: 1\n\n"),
        (b"data: a\r\nid: 1\r\ndata: b\r\n\r\n", b"data: {}\nid: 1\n\n"),
        (b"data: a\ndata: b\n: c\r\r", b"data: {}\n: c\n\n"),
    ],
)
def test_data_is_exchanged_where_it_stands(raw: bytes, expected: bytes) -> None:
    """On one line nothing else changes; on several lines they become the event's first ones."""
    (event,) = events(raw)
    assert event.with_data(b"{}") == expected


def test_exchanged_data_of_several_lines_stays_several_lines() -> None:
    """A line feed in the new data, where JSON has one between its tokens, starts another data line."""
    (event,) = events(b"data: {\ndata: }\n\n")
    assert events(event.with_data(b"{\n1}"))[0].data == b"{\n1}"


def test_an_event_can_lose_all_but_its_data() -> None:
    """Comments and other fields go, the data stays; a bare comment keeps the connection alive."""
    (event,) = events(b": c\ndata: a\ndata: b\nid: 1\n\n")
    assert event.without_rest() == b"data: a\ndata: b\n\n"
    (event,) = events(b": c\n\n")
    assert event.without_rest() == b":\n\n"


def test_an_event_may_not_grow_without_end() -> None:
    """Events up to the limit pass; a larger one is refused, ended or not, after the ones before it."""
    assert [event.raw for event in Splitter(9).feed(b"data: a\n\n" * 2)] == [b"data: a\n\n"] * 2
    for large in (b"data: ab\n\n", b"data: abcd"):
        feed = Splitter(9).feed(b"data: a\n\n" + large)
        assert next(feed).data == b"a"
        with pytest.raises(EventTooLarge, match="9 bytes"):
            next(feed)

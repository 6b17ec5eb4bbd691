"""The splitter of event streams. Oracle: any bytes are split into events that joined are the bytes, whole equals split, and the data is the standard's.

And: an event written anew is read as the same event.
"""

from __future__ import annotations

from typing import Final

from fuzz.oracles import demand, dice_of, ways

from extproc.core.sse import Event, EventTooLarge, Splitter

LIMITS: Final = (1 << 20, 40)
_BOM: Final = b"\xef\xbb\xbf"


def check(data: bytes, closely: bool = False) -> None:
    """The target."""
    for limit in LIMITS:
        whole = _split([data], limit)
        events, rest, too_large = whole
        if not too_large:
            demand(b"".join(event.raw for event in events) + rest == data, "bytes are lost", whole)
        for pieces in ways(data, dice_of(data), closely=closely):
            demand(_agree(_split(pieces, limit), whole), "the cut matters", pieces, whole)
    events, _, _ = _split([data], LIMITS[0])
    demand([event.data for event in events if event.data] == _by_the_book(data), "not the standard's data", events)
    for number, event in enumerate(events):
        _written_anew(event, first=number == 0)


def _split(pieces: list[bytes], limit: int) -> tuple[list[Event], bytes, bool]:
    """Events, what is left of the bytes, and whether an event was too large, which ends all."""
    splitter, events = Splitter(limit), list[Event]()
    try:
        for piece in pieces:
            events.extend(splitter.feed(piece))
        events.extend(splitter.finish())
    except EventTooLarge:
        return events, b"", True
    return events, splitter.rest(), False


def _agree(one: tuple[list[Event], bytes, bool], other: tuple[list[Event], bytes, bool]) -> bool:
    return one == other


def _by_the_book(stream: bytes) -> list[bytes]:
    """The data that is not empty, by the standard's own steps over whole lines."""
    stream = stream.removeprefix(_BOM)
    found: list[bytes] = []
    data: list[bytes] = []
    # A line that the end of the stream ends is none.
    for line in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]:
        if not line:
            found += [joined] if (joined := b"\n".join(data)) else []
            data = []
        elif line.partition(b":")[0] == b"data":
            data.append(line.partition(b":")[2].removeprefix(b" "))
    return found


def _written_anew(event: Event, *, first: bool) -> None:
    """With other data, and bare: read again it is what was meant."""
    ahead = b"" if first else b"\n"  # a byte order mark counts at the start of a stream only
    if event.data is not None:
        new = b'{"a":\n1}' if event.span is None else b"{}"
        again = _split([ahead + event.with_data(new)], LIMITS[0])[0][-1]
        demand((again.data, _lines(again.beside)) == (new, _lines(event.beside)), "other data did not take", event, again)
    bare = _split([ahead + event.without_rest()], LIMITS[0])[0][-1]
    demand(bare.data == event.data and bare.beside.strip() in (b"", b":"), "not bare", event, bare)


def _lines(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

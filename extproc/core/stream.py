"""Answers in events: personal data found and taken out as they pass, everything else byte for byte.

Each event has pieces of texts in it. An event leaves when every character in it is decided: no
finding that is still growing reaches into it. That holds back the event with the last word, seldom
more. Events keep their order. A finding that lies in several events leaves its placeholder where it
starts and nothing in the events after.

A text ends where its choice names a finish reason, and at the end mark. Where a choice has turned
from one text to another, from its content to a tool call, and has gone on with that for PATIENCE
events, what is held of the first is decided too: else all that follows would wait for a word that
never goes on. Should it go on all the same, the part of a finding that has not left is taken out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core.body import Document, Leaf
from extproc.core.dialects import Channel, Facts, Route
from extproc.core.effects import AT_ONCE
from extproc.core.heavy import Looked, wholes
from extproc.core.places import Place, search, weight
from extproc.core.spans import rewrite
from extproc.core.sse import Event, EventTooLarge, Splitter
from extproc.core.tally import Cut, Tally, Unreadable, changes_of, of_its_dialect, readable, size
from extproc.redact.actions import Edit
from extproc.redact.finding import Detector
from extproc.redact.growing import GrowingText
from extproc.redact.kept import told
from extproc.redact.scanner import scan
from extproc.redact.window import Settled

STREAM_DEPTH: Final = 128
"""Levels that the JSON of one event may nest: it may say a request again that was as deep as one may be, some levels down."""

PATIENCE: Final = 16
"""Events with text of the same choice that a text may keep waiting without growing itself."""

MOST_TEXTS: Final = 4096
"""Texts that go on at the same time: choices, tool calls and their members."""

MOST_HELD: Final = 4 << 20
"""Bytes of events. When more wait for one text, it is decided as if it had ended: memory stays flat whatever a provider does."""


_Ended = dict[str | int, "_Ended"]
"""Steps of channels that have ended, each with those below it; with none: all that are."""


class _Text:
    """One text that comes in pieces: how much of it came, how much is decided, and the edits ahead."""

    __slots__ = ("_growing", "_tally", "decided", "edits", "turn")

    def __init__(self, tally: Tally, more: tuple[Detector, ...]) -> None:
        self._growing = GrowingText(more)
        self._tally = tally
        self.turn = 0
        self.decided = 0
        self.edits: list[Edit] = []

    @property
    def length(self) -> int:
        """Characters that came."""
        return self._growing.length

    def grow(self, piece: str, turn: int) -> None:
        self.turn = turn
        self._settle(self._growing.feed(piece))

    def finish(self) -> None:
        """Nothing follows, so all of it is decided. Asking twice changes nothing."""
        if self.decided < self.length:
            self._settle(self._growing.finish())

    def _settle(self, settled: Settled) -> None:
        self.decided = settled.upto
        self.edits += [self._growing.fitting(edit) for edit in self._tally.judge(settled.findings)]
        self._growing.forget(self.decided)

    def take(self, start: int, end: int) -> list[Edit]:
        """The edits for the piece from `start` up to `end`, in offsets of the piece; pieces are taken in order."""
        taken = [
            Edit(max(edit.start, start) - start, min(edit.end, end) - start, edit.replacement if edit.start >= start else "")
            for edit in self.edits
            if edit.start < end
        ]
        self.edits = [edit for edit in self.edits if edit.end > end]
        return taken


@dataclass(slots=True)
class _Piece:
    """Where a leaf of an event stands in its text; `group` is the texts that may fall behind together."""

    leaf: Leaf
    group: int | str
    text: _Text
    start: int
    end: int


@dataclass(slots=True)
class _Held:
    """An event on its way. `whole` are edits of leaves that are texts of their own; `hidden`: the app did not ask for it."""

    event: Event
    document: Document | None = None
    pieces: list[_Piece] = field(default_factory=list)
    whole: list[tuple[Place, list[Edit]]] = field(default_factory=list)
    written: int = 0
    hidden: bool = False

    @property
    def decided(self) -> bool:
        return all(piece.end <= piece.text.decided for piece in self.pieces)


class StreamedAnswer:
    """An event stream on its way to the app. `feed` gives the bytes that may leave now, `finish` the last of them.

    `without` takes out of bytes what may leave under no circumstances; `more` detectors look for it where it comes in pieces.

    Attributes:
        usage: tokens as the provider counted them so far, None until it does.
        findings: kind → count; `actions`: kind → what was done; `redacted`: places changed.
        model, id: as the provider says; `finish_reasons` in the order they came.
        chunks: events with data, `[DONE]` not counted.
        done: the stream's own end mark came.
        failed: an event reported an error of the provider.
        truncated: the stream ended in the middle of an event, which is dropped as readers do.
        text_bytes_out: UTF-8 bytes of what the model wrote and what left, after redaction.
        heavy: an event that is too much work to be looked into here, with `apart`; None where there is none.

    Raises (from `feed` and `finish`; the stream must then be cut and this object let go):
        Blocked: a finding whose action is block. Nothing of it has left.
        Unreadable: data that is not of the dialect, or an event too large to hold.
    """

    def __init__(
        self,
        route: Route,
        wanted: Actions,
        *,
        hides_usage: bool = False,
        apart: bool = False,
        max_depth: int = STREAM_DEPTH,
        without: Callable[[bytes], bytes] = bytes,
        more: tuple[Detector, ...] = (),
    ) -> None:
        self.usage: Usage | None = None
        self.model = ""
        self.id = ""
        self.finish_reasons: list[str] = []
        self.chunks = 0
        self.done = False
        self.failed = False
        self.truncated = False
        self.text_bytes_out = 0
        self.heavy: Event | None = None
        self._apart = apart
        self._coming: Iterator[Event] = iter(())
        self._dialect = route.dialect
        self._hides_usage = hides_usage
        self._depth = max_depth
        self._tally = Tally(wanted)
        self._without = without
        self._more = more
        self._splitter = Splitter()
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        self._texts: dict[Channel, _Text] = {}
        self._ended: _Ended = {}
        self._turns: dict[int | str, int] = {}

    @property
    def findings(self) -> Mapping[str, int]:
        """Kind → count, whatever was done about it."""
        return self._tally.findings

    @property
    def actions(self) -> Mapping[str, str]:
        """Kind → what was done."""
        return self._tally.actions

    @property
    def redacted(self) -> int:
        """Places changed."""
        return self._tally.redacted

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the stream, give those that may leave. With `apart` it stops before an event that is `heavy`."""
        self._coming = self._splitter.feed(data)
        return self._pass(self._coming)

    def go_on(self, looked: Looked) -> bytes:
        """Take in the heavy event as it was given back, and go on behind it."""
        event, self.heavy = self.heavy, None
        if event is None:
            raise TypeError("no event waits")
        return self._pass(chain((event,), self._coming), looked=looked)

    def finish(self) -> bytes:
        """The stream is over, by its end or by trailers: all that is held is decided and leaves."""
        out = self._pass(self._splitter.finish(), last=True)
        rest = self._splitter.rest()
        if self._dialect.done and rest.removeprefix(b"data:").strip() == self._dialect.done:
            # Some providers leave out the last blank line, and some readers want to see the mark all the same.
            self.done = True
            return out + rest
        self.truncated = bool(rest.strip())
        return out

    def _pass(self, events: Iterator[Event], *, last: bool = False, looked: Looked | None = None) -> bytes:
        out: list[bytes] = []
        try:
            for event in events:
                if self._apart and not last and looked is None and event.data and weight(event.data) > AT_ONCE:
                    self.heavy = event
                    break
                self._held.append(self._absorb(event, looked))
                self._release(out)
                looked = None
            if last:
                self._finish_texts(self._texts)
                self._release(out)
        except EventTooLarge as why:
            raise Unreadable(str(why), b"".join(out)) from None
        except Cut as cut:
            cut.before = b"".join(out)
            raise
        return b"".join(out)

    def _release(self, out: list[bytes]) -> None:
        while self._held:
            first = self._held[0]
            if not first.decided and not self._given_up(first):
                return
            self._held.popleft()
            self._held_bytes -= len(first.event.raw)
            out.append(self._written(first))

    def _given_up(self, held: _Held) -> bool:
        """Decide the texts of `held` that have not grown for too long; whether that was all it waited for."""
        if len(self._held) <= PATIENCE and self._held_bytes <= MOST_HELD:
            return False
        for piece in held.pieces:
            if self._turns[piece.group] - piece.text.turn > PATIENCE or self._held_bytes > MOST_HELD:
                piece.text.finish()
        return held.decided

    # ── one event in ──

    def _absorb(self, event: Event, looked: Looked | None) -> _Held:
        event = self._scrubbed(event, event.data if looked is None else looked.data)
        if event.beside and self._tally.judge(scan(event.beside.decode(errors="replace"))):
            event = Event(event.without_rest(), event.data, None)
        held = _Held(event)
        self._held_bytes += len(event.raw)
        if not event.data:
            return held
        if self._dialect.done and event.data.strip() == self._dialect.done:
            self._end()
            return held
        self.chunks += 1
        held.document = readable(event.data, self._depth)
        self._absorb_document(held, held.document, looked)
        return held

    def _scrubbed(self, event: Event, data: bytes | None) -> Event:
        """The event with this data, and without what the whole stream may not have, whatever the table says."""
        if event.beside and self._without(event.beside) != event.beside:
            event = Event(event.without_rest(), event.data, None)
        clean = self._without(data) if data else data
        if clean is None or clean == event.data:
            return event
        span = (event.span[0], event.span[0] + len(clean)) if event.span else None
        return Event(event.with_data(clean), clean, span, event.beside)

    def _absorb_document(self, held: _Held, document: Document, looked: Looked | None) -> None:
        tree = document.tree
        facts = of_its_dialect(lambda: self._dialect.facts(tree))
        of_its_dialect(lambda: self._absorb_texts(held, document))
        for closed in facts.closed:
            self._close(closed)
        if facts.done:
            self._end()
        self._absorb_wholes(held, document, facts, looked)
        self.model = self.model or told(facts.model)
        self.id = self.id or told(facts.id)
        self.failed = self.failed or facts.failed
        self.usage = self._dialect.usage(tree, self.usage)
        self.finish_reasons += [told(reason) for reason in facts.reasons]
        held.hidden = facts.extra and self._hides_usage

    def _absorb_texts(self, held: _Held, document: Document) -> None:
        """The leaves that go on with a text of earlier events."""
        grown: set[int | str] = set()
        for leaf in document.strings():
            channel = self._dialect.channel(document.tree, leaf.path)
            if channel is not None and leaf.text:
                held.pieces.append(self._piece(channel, leaf))
                grown.add(channel[0])
            elif leaf.text and self._dialect.generated(document.tree, leaf.path):
                held.written += len(leaf.text.encode())
        for group in grown:
            self._turns[group] = self._turns.get(group, 0) + 1

    def _absorb_wholes(self, held: _Held, document: Document, facts: Facts, looked: Looked | None) -> None:
        """Everything else in the event: texts of their own, names, numbers, and what can't be read."""
        if looked is None:
            sighting = search(document, self._dialect.structural)
            found, counts = wholes(sighting, facts, {piece.leaf.token for piece in held.pieces})
        else:
            found, counts = [], dict(looked.counts)
        if counts:
            self._tally.note(self._tally.fresh(counts) if facts.repeats else counts)
        before = self._tally.redacted
        held.whole += [(place, self._tally.edits(place.findings)) for place in found]
        self._tally.redacted += looked.redacted if looked else 0
        if facts.repeats:
            self._tally.redacted = max(before, self._tally.redacted - before)

    def _piece(self, channel: Channel, leaf: Leaf) -> _Piece:
        if self.done or self._has_ended(channel):
            # What was held of this text has left as complete; a finding that goes on here would leave in halves.
            raise Unreadable("the provider went on with a text that it had finished")
        text = self._texts.get(channel)
        if text is None:
            if len(self._texts) >= MOST_TEXTS:
                raise Unreadable("it has more texts at once than any answer")
            text = self._texts[channel] = _Text(self._tally, self._more)
        start = text.length
        text.grow(leaf.text, self._turns.get(channel[0], 0))
        return _Piece(leaf, channel[0], text, start, text.length)

    def _close(self, closed: Channel) -> None:
        """Texts whose channel begins so have ended. What is kept of them is that: an answer may have any number of texts."""
        for channel in [channel for channel in self._texts if channel[: len(closed)] == closed]:
            self._texts.pop(channel).finish()
        ended = self._ended
        for step in closed[:-1]:
            below = ended.get(step)
            if below is None:
                below = ended[step] = {}
            elif not below:
                return
            ended = below
        ended[closed[-1]] = {}

    def _has_ended(self, channel: Channel) -> bool:
        ended = self._ended
        for step in channel:
            below = ended.get(step)
            if not below:
                return below is not None
            ended = below
        return False

    def _end(self) -> None:
        """The stream's own end mark: no text goes on after it."""
        self.done = True
        self._finish_texts(self._texts)

    def _finish_texts(self, channels: Iterable[Channel]) -> None:
        for channel in channels:
            self._texts[channel].finish()

    # ── one event out ──

    def _written(self, held: _Held) -> bytes:
        edited = held.whole
        self.text_bytes_out += held.written
        for piece in held.pieces:
            edits = piece.text.take(piece.start, piece.end) if piece.text.edits else []
            self.text_bytes_out += size(piece.leaf.text, edits)
            if edits:
                edited.append((Place(piece.leaf.path, piece.leaf.token, named=False, findings=(), part=True), edits))
        if held.hidden:
            return b""
        if not edited or held.document is None:
            return held.event.raw
        return held.event.with_data(rewrite(held.document.raw, changes_of(self._dialect, held.document, edited)))

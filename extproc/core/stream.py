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
from typing import Final

from contracts.usage import Usage
from extproc.core.body import Document, Leaf
from extproc.core.dialects import Channel, Route
from extproc.core.sse import Event, EventTooLarge, Splitter
from extproc.core.tally import Cut, Tally, Unreadable, changes_of, document_of, size
from extproc.redact.actions import Edit
from extproc.redact.scanner import scan
from extproc.redact.window import Settled, Window

STREAM_DEPTH: Final = 64
"""Levels that the JSON of one event may nest."""

PATIENCE: Final = 16
"""Events with text of the same choice that a text may keep waiting without growing itself."""


class _Text:
    """One text that comes in pieces: how much of it came, how much is decided, and the edits ahead."""

    __slots__ = ("_tally", "_window", "decided", "edits", "length", "turn")

    def __init__(self, tally: Tally) -> None:
        self._window = Window()
        self._tally = tally
        self.length = 0
        self.turn = 0
        self.decided = 0
        self.edits: list[Edit] = []

    def grow(self, piece: str, turn: int) -> None:
        self.turn = turn
        self.length += len(piece)
        self._settle(self._window.feed(piece))

    def finish(self) -> None:
        """Nothing follows, so all of it is decided. Asking twice changes nothing."""
        if self.decided < self.length:
            self._settle(self._window.finish())
            self.decided = self.length

    def _settle(self, settled: Settled) -> None:
        self.decided = settled.upto
        self.edits += self._tally.judge(settled.findings)

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
    """Where a leaf of an event stands in its text."""

    leaf: Leaf
    choice: int | str
    text: _Text
    start: int
    end: int


@dataclass(slots=True)
class _Held:
    """An event on its way. `whole` are edits of leaves that are texts of their own."""

    event: Event
    document: Document | None = None
    pieces: list[_Piece] = field(default_factory=list)
    whole: list[tuple[Leaf, list[Edit]]] = field(default_factory=list)
    written: int = 0

    @property
    def decided(self) -> bool:
        return all(piece.end <= piece.text.decided for piece in self.pieces)


class StreamedAnswer:
    """An event stream on its way to the app. `feed` gives the bytes that may leave now, `finish` the last of them.

    Attributes:
        usage: tokens as the provider counted them, None until it does; the last count stands.
        findings: kind → count; `actions`: kind → what was done; `redacted`: places changed.
        model, id: as the provider says; `finish_reasons` in the order they came.
        chunks: events with data, `[DONE]` not counted.
        done: the stream's own end mark came.
        failed: an event reported an error of the provider.
        truncated: the stream ended in the middle of an event, which is dropped as readers do.
        text_bytes_out: UTF-8 bytes of what the model wrote and what left, after redaction.

    Raises (from `feed` and `finish`; the stream must then be cut and this object let go):
        Blocked: a finding whose action is block. Nothing of it has left.
        Unreadable: data that is not of the dialect, or an event too large to hold.
    """

    def __init__(
        self, route: Route, table: Mapping[str, str], *, max_depth: int = STREAM_DEPTH, without: Callable[[bytes], bytes] = bytes
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
        self._dialect = route.dialect
        self._depth = max_depth
        self._tally = Tally(table)
        self._without = without
        self._splitter = Splitter()
        self._held: deque[_Held] = deque()
        self._texts: dict[Channel, _Text] = {}
        self._finished: set[int | str] = set()
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
        """Take bytes of the stream, give those that may leave."""
        return self._pass(self._splitter.feed(data))

    def finish(self) -> bytes:
        """The stream is over, by its end or by trailers: all that is held is decided and leaves."""
        out = self._pass(self._splitter.finish(), last=True)
        rest = self._splitter.rest()
        if rest.removeprefix(b"data:").strip() == self._dialect.done:
            # Some providers leave out the last blank line, and some readers want to see the mark all the same.
            self.done = True
            return out + rest
        self.truncated = bool(rest.strip())
        return out

    def _pass(self, events: Iterator[Event], *, last: bool = False) -> bytes:
        out: list[bytes] = []
        try:
            for event in events:
                self._held.append(self._absorb(event))
                self._release(out)
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
            if not self._held[0].decided and not (len(self._held) > PATIENCE and self._given_up(self._held[0])):
                return
            out.append(self._written(self._held.popleft()))

    def _given_up(self, held: _Held) -> bool:
        """Decide the texts of `held` that have not grown for too long; whether that was all it waited for."""
        for piece in held.pieces:
            if self._turns[piece.choice] - piece.text.turn > PATIENCE:
                piece.text.finish()
        return held.decided

    # ── one event in ──

    def _absorb(self, event: Event) -> _Held:
        event = self._scrubbed(event)
        if event.beside and self._tally.judge(scan(event.beside.decode(errors="replace"))):
            event = Event(event.without_rest(), event.data, None)
        if not event.data:
            return _Held(event)
        if event.data.strip() == self._dialect.done:
            self.done = True
            self._finish_texts(self._texts)
            return _Held(event)
        self.chunks += 1
        document = document_of(event.data, self._depth)
        held = _Held(event, document)
        self._absorb_document(held, document)
        return held

    def _scrubbed(self, event: Event) -> Event:
        """The event without what the whole stream may not have, whatever the table says."""
        if event.beside and self._without(event.beside) != event.beside:
            event = Event(event.without_rest(), event.data, None)
        clean = self._without(event.data) if event.data else event.data
        if clean is None or clean == event.data:
            return event
        span = (event.span[0], event.span[0] + len(clean)) if event.span else None
        return Event(event.with_data(clean), clean, span, event.beside)

    def _absorb_document(self, held: _Held, document: Document) -> None:
        tree = document.tree
        grown: set[int | str] = set()
        for leaf in document.leaves(self._dialect.answer_structural):
            channel = self._dialect.channel(tree, leaf.path)
            if channel is None:
                self._absorb_whole(held, leaf)
            elif leaf.text:
                held.pieces.append(self._piece(channel, leaf))
                grown.add(channel[0])
        for choice in grown:
            self._turns[choice] = self._turns.get(choice, 0) + 1
        facts = self._dialect.facts(tree)
        self.model = self.model or facts.model
        self.id = self.id or facts.id
        self.failed = self.failed or facts.failed
        self.usage = self._dialect.usage(tree) or self.usage
        for choice, reason in facts.finished:
            self.finish_reasons.append(reason)
            self._finished.add(choice)
            self._finish_texts(channel for channel in self._texts if channel[0] == choice)

    def _absorb_whole(self, held: _Held, leaf: Leaf) -> None:
        edits = self._tally.judge(scan(leaf.text))
        if edits:
            held.whole.append((leaf, edits))
        if self._dialect.generated(leaf.path):
            held.written += size(leaf.text, edits)

    def _piece(self, channel: Channel, leaf: Leaf) -> _Piece:
        if self.done or channel[0] in self._finished:
            # What was held of this choice has left as complete; a finding that goes on here would leave in halves.
            raise Unreadable("the provider went on with a text that it had finished")
        text = self._texts.get(channel)
        if text is None:
            text = self._texts[channel] = _Text(self._tally)
        start = text.length
        text.grow(leaf.text, self._turns.get(channel[0], 0))
        return _Piece(leaf, channel[0], text, start, text.length)

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
                edited.append((piece.leaf, edits))
        if not edited or held.document is None:
            return held.event.raw
        return held.event.with_data(held.document.rewrite(changes_of(self._dialect, held.document, edited)))

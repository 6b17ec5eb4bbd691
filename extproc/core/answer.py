"""Answers on their way to the app: personal data found and taken out, everything else byte for byte.

A streamed answer is a row of events, each with pieces of texts in it. An event leaves when every
character in it is decided: no finding that is still growing reaches into it. That holds back the
event with the last word, seldom more. Events keep their order. A finding that lies in several
events leaves its placeholder where it starts and nothing in the events after.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.usage import Usage
from extproc.core.body import Change, Document, Edited, Leaf, Malformed, Path, Replaced, read
from extproc.core.dialects import Channel, Dialect, Route
from extproc.core.sse import Event, EventTooLarge, Splitter
from extproc.redact import actions
from extproc.redact.actions import Edit
from extproc.redact.finding import Finding
from extproc.redact.scanner import scan
from extproc.redact.window import Settled, Window

STREAM_DEPTH = 64
_BYTES_PER_TOKEN = 4


class Cut(Exception):  # noqa: N818 - how an answer ends; its subclasses say why
    """The answer must not go on. `before` is what was decided ahead of the cause and may still leave."""

    def __init__(self, why: str, before: bytes = b"") -> None:
        super().__init__(why)
        self.before = before


class Blocked(Cut):
    """Something was found whose action is block. `kinds` maps kind to count; nothing of it has left."""

    def __init__(self, kinds: Mapping[str, int]) -> None:
        super().__init__("the answer holds what may not leave")
        self.kinds = dict(kinds)


class Unreadable(Cut):
    """The answer is not of its dialect, so nobody can say what is in it. The text holds nothing of it."""


@dataclass(slots=True)
class Tally:
    """What was found in an answer and what was done, by kind; `redacted` counts places changed."""

    table: Mapping[str, str]
    findings: Counter[str] = field(default_factory=Counter)
    actions: dict[str, str] = field(default_factory=dict)
    redacted: int = 0

    def judge(self, findings: Sequence[Finding]) -> list[Edit]:
        """Note the findings and give their edits. Raises Blocked where the table says so."""
        if not findings:
            return []
        for kind, count in actions.counts(findings).items():
            self.findings[kind] += count
            self.actions[kind] = actions.strongest(self.table, kind)
        if kinds := actions.blocked(findings, self.table):
            raise Blocked(kinds)
        edits = actions.edits(findings, self.table)
        self.redacted += len(edits)
        return edits


def estimated_tokens(text_bytes: int) -> int:
    """Output tokens where the provider gave no count: a token for each four bytes begun of UTF-8 text."""
    return -(-text_bytes // _BYTES_PER_TOKEN)


# ── whole answers ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BufferedAnswer:
    """A whole answer, read. `body` None: as it was. `blocked` maps kinds to counts; where it isn't empty, nothing may leave.

    `finish_reasons` are in the order of the choices. `text_bytes_out` counts the UTF-8 bytes of
    what the model wrote, after redaction.
    """

    body: bytes | None
    usage: Usage | None
    findings: Mapping[str, int]
    actions: Mapping[str, str]
    redacted: int
    model: str
    id: str
    finish_reasons: tuple[str, ...]
    text_bytes_out: int
    blocked: Mapping[str, int]


def buffered(
    route: Route, raw: bytes, table: Mapping[str, str], max_depth: int, *, ok: bool = True, content_type: str = ""
) -> BufferedAnswer:
    """Read a whole body and take out what `table` (kind → action) says.

    With `ok` it must be JSON. Without, it is what a provider says about its failure: any JSON, UTF-8
    text where `content_type` says text, or nothing.

    Raises:
        Unreadable: it is something else.
    """
    try:
        return _json(route.dialect, _document(raw, max_depth), table)
    except Unreadable:
        if ok or (raw and not content_type.strip().lower().startswith("text/")):
            raise
    return _plain(raw, table)


def _json(dialect: Dialect, document: Document, table: Mapping[str, str]) -> BufferedAnswer:
    tally = Tally(table)
    body, blocked, written = None, {}, 0
    try:
        changes, written = _judged(dialect, document, tally)
        body = document.rewrite(changes) if changes else None
    except Blocked as found:
        blocked = found.kinds
    facts = dialect.facts(document.tree)
    return BufferedAnswer(
        body=body,
        usage=dialect.usage(document.tree),
        findings=tally.findings,
        actions=tally.actions,
        redacted=tally.redacted,
        model=facts.model,
        id=facts.id,
        finish_reasons=tuple(reason for _, reason in facts.finished),
        text_bytes_out=written,
        blocked=blocked,
    )


def _plain(raw: bytes, table: Mapping[str, str]) -> BufferedAnswer:
    text = _text(raw)
    tally = Tally(table)
    body, blocked = None, {}
    try:
        edits = tally.judge(scan(text))
        body = actions.apply(text, edits).encode() if edits else None
    except Blocked as found:
        blocked = found.kinds
    return BufferedAnswer(body, None, tally.findings, tally.actions, tally.redacted, "", "", (), 0, blocked)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    raise Unreadable("the provider's error is not UTF-8")


def _document(raw: bytes, max_depth: int) -> Document:
    try:
        return read(raw, max_depth=max_depth)
    except Malformed as why:
        raise Unreadable(f"the provider's answer can't be read: {why}") from None


def _judged(dialect: Dialect, document: Document, tally: Tally) -> tuple[list[Change], int]:
    """Changes to a whole answer, and how many bytes of text the model wrote. Every finding is counted before a block."""
    leaves = document.leaves(dialect.answer_structural)
    found = [scan(leaf.text) for leaf in leaves]
    every = [finding for findings in found for finding in findings]
    if actions.blocked(every, tally.table):
        tally.judge(every)
    edited = {leaf.token: tally.judge(findings) for leaf, findings in zip(leaves, found, strict=True)}
    written = sum(_size(leaf.text, edited[leaf.token]) for leaf in leaves if dialect.generated(leaf.path))
    return _changes(dialect, document, [(leaf, edited[leaf.token]) for leaf in leaves if edited[leaf.token]]), written


def _changes(dialect: Dialect, document: Document, edited: Iterable[tuple[Leaf, list[Edit]]]) -> list[Change]:
    """The edits, and `null` for what repeats an edited text where no edit can reach it."""
    changes: list[Change] = []
    echoes: dict[Path, None] = {}
    for leaf, edits in edited:
        changes.append(Edited(leaf, edits))
        echo = dialect.echo(document.tree, leaf.path)
        if echo:
            echoes[echo] = None
    return [change for change in changes if not _inside(change, echoes)] + [Replaced(path, b"null") for path in echoes]


def _inside(change: Change, echoes: Iterable[Path]) -> bool:
    return isinstance(change, Edited) and any(change.leaf.path[: len(path)] == path for path in echoes)


def _size(text: str, edits: list[Edit]) -> int:
    return len((actions.apply(text, edits) if edits else text).encode())


# ── streamed answers ───────────────────────────────────────────────────────────


class _Text:
    """One text that comes in pieces: how much of it came, how much is decided, and the edits ahead."""

    __slots__ = ("_tally", "_window", "decided", "edits", "length")

    def __init__(self, tally: Tally) -> None:
        self._window = Window()
        self._tally = tally
        self.length = 0
        self.decided = 0
        self.edits: list[Edit] = []

    def grow(self, piece: str) -> None:
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

    def __init__(self, route: Route, table: Mapping[str, str], *, max_depth: int = STREAM_DEPTH) -> None:
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
        self._splitter = Splitter()
        self._held: deque[_Held] = deque()
        self._texts: dict[Channel, _Text] = {}
        self._finished: set[int | str] = set()

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
        self.truncated = bool(self._splitter.rest().strip())
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
        while self._held and self._held[0].decided:
            out.append(self._written(self._held.popleft()))

    # ── one event in ──

    def _absorb(self, event: Event) -> _Held:
        if event.beside and self._tally.judge(scan(event.beside.decode(errors="replace"))):
            event = Event(event.without_rest(), event.data, None)
        if not event.data:
            return _Held(event)
        if event.data.strip() == self._dialect.done:
            self.done = True
            self._finish_texts(self._texts)
            return _Held(event)
        self.chunks += 1
        document = _document(event.data, self._depth)
        held = _Held(event, document)
        self._absorb_document(held, document)
        return held

    def _absorb_document(self, held: _Held, document: Document) -> None:
        tree = document.tree
        for leaf in document.leaves(self._dialect.answer_structural):
            channel = self._dialect.channel(tree, leaf.path)
            if channel is None:
                self._absorb_whole(held, leaf)
            elif leaf.text:
                held.pieces.append(self._grown(channel, leaf))
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
            held.written += _size(leaf.text, edits)

    def _grown(self, channel: Channel, leaf: Leaf) -> _Piece:
        if self.done or channel[0] in self._finished:
            # What was held of this choice has left as complete; a finding that goes on here would leave in halves.
            raise Unreadable("the provider went on with a text that it had finished")
        text = self._texts.get(channel)
        if text is None:
            text = self._texts[channel] = _Text(self._tally)
        start = text.length
        text.grow(leaf.text)
        return _Piece(leaf, text, start, text.length)

    def _finish_texts(self, channels: Iterable[Channel]) -> None:
        for channel in channels:
            self._texts[channel].finish()

    # ── one event out ──

    def _written(self, held: _Held) -> bytes:
        edited = held.whole
        self.text_bytes_out += held.written
        for piece in held.pieces:
            edits = piece.text.take(piece.start, piece.end) if piece.text.edits else []
            self.text_bytes_out += _size(piece.leaf.text, edits)
            if edits:
                edited.append((piece.leaf, edits))
        if not edited or held.document is None:
            return held.event.raw
        return held.event.with_data(held.document.rewrite(_changes(self._dialect, held.document, edited)))

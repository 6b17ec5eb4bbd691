"""Answers in one piece: personal data found and taken out, everything else byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.policy import Actions
from contracts.usage import Usage
from extproc.core.body import Document
from extproc.core.dialects import Dialect, Route
from extproc.core.places import Place, search
from extproc.core.spans import rewrite
from extproc.core.tally import Blocked, Tally, Unreadable, changes_of, of_its_dialect, readable, size
from extproc.redact import actions
from extproc.redact.actions import Edit
from extproc.redact.kept import told
from extproc.redact.scanner import scan

_BYTES_PER_TOKEN: Final = 4


def estimated_tokens(text_bytes: int) -> int:
    """Output tokens where the provider gave no count: a token for each four bytes begun of UTF-8 text."""
    return -(-text_bytes // _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class BufferedAnswer:
    """A whole answer, read. `body` None: as it was. `blocked` maps kinds to counts; where it isn't empty, nothing may leave.

    `finish_reasons` are in the order of the choices. `text_bytes_out` counts the UTF-8 bytes of what the model wrote, after
    redaction, where the provider does not say how many tokens that was; else it is 0.
    """

    body: bytes | None = field(repr=False)
    usage: Usage | None
    findings: Mapping[str, int]
    actions: Mapping[str, str]
    redacted: int
    blocked: Mapping[str, int]
    model: str = ""
    id: str = ""
    finish_reasons: tuple[str, ...] = ()
    text_bytes_out: int = 0


def buffered(route: Route, raw: bytes, wanted: Actions, max_depth: int, ok: bool = True, content_type: str = "") -> BufferedAnswer:
    """Read a whole body and do what `wanted` says about what is found.

    With `ok` it must be JSON. Without, it is what a provider says about its failure: any JSON, UTF-8
    text where `content_type` says text, or nothing.

    Raises:
        Unreadable: it is something else.
    """
    try:
        document = readable(raw, max_depth)
    except Unreadable:
        if ok or (raw and not content_type.strip().lower().startswith("text/")):
            raise
        return _plain(raw, wanted)
    return _json(route.dialect, document, wanted)


def _json(dialect: Dialect, document: Document, wanted: Actions) -> BufferedAnswer:
    tally = Tally(wanted)
    facts = of_its_dialect(lambda: dialect.facts(document.tree))
    usage = dialect.usage(document.tree, None)
    body, blocked, edited = None, {}, []
    try:
        edited = _judged(dialect, document, facts.unread, tally)
        body = rewrite(document.raw, changes_of(dialect, document, edited)) if edited else None
    except Blocked as found:
        blocked = found.kinds
    return BufferedAnswer(
        body=body,
        usage=usage,
        findings=tally.findings,
        actions=tally.actions,
        redacted=tally.redacted,
        blocked=blocked,
        model=told(facts.model),
        id=told(facts.id),
        finish_reasons=tuple([told(reason) for reason in facts.reasons]),
        text_bytes_out=0 if usage and usage.output else _written(dialect, document, edited),
    )


def _plain(raw: bytes, wanted: Actions) -> BufferedAnswer:
    text = _text(raw)
    tally = Tally(wanted)
    body, blocked = None, {}
    try:
        edits = tally.judge(scan(text))
        body = actions.apply(text, edits).encode() if edits else None
    except Blocked as found:
        blocked = found.kinds
    return BufferedAnswer(body, None, tally.findings, tally.actions, tally.redacted, blocked)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    raise Unreadable("the provider's error is not UTF-8")


def _judged(dialect: Dialect, document: Document, unread: Mapping[str, int], tally: Tally) -> list[tuple[Place, list[Edit]]]:
    """Places of a whole answer with what is to be changed in them. Every finding is counted before a block."""
    sighting = search(document, dialect.structural)
    counts = dict(unread)
    for kind, count in sighting.unread.items():
        counts[kind] = max(counts.get(kind, 0), count)
    every = [finding for place in sighting.places for finding in place.findings]
    blocked: dict[str, int] = {}
    for found in (actions.counts(every), counts):
        try:
            tally.note(found)
        except Blocked as why:
            blocked |= why.kinds
    if blocked:
        raise Blocked(blocked)
    edited = [(place, tally.edits(place.findings)) for place in sighting.places]
    return [(place, edits) for place, edits in edited if edits]


def _written(dialect: Dialect, document: Document, edited: Sequence[tuple[Place, list[Edit]]]) -> int:
    """UTF-8 bytes of what the model wrote."""
    changed = {place.token: edits for place, edits in edited if place.encoded is None}
    return sum(
        size(leaf.text, changed.get(leaf.token, []) if leaf.token >= 0 else [])
        for leaf in document.leaves()
        if not leaf.named and dialect.generated(document.tree, leaf.path)
    )

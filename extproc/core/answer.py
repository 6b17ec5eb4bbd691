"""Answers in one piece: personal data found and taken out, everything else byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.usage import Usage
from extproc.core.body import Change, Document
from extproc.core.dialects import Dialect, Route
from extproc.core.stream import StreamedAnswer
from extproc.core.tally import Blocked, Cut, Tally, Unreadable, changes_of, document_of, size
from extproc.redact import actions
from extproc.redact.scanner import scan

__all__ = ["Blocked", "BufferedAnswer", "Cut", "StreamedAnswer", "Unreadable", "buffered", "estimated_tokens"]

_BYTES_PER_TOKEN: Final = 4


def estimated_tokens(text_bytes: int) -> int:
    """Output tokens where the provider gave no count: a token for each four bytes begun of UTF-8 text."""
    return -(-text_bytes // _BYTES_PER_TOKEN)


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
        return _json(route.dialect, document_of(raw, max_depth), table)
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


def _judged(dialect: Dialect, document: Document, tally: Tally) -> tuple[list[Change], int]:
    """Changes to a whole answer, and how many bytes of text the model wrote. Every finding is counted before a block."""
    leaves = document.leaves(dialect.answer_structural)
    places = [(leaf, findings) for leaf in leaves if (findings := scan(leaf.text))]
    every = [finding for _, findings in places for finding in findings]
    if actions.blocked(every, tally.table):
        tally.judge(every)
    edited = [(leaf, edits) for leaf, findings in places if (edits := tally.judge(findings))]
    by_token = {leaf.token: edits for leaf, edits in edited}
    written = sum(size(leaf.text, by_token.get(leaf.token, [])) for leaf in leaves if dialect.generated(leaf.path))
    return changes_of(dialect, document, edited), written

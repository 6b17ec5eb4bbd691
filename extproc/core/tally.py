"""What is found in an answer and what is done about it: the common part of whole and streamed answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from extproc.core.body import Change, Document, Edited, Leaf, Malformed, Path, Replaced, read
from extproc.core.dialects import Dialect
from extproc.redact import actions
from extproc.redact.actions import Edit
from extproc.redact.finding import Finding


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
    findings: dict[str, int] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    redacted: int = 0

    def judge(self, findings: Sequence[Finding]) -> list[Edit]:
        """Note the findings and give their edits. Raises Blocked where the table says so."""
        if not findings:
            return []
        for kind, count in actions.counts(findings).items():
            self.findings[kind] = self.findings.get(kind, 0) + count
            self.actions[kind] = actions.strongest(self.table, kind)
        if kinds := actions.blocked(findings, self.table):
            raise Blocked(kinds)
        edits = actions.edits(findings, self.table)
        self.redacted += len(edits)
        return edits


def document_of(raw: bytes, max_depth: int) -> Document:
    """An answer, or the data of one event. Raises Unreadable."""
    try:
        return read(raw, max_depth=max_depth)
    except Malformed as why:
        raise Unreadable(f"the provider's answer can't be read: {why}") from None


def changes_of(dialect: Dialect, document: Document, edited: Iterable[tuple[Leaf, list[Edit]]]) -> list[Change]:
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


def size(text: str, edits: list[Edit]) -> int:
    """UTF-8 bytes of a text after its edits."""
    return len((actions.apply(text, edits) if edits else text).encode())

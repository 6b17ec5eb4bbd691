"""What is found in an answer and what is done about it: the common part of whole and streamed answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from contracts.policy import Actions
from extproc.core import places
from extproc.core.body import Document, Malformed, Path, read
from extproc.core.dialects import Dialect
from extproc.core.dialects.shape import UNSCANNED
from extproc.core.places import Place
from extproc.core.spans import Change, Replaced
from extproc.redact import actions
from extproc.redact.actions import Edit
from extproc.redact.finding import Finding

T = TypeVar("T")

CREDENTIAL: Final = "PROVIDER_CREDENTIAL"
"""The provider gave back the secret it was sent: taken out, whatever any table says."""


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


def action_on(kind: str, table: Mapping[str, str], unscanned: str) -> str:
    """The action on a kind; what can't be read has one of its own, and the credential always goes."""
    if kind == CREDENTIAL:
        return "redact"
    return unscanned if kind.startswith(UNSCANNED) else actions.strongest(table, kind)


@dataclass(slots=True)
class Tally:
    """What was found in an answer and what was done, by kind; `redacted` counts places changed."""

    wanted: Actions
    findings: dict[str, int] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    redacted: int = 0

    def judge(self, findings: Sequence[Finding]) -> list[Edit]:
        """Note the findings and give their edits. Raises Blocked where the table says so."""
        if not findings:
            return []
        self.note(actions.counts(findings))
        return self.edits(findings)

    def edits(self, findings: Sequence[Finding]) -> list[Edit]:
        """The edits of findings that are noted."""
        edits = actions.edits(findings, {**self.wanted.answer, CREDENTIAL: "redact"})
        self.redacted += len(edits)
        return edits

    def fresh(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Of counts that may be of what was noted before: what goes beyond that."""
        return {kind: more for kind, count in counts.items() if (more := count - self.findings.get(kind, 0)) > 0}

    def note(self, counts: Mapping[str, int]) -> None:
        """Note findings that have no place to edit, what can't be read among them. Raises Blocked as `judge` does."""
        blocked: dict[str, int] = {}
        for kind, count in counts.items():
            action = action_on(kind, self.wanted.answer, self.wanted.unscanned)
            self.findings[kind] = self.findings.get(kind, 0) + count
            self.actions[kind] = action
            if action == "block":
                blocked[kind] = count
        if blocked:
            raise Blocked(blocked)


def readable(raw: bytes, max_depth: int) -> Document:
    """An answer, or the data of one event. Numbers need not be exact: an app reads them, no second provider. Raises Unreadable."""
    return of_its_dialect(lambda: read(raw, max_depth=max_depth, exact=False))


def of_its_dialect(look: Callable[[], T]) -> T:
    """What `look` gives; what it can't read is Unreadable."""
    try:
        return look()
    except Malformed as why:
        raise Unreadable(f"the provider's answer can't be read: {why}") from None


def changes_of(dialect: Dialect, document: Document, edited: Iterable[tuple[Place, Sequence[Edit]]]) -> list[Change]:
    """The edits, and nothing (`null`, or `[]` for a list) for what repeats an edited text where no edit can reach it."""
    edited = [(place, edits) for place, edits in edited if edits]
    echoes: dict[Path, None] = {}
    for place, _ in edited:
        if echo := dialect.echo(document.tree, place.path):
            echoes[echo] = None
    left = [(place, edits) for place, edits in edited if not _inside(place.path, echoes)]
    return [*places.changes(document.raw, left), *(_emptied(document, path) for path in echoes)]


def _emptied(document: Document, path: Path) -> Change:
    """Nothing, in the place of a list or of anything else."""
    node = document.tree
    for step in path:
        node = node[step]
    return Replaced(path, b"[]" if type(node) is list else b"null")


def _inside(path: Path, echoes: Mapping[Path, None]) -> bool:
    """Whether it lies in one of them. There may be as many as choices, so they are looked up and not gone through."""
    return any(path[:length] in echoes for length in range(1, len(path) + 1))


def size(text: str, edits: Sequence[Edit]) -> int:
    """UTF-8 bytes of a text after its edits."""
    return len((actions.apply(text, edits) if edits else text).encode())

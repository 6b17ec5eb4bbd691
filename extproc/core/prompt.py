"""Personal data in a prompt: found before the verdict, acted on after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from contracts.errors import GuardrailBlocked
from extproc.core.body import Change, Document, Edited, Leaf, Replaced
from extproc.core.dialects import Dialect
from extproc.redact import actions
from extproc.redact.finding import Finding
from extproc.redact.scanner import scan


@dataclass(frozen=True, slots=True)
class Found:
    """Findings by text leaf of the body, and how many of each kind."""

    places: Sequence[tuple[Leaf, Sequence[Finding]]] = field(repr=False)
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Clean:
    """What may be sent on: the new body (None: as it came), how many places changed, and what was done by kind."""

    body: bytes | None = field(repr=False)
    places: int
    actions: Mapping[str, str]


def find(document: Document, dialect: Dialect) -> Found:
    """Look into every text leaf of the body."""
    places = [(leaf, findings) for leaf in document.leaves(dialect.prompt_structural) if (findings := scan(leaf.text))]
    return Found(places, actions.counts([finding for _, findings in places for finding in findings]))


def apply(document: Document, found: Found, table: Mapping[str, str], *, model: str | None) -> Clean:
    """Act on what was found, by the verdict's table; `model` is the name that the provider knows, None to keep the app's.

    Raises GuardrailBlocked where the action on a found kind is block.
    """
    blocked = {kind: count for kind, count in found.counts.items() if actions.strongest(table, kind) == "block"}
    if blocked:
        raise GuardrailBlocked(actions.blocked_message("prompt", blocked), reasons=tuple(sorted(blocked)))
    edited = [(leaf, actions.edits(findings, table)) for leaf, findings in found.places]
    changes: list[Change] = [Edited(leaf, edits) for leaf, edits in edited if edits]
    if model is not None:
        changes.append(Replaced(("model",), orjson.dumps(model)))
    return Clean(
        document.rewrite(changes) if changes else None,
        sum(len(edits) for _, edits in edited),
        {f"prompt.{kind}": actions.strongest(table, kind) for kind in found.counts},
    )

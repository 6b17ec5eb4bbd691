"""Personal data in a prompt: found before the verdict, acted on after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from contracts.policy import Actions
from extproc.core import refusals
from extproc.core.body import Change, Document, Edited, Leaf, Replaced
from extproc.core.dialects import Dialect
from extproc.redact import actions
from extproc.redact.finding import Finding
from extproc.redact.scanner import scan

UNSCANNED: Final = "UNSCANNED"
"""Parts of a prompt that hold no text: images, sound, files."""


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


def find(document: Document, dialect: Dialect, unscanned: int) -> Found:
    """Look into every text leaf of the body. `unscanned` parts can't be looked into: that is a finding too."""
    places = [(leaf, findings) for leaf in document.leaves(dialect.prompt_structural) if (findings := scan(leaf.text))]
    counts = actions.counts([finding for _, findings in places for finding in findings])
    return Found(places, {**counts, UNSCANNED: unscanned} if unscanned else counts)


def apply(document: Document, found: Found, wanted: Actions, *, model: str | None) -> Clean:
    """Act on what was found, by the verdict's actions; `model` is the name that the provider knows, None to keep the app's.

    Raises GuardrailBlocked where the action on a found kind is block.
    """
    done = {kind: action(wanted, kind) for kind in found.counts}
    blocked = {kind: count for kind, count in found.counts.items() if done[kind] == "block"}
    if blocked:
        raise refusals.blocked("prompt", blocked)
    edited = [(leaf, actions.edits(findings, wanted.prompt)) for leaf, findings in found.places]
    changes: list[Change] = [Edited(leaf, edits) for leaf, edits in edited if edits]
    if model is not None:
        changes.append(Replaced(("model",), orjson.dumps(model)))
    return Clean(
        document.rewrite(changes) if changes else None,
        sum(len(edits) for _, edits in edited),
        {f"prompt.{kind}": name for kind, name in done.items()},
    )


def action(wanted: Actions, kind: str) -> str:
    """The action on a kind; parts that can't be scanned have one of their own."""
    return wanted.unscanned if kind == UNSCANNED else actions.strongest(wanted.prompt, kind)

"""What becomes of findings: a verdict's action table, and the edits that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.errors import Unusable
from extproc.redact.finding import Finding

SUPPORTED: Final = frozenset({"allow", "alert", "redact", "block"})
"""Actions that this version carries out, of those that the contract names."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Put `replacement` in the place of the characters `start` to `end` (exclusive)."""

    start: int
    end: int
    replacement: str


def strongest(table: Mapping[str, str], kind: str) -> str:
    """The action for `kind`: its own entry, else that of "*".

    Raises Unusable where there is neither, or where the action is not SUPPORTED.
    """
    action = table.get(kind, table.get("*"))
    if action is None:
        raise Unusable(f"the action table has no entry for {kind} and none for '*'; add one for '*'")
    if action not in SUPPORTED:
        raise Unusable(f"action '{action}' for {kind} is not supported in this version; use one of {', '.join(sorted(SUPPORTED))}")
    return action


def edits(findings: Iterable[Finding], table: Mapping[str, str]) -> list[Edit]:
    """Edits for the findings whose action is redact: `[KIND]` in their place. Raises Unusable as `strongest` does."""
    return [Edit(finding.start, finding.end, f"[{finding.kind}]") for finding in findings if strongest(table, finding.kind) == "redact"]


def blocked(findings: Iterable[Finding], table: Mapping[str, str]) -> dict[str, int]:
    """How many findings of each kind have the action block; empty when nothing is blocked. Raises Unusable as `strongest` does."""
    return counts(finding for finding in findings if strongest(table, finding.kind) == "block")


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings of each kind."""
    found: dict[str, int] = {}
    for finding in findings:
        found[finding.kind] = found.get(finding.kind, 0) + 1
    return found


def apply(text: str, changes: Iterable[Edit]) -> str:
    """`text` with the edits made. They are in order and do not overlap; offsets are those of `text` as it was."""
    parts: list[str] = []
    done = 0
    for change in changes:
        parts += (text[done : change.start], change.replacement)
        done = change.end
    return "".join(parts) + text[done:]

"""Events of a stream that are too much work for the event loop: what can be done with one alone, whatever came before it.

A stream's texts go on from event to event, so their end is told by the stream itself (stream.py). But what lies whole in
one event, in a text that goes on too, can be taken out beforehand and elsewhere; what then comes back is light.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from contracts.policy import Actions
from extproc.core.body import Document
from extproc.core.dialects import Dialect, Facts, Route
from extproc.core.places import Place, Sighting, search
from extproc.core.spans import rewrite
from extproc.core.tally import action_on, changes_of, of_its_dialect, readable
from extproc.redact import actions
from extproc.redact.finding import REACH, Finding


@dataclass(frozen=True, slots=True)
class Looked:
    """An event's data without what could be taken out; counts of that, and of all that is no part of a text that goes on."""

    data: bytes = field(repr=False)
    counts: Mapping[str, int]
    redacted: int


def looked_into(route: Route, data: bytes, wanted: Actions, max_depth: int) -> Looked:
    """Do what `wanted` says about what is found in an event's data. Raises Unreadable.

    What blocks is counted and left: whoever notes it stops the stream. What only alerts in a text that goes on is left to that.
    """
    document = readable(data, max_depth)
    facts = of_its_dialect(lambda: route.dialect.facts(document.tree))
    going_on = of_its_dialect(lambda: _parts(route.dialect, document))
    sighting = search(document, route.dialect.structural)
    found, counts = wholes(sighting, facts, going_on.keys())
    parts = [(place, going_on[place.token]) for place in sighting.places if not place.named and place.token in going_on]
    taken = [(place, [one for one in place.findings if _alone(one, length, wanted)]) for place, length in parts]
    for kind, count in actions.counts(one for _, some in taken for one in some).items():
        counts[kind] = counts.get(kind, 0) + count
    every = (*((place, place.findings) for place in found), *taken)
    edited = [(place, actions.edits(some, wanted.answer)) for place, some in every]
    return Looked(rewrite(data, changes_of(route.dialect, document, edited)), counts, sum(len(edits) for _, edits in edited))


def _alone(finding: Finding, length: int, wanted: Actions) -> bool:
    """Whether a finding in a part of a text can be taken out whatever stands before and behind that part."""
    inside = finding.start >= REACH and finding.end <= length - REACH
    return inside and action_on(finding.kind, wanted.answer, wanted.unscanned) in {"redact", "block"}


def wholes(sighting: Sighting, facts: Facts, going_on: AbstractSet[int]) -> tuple[list[Place], dict[str, int]]:
    """Where something is found beside the texts that go on, whose tokens these are; and counts of that and of what can't be read."""
    found = [place for place in sighting.places if place.named or place.token not in going_on]
    kinds = (*facts.unread, *sighting.unread)
    counts = {kind: max(facts.unread.get(kind, 0), sighting.unread.get(kind, 0)) for kind in kinds}
    return found, counts | actions.counts(finding for place in found for finding in place.findings)


def _parts(dialect: Dialect, document: Document) -> dict[int, int]:
    """Tokens of the leaves that go on with a text of earlier events, and how long each is."""
    leaves = document.strings()
    return {leaf.token: len(leaf.text) for leaf in leaves if leaf.text and dialect.channel(document.tree, leaf.path) is not None}

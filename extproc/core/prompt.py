"""A prompt: read strictly, personal data found before the verdict, acted on after it.

Both halves are pure work over bytes, so that large bodies can be read and rewritten away from the event loop:
what the first half finds is small, and the second needs nothing else of the document but its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from contracts.errors import InvalidRequest
from contracts.policy import Actions
from extproc.core import refusals
from extproc.core.body import Malformed, read
from extproc.core.dialects import Call, Route
from extproc.core.places import Place, changes, search
from extproc.core.spans import Added, Change, Replaced, rewrite
from extproc.core.tally import action_on
from extproc.redact import actions


@dataclass(frozen=True, slots=True)
class Reading:
    """A body that was understood: what it asks for, where findings are, and how many of each kind."""

    call: Call
    places: Sequence[Place] = field(repr=False)
    counts: Mapping[str, int]


def understood(route: Route, raw: bytes, max_depth: int) -> Reading:
    """Read a body as a call of its route's dialect, and look into every text of it. What can't be read is a finding too.

    Raises:
        InvalidRequest: it is no JSON that every parser reads alike, or not of the dialect; the text names the member.
    """
    try:
        document = read(raw, max_depth=max_depth)
        call = route.dialect.call(document)
    except Malformed as why:
        raise InvalidRequest(f"The body can't be read: {why}.") from None
    sighting = search(document, route.dialect.structural, call.files)
    counts = actions.counts(finding for place in sighting.places for finding in place.findings)
    for kind in (*call.unread, *sighting.unread):
        counts[kind] = max(call.unread.get(kind, 0), sighting.unread.get(kind, 0))
    return Reading(call, sighting.places, counts)


def done(reading: Reading, wanted: Actions) -> Mapping[str, str]:
    """What is done about each kind that was found. Raises GuardrailBlocked where that is block."""
    by_kind = {kind: action_on(kind, wanted.prompt, wanted.unscanned) for kind in reading.counts}
    blocked = {kind: count for kind, count in reading.counts.items() if by_kind[kind] == "block"}
    if blocked:
        raise refusals.blocked("prompt", blocked)
    return by_kind


def cleaned(raw: bytes, reading: Reading, wanted: Actions, more: Sequence[Change]) -> tuple[bytes, int]:
    """The body as it may be sent on, and how many places changed. `more` is what the gate changes besides what was found.

    Where the gate puts a value of its own, nothing of the app's is left to edit.
    """
    put = [change.path for change in more if isinstance(change, Replaced)]
    left = [place for place in reading.places if not any(place.path[: len(path)] == path for path in put)]
    edited = [(place, actions.edits(place.findings, wanted.prompt)) for place in left]
    return rewrite(raw, [*changes(raw, edited), *more]), sum(len(edits) for _, edits in edited)


def ceiling(call: Call, most: int | None) -> int | None:
    """Tokens of one answer at most: as the app says, else as its key does."""
    return most if call.max_tokens is None and call.caps else call.max_tokens


def capped(call: Call, most: int | None) -> tuple[Change, ...]:
    """What puts the key's ceiling into a request that has none; nothing where the key has none either."""
    return (replace(call.caps, value=b"%d" % most),) if call.caps and most is not None else ()


def named(model: str, call: Call) -> Change:
    """The model's name as the provider knows it, in the place of the app's, or where the app named none."""
    value = orjson.dumps(model)
    return Replaced(("model",), value) if call.names_model else Added((), "model", value)

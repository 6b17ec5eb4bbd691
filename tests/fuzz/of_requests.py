"""Requests of a route. Oracle: any bytes are understood or an InvalidRequest, and what goes on is valid, of the same shape, with nothing planted in it.

And: where nothing was found nothing changes; what was redacted is understood as before; and so it is with all that the gate changes itself.
"""

from __future__ import annotations

import json
from typing import Final

from fuzz.oracles import BLOCK, DEPTH, REDACT, demand, nothing_planted_in, numbers, same_shape, says_nothing_of_it

from contracts.errors import GuardrailBlocked, InvalidRequest
from extproc.core import prompt
from extproc.core.body import Malformed
from extproc.core.dialects import Route
from extproc.core.prompt import Reading
from extproc.core.spans import Added

_UNREAD: Final = "UNSCANNED_"


def check(route: Route, data: bytes, closely: bool = False) -> None:
    """The target."""
    try:
        reading = prompt.understood(route, data, DEPTH)
    except InvalidRequest as error:
        says_nothing_of_it(error, InvalidRequest, Malformed)
        return
    out, changed = prompt.cleaned(data, reading, REDACT, ())
    found = {kind: count for kind, count in reading.counts.items() if not kind.startswith(_UNREAD)}
    demand(bool(changed) == bool(found), "changed or not, against what was found", changed, found)
    demand(changed or out == data, "nothing was found, and yet it changed", out)
    before, after = json.loads(data), nothing_planted_in(out)
    demand(same_shape(before, after), "another shape", out)
    _blocked(reading, found)
    if numbers(before) == numbers(after):
        again = _again(route, out)
        # A file whose URL holds an address in its own words counts as unread, and can be read without it.
        demand(
            "EMAIL_ADDRESS" not in again.counts or f"{_UNREAD}FILE" in reading.counts, "found again in what was redacted", again.counts, out
        )
        demand(_asked(again) == _asked(reading), "understood otherwise once it was redacted", again.call, reading.call)
    _with_all_changes(route, data, reading)


def _again(route: Route, out: bytes) -> Reading:
    try:
        return prompt.understood(route, out, DEPTH)
    except InvalidRequest as error:
        demand(False, "what goes on is refused when it comes again", str(error), out)
        raise


def _asked(reading: Reading) -> tuple[object, ...]:
    """What a call asks for, besides the names in it that may have been redacted."""
    call = reading.call
    return call.stream, call.max_tokens, call.choices, call.messages, call.tools, call.hides_usage


def _blocked(reading: Reading, found: dict[str, int]) -> None:
    """Where findings are to be blocked, they are, all of them."""
    try:
        prompt.done(reading, BLOCK)
    except GuardrailBlocked as error:
        demand(found, "blocked for nothing")
        says_nothing_of_it(error, GuardrailBlocked)
    else:
        demand(not found, "not blocked", found)


def _with_all_changes(route: Route, data: bytes, reading: Reading) -> None:
    """With the provider's name of the model, the usage that is asked for, and no storing."""
    more = [*reading.call.asks, *(reading.call.forgets if not reading.call.asks else ()), prompt.named("tiny", reading.call)]
    out, _ = prompt.cleaned(data, reading, REDACT, more)
    before, after = json.loads(data), nothing_planted_in(out)
    demand(after["model"] == "tiny", "the model is not the provider's", out)
    if numbers(before) == numbers(after):
        demand(not _again(route, out).call.asks, "asked for once more", out)
    added = sum(isinstance(change, Added) and not change.path for change in more)
    demand(len(after) == len(before) + added, "members are missing", out)

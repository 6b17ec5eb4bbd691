"""Answers of a route in one piece. Oracle: any bytes are an answer or Unreadable, and what is shown is of the same shape, with nothing planted in it.

And: where nothing was found nothing changes, what is to be blocked is, and what was redacted has nothing more to redact.
"""

from __future__ import annotations

import json

from fuzz.oracles import BLOCK, DEPTH, REDACT, demand, nothing_planted, nothing_planted_in, numbers, same_shape, says_nothing_of_it

from extproc.core.answer import BufferedAnswer, buffered
from extproc.core.body import Malformed
from extproc.core.dialects import Route
from extproc.core.tally import Cut, Unreadable


def check(route: Route, data: bytes, closely: bool = False) -> None:
    """The target."""
    for ok, kind in ((True, "application/json"), (False, "application/json"), (False, "text/plain")):
        try:
            answer = buffered(route, data, REDACT, DEPTH, ok, kind)
        except Unreadable as error:
            says_nothing_of_it(error, Malformed, Cut)
            continue
        if ok:
            _json_shown(route, data, answer)
        elif not _is_read(route, data):
            demand(not data or kind == "text/plain", "neither JSON nor text, and yet shown", data)
            nothing_planted((data if answer.body is None else answer.body).decode())
        _same_blocked(answer, buffered(route, data, BLOCK, DEPTH, ok, kind))


def _is_read(route: Route, data: bytes) -> bool:
    """Whether it is read as JSON."""
    try:
        buffered(route, data, REDACT, DEPTH)
    except Unreadable:
        return False
    return True


def _json_shown(route: Route, data: bytes, answer: BufferedAnswer) -> None:
    out = data if answer.body is None else answer.body
    demand((answer.body is None) == (answer.redacted == 0), "changed or not, against what was found", answer)
    demand(answer.text_bytes_out >= 0, "less than nothing was written", answer.text_bytes_out)
    before, after = json.loads(data), nothing_planted_in(out)
    demand(same_shape(before, after, emptied=True), "another shape", out)
    if numbers(before) == numbers(after):
        again = buffered(route, out, REDACT, DEPTH)
        # As in requests: a file may be readable only now.
        demand(
            "EMAIL_ADDRESS" not in again.findings or "UNSCANNED_FILE" in answer.findings,
            "found again in what was redacted",
            again.findings,
            out,
        )
        demand(again.usage == answer.usage, "other usage", again.usage, answer.usage)


def _same_blocked(answer: BufferedAnswer, blocked: BufferedAnswer) -> None:
    """What is to be blocked is what would be redacted, and is not shown."""
    found = {kind: count for kind, count in answer.findings.items() if not kind.startswith("UNSCANNED_")}
    demand(not answer.blocked, "blocked where it should be redacted", answer.blocked)
    demand(blocked.findings == answer.findings and blocked.usage == answer.usage, "found by what is done about it", blocked, answer)
    demand(blocked.blocked == found and not (found and blocked.body), "not blocked as it was found", blocked, answer)

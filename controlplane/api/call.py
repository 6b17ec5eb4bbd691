"""One call of the API: who asks, what for, and how a change is made of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from aiohttp import web

from controlplane.actor import Actor
from controlplane.api.answers import record_document
from controlplane.api.conditions import Conditions, conditions, etag
from controlplane.api.problems import Problem
from controlplane.estate import Changes, Estate
from controlplane.estate.plan_lines import lines_of
from controlplane.governance import Edit, Governance
from controlplane.governance.once import Made, Once, Reply, Replying, untold
from controlplane.planes.snapshots import PlaneReport

T = TypeVar("T")
ACTOR: Final = web.RequestKey("actor", Actor)
_LONGEST_KEY: Final = 255
Absent = Callable[[Made], Awaitable[Sequence[PlaneReport]]]
"""After a change: planes that it concerns and that can't be told."""


def now() -> int:
    """Seconds of the Unix epoch."""
    return int(time.time())


def answered(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer. None is stored by what lies between: most of them say what only an administrator may know."""
    return web.json_response(document, status=status, headers={"cache-control": "no-store", **(headers or {})})


def name_in(request: web.Request, name: str = "name") -> str:
    """A name in the path; it may hold slashes there when they are percent-encoded."""
    return request.match_info[name]


def flag(request: web.Request, name: str) -> bool:
    """A query parameter that is true or false. Raises Problem (400)."""
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise Problem(400, "invalid_request", f"{name}: must be true or false.")
    return text == "true"


async def changing(
    governance: Governance, request: web.Request, verb: str, edit: Edit, replying: Replying, absent: Absent | None = None
) -> web.Response:
    """Make a change and answer as `replying` says, with what changed, what each plane said, and which of them are `absent`.

    If-Match and If-None-Match are checked by the edit (`guarded`); an Idempotency-Key is heeded here.
    """
    actor = request[ACTOR]

    def replied(made: Made) -> Reply:
        reply = replying(made)
        return replace(reply, document={**reply.document, "changes": [line.document() for line in lines_of(made.before, made.changes)]})

    done = await governance.change(actor, verb, edit, await once_of(request, replied))
    reply = done.reply or replied(done.made)
    planes = [report.document() for report in (*done.planes, *(await absent(done.made) if absent else ()))]
    return answered({**reply.document, "planes": planes}, reply.status, reply.headers)


async def once_of(request: web.Request, replying: Replying = untold) -> Once | None:
    """The call by its Idempotency-Key; None where it has none. Raises Problem (400)."""
    key = request.headers.get("idempotency-key")
    if key is None or request.method != "POST":
        return None
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Problem(400, "invalid_request", f"Idempotency-Key: must be 1 to {_LONGEST_KEY} printable characters.")
    return Once.of(request[ACTOR].name, key, f"{request.method} {request.rel_url.raw_path_qs}", await request.read(), replying)


def guarded(request: web.Request, kind: str, name: str, edit: Edit) -> Edit:
    """An edit of the record that the caller has seen, where the call says which that is."""
    asked = conditions(request.headers)
    if asked == Conditions():
        return edit

    def checked(estate: Estate) -> Changes:
        asked.check(estate.of(kind).get(name))
        return edit(estate)

    return checked


def showing(kind: str, name: str, *, made: int = 200) -> Replying:
    """Answers with the record as it is now; with status `made` where the change made it."""

    def reply(step: Made) -> Reply:
        kept = step.estate.of(kind)[name]
        fresh = name not in step.before.of(kind)
        return Reply(made if fresh else 200, {kind: record_document(step.estate, kept, now())}, {"etag": etag(kept)})

    return reply


def gone(_made: Made) -> Reply:
    """Answers with nothing but what changed."""
    return Reply(200, {})

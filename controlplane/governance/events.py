"""The admin events of a change: one for each thing that it changes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.events import AdminEvent, shown
from controlplane.actor import Actor
from controlplane.estate import ORGANISATION, Change, Changes, Estate, Kept
from controlplane.estate.plan_lines import unseen
from extproc.edge.driver import uuid7

_VERBS: Final = {"+": "put", "~": "put", "-": "remove"}
PEPPER: Final = "pepper"
Shown = Mapping[str, Any] | None


def fresh_id() -> str:
    """A UUIDv7 of now."""
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def events_of(actor: Actor, verb: str, old: Estate, changes: Changes) -> list[AdminEvent]:
    """`verb` (such as key.revoke) names what is done to records of its kind; what changes along with them is put or removed."""
    return list(_events(actor, verb, old, changes, time.time_ns()))


def _events(actor: Actor, verb: str, old: Estate, changes: Changes, now: int) -> Iterator[AdminEvent]:
    def event(done: str, kind: str, name: str, before: Shown, after: Shown) -> AdminEvent:
        return _event(actor, done, kind, name, before, after, now)

    if changes.organisation is not None:
        before = {"name": old.organisation} if old.organisation else None
        yield event(f"{ORGANISATION}.put", ORGANISATION, changes.organisation, before, {"name": changes.organisation})
    if changes.peppers is not None:
        versions = {"versions": sorted(old.peppers)} if old.peppers else None
        yield event(f"{PEPPER}.put", PEPPER, "virtual-keys", versions, {"versions": sorted(changes.peppers)})
    for change in changes.records:
        if not unseen(change):  # nothing of the record changes where a file takes over what a call has made
            yield event(_verb(verb, change), change.kind, change.name, _shown(change.old), _shown(change.new))


def plane_event(actor: Actor, verb: str, name: str, before: Shown, after: Shown) -> AdminEvent:
    """The event of something that is done to a plane."""
    return _event(actor, verb, "plane", name, before, after, time.time_ns())


def _event(actor: Actor, verb: str, kind: str, name: str, before: Shown, after: Shown, now: int) -> AdminEvent:
    return AdminEvent(
        id=fresh_id(),
        time=now,
        actor=actor.name,
        verb=verb,
        kind=kind,
        name=name,
        before=before,
        after=after,
        request_id=actor.request_id,
    )


def _verb(verb: str, change: Change) -> str:
    return verb if verb.partition(".")[0] == change.kind else f"{change.kind}.{_VERBS[change.sign]}"


def _shown(kept: Kept | None) -> Shown:
    return None if kept is None else shown(kept.record)

"""Data planes: those that are connected, and those of other machines that may be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from aiohttp import web

from contracts.events import AdminEvent
from contracts.settings import plane_name
from controlplane.actor import Actor
from controlplane.api.answers import exactly, listing
from controlplane.api.bodies import PlaneBody
from controlplane.api.call import ACTOR, answered, name_in, once_of
from controlplane.api.endpoint import Endpoint
from controlplane.api.reader import read
from controlplane.estate import Estate
from controlplane.estate import declared_values as values
from controlplane.estate.declared_checks import Faults, team_project
from controlplane.estate.edits_problems import NotThere, Problems
from controlplane.estate.references import known
from controlplane.governance import Governance
from controlplane.governance.events import plane_event
from controlplane.governance.once import Reply
from controlplane.planes import Planes
from extproc.config import MOST_WORKERS


class PlaneCalls:
    """The calls about planes."""

    def __init__(self, governance: Governance, planes: Planes) -> None:
        self._governance, self._planes = governance, planes
        self._one_at_a_time = asyncio.Lock()

    async def all(self, _request: web.Request) -> web.Response:
        """Every plane that is connected or on record, by name; `in_force`: it goes by what is in force now."""
        publisher = self._governance.publisher
        connected = {report.plane: report for report in publisher.planes()}
        record = await self._planes.on_record()
        found = []
        for name in sorted({*connected, *record}):
            report, plane = connected.get(name), record.get(name)
            enrolled = plane.enrolled if plane else None
            found.append(
                {
                    "name": name,
                    "status": "connected" if report else "away" if enrolled else "waiting",
                    "local": plane is None,
                    "projects": list(plane.projects) if plane else [],
                    "enrolled": enrolled,
                    "revision": report.revision if report else "",
                    "problem": report.problem if report else "",
                    "in_force": report is not None and report.revision == publisher.revision and not report.problem,
                }
            )
        return answered(found)

    async def add(self, request: web.Request) -> web.Response:
        """Let a plane enrol. Its token is in this answer and nowhere else."""
        actor, body, once = request[ACTOR], read(PlaneBody, await request.read()), await once_of(request)
        state, vault = self._governance.state, self._governance.vault
        shown = {"name": body.name, "projects": list(body.projects)}
        async with self._one_at_a_time:
            kept = await asyncio.to_thread(once.kept, state, vault) if once else None
            if kept is None:
                _check(body, self._governance.estate)
                token = await self._planes.add(
                    body.name, body.projects, actor.name, _events(actor, "plane.add", body.name, None, shown),
                    lambda token: once.sealed(vault, Reply(201, {**shown, "token": token})) if once else None,
                )  # fmt: skip
                kept = Reply(201, {**shown, "token": token})
        self._governance.outbox_woken()
        return answered(kept.document, kept.status)

    async def remove(self, request: web.Request) -> web.Response:
        """Refuse a plane from now on."""
        actor, name = request[ACTOR], name_in(request)
        if not await self._planes.remove(name, _events(actor, "plane.remove", name, {"name": name}, None)):
            raise NotThere("plane", name)
        self._governance.outbox_woken()
        return answered({"name": name})

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        plane = exactly(
            name=str, status={"enum": ["connected", "away", "waiting"]}, local=bool, projects=list[str], enrolled=int | None,
            revision=str, problem=str, in_force=bool,
        )  # fmt: skip
        yield Endpoint(method="GET", path="/planes", run=self.all, summary="All data planes", gives=listing(plane))
        yield Endpoint(
            method="POST", path="/planes", run=self.add, summary="Let a data plane enrol", takes=PlaneBody, statuses=(201,),
            gives=exactly(name=str, projects=list[str], token=str), idempotent=True, refuses=(409, 422),
        )  # fmt: skip
        yield Endpoint(
            method="DELETE", path="/planes/{name}", run=self.remove, summary="Refuse a data plane from now on", gives=exactly(name=str),
            refuses=(404,),
        )  # fmt: skip


def _events(actor: Actor, verb: str, name: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Sequence[AdminEvent]:
    return (plane_event(actor, verb, name, before, after),)


def _check(body: PlaneBody, estate: Estate) -> None:
    """Raises Problems."""
    faults, names = Faults(), known(estate)
    faults.read("name", values.name, body.name)
    if body.name in map(plane_name, range(MOST_WORKERS)):
        faults.say("name", "is what a worker of control's own machine is called; choose another")
    for number, project in enumerate(body.projects):
        team_project(f"projects[{number}]", project, names, faults)
    if faults.found:
        raise Problems(faults.found)

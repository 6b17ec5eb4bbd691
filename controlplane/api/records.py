"""The calls that are alike for every kind of record: list, show, put, change, remove; and a team's projects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from aiohttp import web

from contracts.snapshot import TeamRecord
from controlplane.api.answers import change_schema, listing, record_document, ref
from controlplane.api.bodies import EnvironmentBody, ModelBody, ProfileBody, ProjectBody, ProviderBody, TeamBody
from controlplane.api.call import ACTOR, answered, changing, flag, gone, guarded, name_in, now, showing
from controlplane.api.conditions import Conditions, conditions, etag
from controlplane.api.endpoint import Endpoint, Query
from controlplane.api.reader import given, read, some
from controlplane.estate import Changes, Estate, Kept, edits
from controlplane.estate.edits_problems import NotThere
from controlplane.estate.references import PLURAL
from controlplane.governance import Governance

BODIES: Final = {
    "provider": ProviderBody,
    "model": ModelBody,
    "environment": EnvironmentBody,
    "team": TeamBody,
    "profile": ProfileBody,
}
"""Kinds that are put as a whole and hold no secret, and what is put."""
CASCADE: Final = Query("cascade", "true: what needs the record goes too.", {"type": "boolean", "default": False})


class Records:
    """One kind of record."""

    def __init__(self, governance: Governance, kind: str) -> None:
        self._governance, self._kind = governance, kind

    async def all(self, _request: web.Request) -> web.Response:
        """Every record of the kind, by name."""
        estate, at = self._governance.estate, now()
        return await asyncio.to_thread(
            lambda: answered([record_document(estate, kept, at) for _, kept in sorted(estate.of(self._kind).items())])
        )

    async def one(self, request: web.Request) -> web.Response:
        """One record, and its ETag."""
        estate = self._governance.estate
        kept = edits.present(estate, self._kind, name_in(request))
        return answered(record_document(estate, kept, now()), headers={"etag": etag(kept)})

    async def put(self, request: web.Request) -> web.Response:
        """Make the record, or make it anew."""
        name, kind, actor = name_in(request), self._kind, request[ACTOR].name
        fields = given(BODIES[kind], await request.read())
        edit = guarded(request, kind, name, lambda estate: edits.put(estate, kind, name, fields, now(), actor))
        return await changing(self._governance, request, f"{kind}.put", edit, showing(kind, name, made=201))

    async def patch(self, request: web.Request) -> web.Response:
        """Change the fields that the body names."""
        name, kind, actor = name_in(request), self._kind, request[ACTOR].name
        fields = some(BODIES[kind], await request.read())
        edit = guarded(request, kind, name, lambda estate: edits.patch(estate, kind, name, fields, now(), actor))
        return await changing(self._governance, request, f"{kind}.patch", edit, showing(kind, name))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove the record."""
        name, kind, cascade = name_in(request), self._kind, flag(request, "cascade")
        edit = guarded(request, kind, name, lambda estate: edits.remove(estate, kind, name, cascade=cascade))
        return await changing(self._governance, request, f"{kind}.remove", edit, gone)

    def read_endpoints(self) -> Iterator[Endpoint]:
        """List and show."""
        kind, path = self._kind, f"/{PLURAL[self._kind]}"
        yield Endpoint(method="GET", path=path, run=self.all, summary=f"All {PLURAL[kind]}", gives=listing(ref(kind)))
        yield Endpoint(
            method="GET", path=f"{path}/{{name}}", run=self.one, summary=f"One {kind}", gives=ref(kind), etag=True, refuses=(404,)
        )  # fmt: skip

    def remove_endpoint(self) -> Endpoint:
        """Remove."""
        kind = self._kind
        return Endpoint(
            method="DELETE", path=f"/{PLURAL[kind]}/{{name}}", run=self.remove, summary=f"Remove {_article(kind)}", gives=change_schema(),
            query=(CASCADE,), if_match=True, refuses=(404, 409, 412),
        )  # fmt: skip

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        kind, body = self._kind, BODIES[self._kind]
        path, gives = f"/{PLURAL[kind]}/{{name}}", change_schema(**{kind: ref(kind)})
        yield from self.read_endpoints()
        yield Endpoint(
            method="PUT", path=path, run=self.put, summary=f"Make {_article(kind)}, or make it anew", takes=body, gives=gives,
            statuses=(200, 201), etag=True, if_match=True, if_none_match=True, refuses=(412, 422),
        )  # fmt: skip
        yield Endpoint(
            method="PATCH", path=path, run=self.patch, summary=f"Change {_article(kind)}", takes=body, partial=True, gives=gives,
            etag=True, if_match=True, refuses=(404, 412, 422),
        )  # fmt: skip
        yield self.remove_endpoint()


class Projects:
    """The projects of a team. Their conditions are the team's: a project is part of its record."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance

    async def put(self, request: web.Request) -> web.Response:
        """Make a project, or enable or disable it. If-None-Match: there must be no such project yet."""
        body = read(ProjectBody, await request.read() or b"{}")
        return await self._put(request, "team.project_put", disabled=body.disabled)

    async def patch(self, request: web.Request) -> web.Response:
        """Enable or disable a project that is there."""
        body = some(ProjectBody, await request.read())
        return await self._put(request, "team.project_patch", disabled=body["disabled"])

    async def _put(self, request: web.Request, verb: str, *, disabled: bool) -> web.Response:
        team, project, actor = name_in(request, "team"), name_in(request, "project"), request[ACTOR].name
        asked = conditions(request.headers)

        def edit(estate: Estate) -> Changes:
            kept = estate.of("team").get(team)
            there = isinstance(kept, Kept) and isinstance(kept.record, TeamRecord) and project in kept.record.projects
            if request.method == "PATCH" and not there:
                raise NotThere("project", f"{team}/{project}")
            Conditions(asked.match).check(kept)
            Conditions(fresh=asked.fresh).check(kept if there else None)
            return edits.project_put(estate, team, project, disabled=disabled, now=now(), actor=actor)

        return await changing(self._governance, request, verb, edit, showing("team", team))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a project."""
        team, project, cascade = name_in(request, "team"), name_in(request, "project"), flag(request, "cascade")
        edit = guarded(request, "team", team, lambda estate: edits.project_removed(estate, team, project, cascade=cascade))
        return await changing(self._governance, request, "team.project_remove", edit, showing("team", team))

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        path, gives = "/teams/{team}/projects/{project}", change_schema(team=ref("team"))
        yield Endpoint(
            method="PUT", path=path, run=self.put, summary="Make a project of a team, or enable or disable it", takes=ProjectBody,
            optional_body=True, gives=gives, etag=True, if_match=True, if_none_match=True, refuses=(404, 412, 422),
        )  # fmt: skip
        yield Endpoint(
            method="PATCH", path=path, run=self.patch, summary="Enable or disable a project", takes=ProjectBody, partial=True,
            gives=gives, etag=True, if_match=True, refuses=(404, 412, 422),
        )  # fmt: skip
        yield Endpoint(
            method="DELETE", path=path, run=self.remove, summary="Remove a project", gives=gives, etag=True, query=(CASCADE,),
            if_match=True, refuses=(404, 409, 412),
        )  # fmt: skip


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"

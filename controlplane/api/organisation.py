"""The organisation's name, as rows of the audit have it. It is no record: its version is the name itself."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from controlplane.api.answers import change_schema, exactly
from controlplane.api.bodies import OrganisationBody
from controlplane.api.call import answered, changing
from controlplane.api.conditions import conditions
from controlplane.api.endpoint import Endpoint
from controlplane.api.reader import read
from controlplane.estate import ORGANISATION, Changes, Estate
from controlplane.estate.edits import organisation_put
from controlplane.governance import Governance
from controlplane.governance.once import Made, Reply


class Organisation:
    """The calls about it."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance

    async def show(self, _request: web.Request) -> web.Response:
        """Its name, empty where none was given, and then without an ETag."""
        name = self._governance.estate.organisation
        return answered({"name": name}, headers=_tag(name))

    async def put(self, request: web.Request) -> web.Response:
        """Name it, or rename it: rows from now on have the new name, those that are there keep theirs."""
        name, asked = read(OrganisationBody, await request.read()).name, conditions(request.headers)

        def edit(estate: Estate) -> Changes:
            asked.check_tag(_tag(estate.organisation).get("etag"))
            return organisation_put(estate, name)

        return await changing(self._governance, request, f"{ORGANISATION}.put", edit, _named)

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        path, shown = f"/{ORGANISATION}", exactly(name=str)
        yield Endpoint(method="GET", path=path, run=self.show, summary="The organisation's name", gives=shown, etag=True)
        yield Endpoint(
            method="PUT", path=path, run=self.put, summary="Name the organisation", takes=OrganisationBody,
            gives=change_schema(organisation=shown), etag=True, if_match=True, if_none_match=True, refuses=(412, 422),
        )  # fmt: skip


def _tag(name: str) -> dict[str, str]:
    return {"etag": f'"{name}"'} if name else {}


def _named(made: Made) -> Reply:
    name = made.estate.organisation
    return Reply(200, {ORGANISATION: {"name": name}}, _tag(name))

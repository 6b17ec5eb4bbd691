"""Every endpoint of the API. The router and openapi.json are made of this list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from controlplane.api.audit import AuditDoor
from controlplane.api.call import answered
from controlplane.api.credentials import Credentials
from controlplane.api.doctor import Doctor
from controlplane.api.endpoint import Endpoint
from controlplane.api.file import File
from controlplane.api.keys import Keys
from controlplane.api.openapi import openapi
from controlplane.api.organisation import Organisation
from controlplane.api.planes import PlaneCalls
from controlplane.api.records import BODIES, Projects, Records
from controlplane.api.vault import Vaults
from controlplane.governance import Governance
from controlplane.planes import Planes
from controlplane.vault.rotation import Rotation

_ITSELF: Final = "/openapi.json"


def endpoints(governance: Governance, rotation: Rotation, planes: Planes) -> Sequence[Endpoint]:
    """All of them, in the order in which they are documented."""
    audit = AuditDoor(governance, governance.settings.run / "ingest.sock")
    found = [
        *File(governance).endpoints(),
        *Organisation(governance).endpoints(),
        *Keys(governance, planes).endpoints(),
        *Credentials(governance).endpoints(),
        *(endpoint for kind in BODIES for endpoint in Records(governance, kind).endpoints()),
        *Projects(governance).endpoints(),
        *Vaults(governance, rotation).endpoints(),
        *PlaneCalls(governance, planes).endpoints(),
        *audit.endpoints(),
        *Doctor(governance, audit).endpoints(),
    ]

    async def described(_request: web.Request) -> web.Response:
        return answered(openapi(found))

    found.append(Endpoint(method="GET", path=_ITSELF, run=described, summary="This description", gives={"type": "object"}))
    return found

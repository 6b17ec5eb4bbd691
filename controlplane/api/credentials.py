"""Credentials: set, rotated, drained. No call shows a secret."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from controlplane.api.answers import change_schema, ref
from controlplane.api.bodies import CredentialBody, CredentialChange, CredentialSecret
from controlplane.api.call import ACTOR, changing, guarded, name_in, now, showing
from controlplane.api.endpoint import Endpoint
from controlplane.api.reader import given, read, some
from controlplane.api.records import Records
from controlplane.estate import edits_credentials as edits
from controlplane.governance import Governance

KIND = "credential"


class Credentials:
    """The calls about credentials."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance

    async def put(self, request: web.Request) -> web.Response:
        """Make a credential, or make it anew."""
        name, actor, vault = name_in(request), request[ACTOR].name, self._governance.vault
        fields = given(CredentialBody, await request.read())
        secret = fields.pop("secret")
        edit = guarded(request, KIND, name, lambda estate: edits.credential_set(estate, name, fields, secret, vault, now(), actor))
        return await changing(self._governance, request, "credential.put", edit, showing(KIND, name, made=201))

    async def patch(self, request: web.Request) -> web.Response:
        """Drain it, or give it to one project."""
        name = name_in(request)
        fields = some(CredentialChange, await request.read())
        edit = guarded(request, KIND, name, lambda estate: edits.credential_patched(estate, name, fields, now()))
        return await changing(self._governance, request, "credential.patch", edit, showing(KIND, name))

    async def rotate(self, request: web.Request) -> web.Response:
        """Another secret: exchanges that begin from now on use it."""
        name, vault = name_in(request), self._governance.vault
        secret = read(CredentialSecret, await request.read()).secret
        edit = guarded(request, KIND, name, lambda estate: edits.credential_rotated(estate, name, secret, vault, now()))
        return await changing(self._governance, request, "credential.rotate", edit, showing(KIND, name))

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        records = Records(self._governance, KIND)
        path, gives = "/credentials/{name}", change_schema(credential=ref(KIND))
        yield from records.read_endpoints()
        yield Endpoint(
            method="PUT", path=path, run=self.put, summary="Set a credential", takes=CredentialBody, gives=gives, statuses=(200, 201),
            etag=True, if_match=True, if_none_match=True, refuses=(412, 422),
        )  # fmt: skip
        yield Endpoint(
            method="PATCH", path=path, run=self.patch, summary="Drain a credential, or give it to one project", takes=CredentialChange,
            partial=True, gives=gives, etag=True, if_match=True, refuses=(404, 412, 422),
        )  # fmt: skip
        yield Endpoint(
            method="POST", path=f"{path}/rotate", run=self.rotate, summary="Give a credential another secret", takes=CredentialSecret,
            gives=gives, etag=True, if_match=True, idempotent=True, refuses=(404, 409, 412, 422),
        )  # fmt: skip
        yield records.remove_endpoint()

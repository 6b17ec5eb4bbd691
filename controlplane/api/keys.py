"""Virtual keys: made, changed, rotated, revoked. A secret is in the answer to the call that made it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from contracts.snapshot import KeyRecord
from controlplane.actor import Actor
from controlplane.api.answers import change_schema, old_secret_until, record_document, ref
from controlplane.api.bodies import KeyBody, KeyChange, KeyRotation
from controlplane.api.call import ACTOR, changing, guarded, name_in, now, showing
from controlplane.api.conditions import etag
from controlplane.api.endpoint import Endpoint
from controlplane.api.reader import given, read, some
from controlplane.api.records import Records
from controlplane.estate import Changes, Estate
from controlplane.estate import edits_keys as edits
from controlplane.governance import Governance
from controlplane.governance.once import Made, Reply
from controlplane.planes import Planes
from controlplane.planes.snapshots import PlaneReport
from controlplane.vault import Vault
from custody.virtual_key import Issued

KIND = "key"


class _Issuing:
    """An edit that issues a secret, and the answer that shows it. The edit may run twice; what counts is the last secret."""

    def __init__(self, vault: Vault, name: str, actor: Actor) -> None:
        self._vault, self.name, self.actor = vault, name, actor
        self._issued: Issued | None = None

    def created(self, estate: Estate, fields: Mapping[str, Any]) -> Changes:
        """A fresh key."""
        self._issued = self._vault.issue(estate.peppers)
        return edits.key_created(estate, self.name, fields, self._issued, now(), self.actor.name, self.actor.holds)

    def rotated(self, estate: Estate, grace_s: int) -> Changes:
        """Another secret of a key that is there."""
        self._issued = self._vault.reissue(estate.peppers, edits.key_named(estate, self.name).id)
        return edits.key_rotated(estate, self.name, self._issued, grace_s, now(), self.actor.holds)

    def reply(self, status: int, estate: Estate) -> Reply:
        """The key and its secret."""
        kept, at = estate.of(KIND)[self.name], now()
        shown = self._issued.shown if self._issued else ""
        found: dict[str, Any] = {KIND: record_document(estate, kept, at), "secret": shown}
        if isinstance(kept.record, KeyRecord) and status != 201:  # noqa: PLR2004 - HTTP's Created
            found["old_secret_until"] = old_secret_until(kept.record, at)
        return Reply(status, found, {"etag": etag(kept)})


class Keys:
    """The calls about virtual keys."""

    def __init__(self, governance: Governance, planes: Planes) -> None:
        self._governance, self._planes = governance, planes

    async def create(self, request: web.Request) -> web.Response:
        """A fresh key, and its secret this once."""
        fields = given(KeyBody, await request.read())
        issuing = _Issuing(self._governance.vault, fields.pop("name"), request[ACTOR])
        edit = partial(issuing.created, fields=fields)
        return await changing(self._governance, request, "key.create", edit, lambda made: issuing.reply(201, made.estate))

    async def patch(self, request: web.Request) -> web.Response:
        """Change what the body names; the secret stays."""
        name, holds = name_in(request), request[ACTOR].holds
        fields = some(KeyChange, await request.read())
        edit = guarded(request, KIND, name, lambda estate: edits.key_patched(estate, name, fields, now(), holds))
        return await changing(self._governance, request, "key.patch", edit, showing(KIND, name))

    async def rotate(self, request: web.Request) -> web.Response:
        """Another secret; the one before lives on for the grace."""
        grace = read(KeyRotation, await request.read() or b"{}").grace_s
        issuing = _Issuing(self._governance.vault, name_in(request), request[ACTOR])
        edit = guarded(request, KIND, issuing.name, lambda estate: issuing.rotated(estate, grace))
        return await changing(self._governance, request, "key.rotate", edit, lambda made: issuing.reply(200, made.estate))

    async def revoke(self, request: web.Request) -> web.Response:
        """Worthless on every connected plane by the time of the answer; `planes` names those that are late, and those that are away."""
        name = name_in(request)

        async def away(made: Made) -> Sequence[PlaneReport]:
            kept = made.estate.of(KIND).get(name)
            key = kept.record if kept else None  # an answer that is given again may outlive its key
            return await self._planes.away(f"{key.team}/{key.project}") if isinstance(key, KeyRecord) else ()

        edit = guarded(request, KIND, name, lambda estate: edits.key_revoked(estate, name, now()))
        return await changing(self._governance, request, "key.revoke", edit, showing(KIND, name), away)

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        records = Records(self._governance, KIND)
        path, gives = "/keys/{name}", change_schema(key=ref(KIND))
        secret = {"type": "string", "description": "The virtual key, shown this once."}
        yield from records.read_endpoints()
        yield Endpoint(
            method="POST", path="/keys", run=self.create, summary="Make a virtual key", takes=KeyBody, statuses=(201,),
            gives=change_schema(key=ref(KIND), secret=secret), etag=True, idempotent=True, refuses=(409, 422),
        )  # fmt: skip
        yield Endpoint(
            method="PATCH", path=path, run=self.patch, summary="Change a virtual key", takes=KeyChange, partial=True, gives=gives,
            etag=True, if_match=True, refuses=(404, 409, 412, 422),
        )  # fmt: skip
        until = {"type": ["integer", "null"], "description": "Until when the old secret works, in seconds of the Unix epoch."}
        yield Endpoint(
            method="POST", path=f"{path}/rotate", run=self.rotate, summary="Give a virtual key another secret", takes=KeyRotation,
            optional_body=True, gives=change_schema(key=ref(KIND), secret=secret, old_secret_until=until),
            etag=True, if_match=True, idempotent=True, refuses=(404, 409, 412, 422),
        )  # fmt: skip
        yield Endpoint(
            method="POST", path=f"{path}/revoke", run=self.revoke, summary="Make a virtual key worthless everywhere, for good",
            gives=gives, etag=True, if_match=True, idempotent=True, refuses=(404, 412),
        )  # fmt: skip
        yield records.remove_endpoint()

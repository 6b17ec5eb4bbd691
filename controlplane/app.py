"""The API of the control plane: who may ask, and what for."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from contracts.settings import Settings
from controlplane.admin_token import AdminToken
from controlplane.audit_api import AuditDoor
from controlplane.governance import Governance
from controlplane.problems import explained, problem

MAX_REQUEST_BYTES: Final = 8 << 20
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
OPEN: Final = ("/healthz", "/readyz")
"""Paths that need no token: they say nothing but whether the process is well."""


def make_app(settings: Settings, governance: Governance, token: AdminToken) -> web.Application:
    """The application. It is trusted by host name, token and nothing else: it has no cookies."""
    app = web.Application(
        middlewares=[explained, _own_host(trusted_hosts(settings.control.listen)), _with_token(token)], client_max_size=MAX_REQUEST_BYTES
    )
    door = _Door(governance)
    app.router.add_routes(
        [
            web.get("/healthz", _well),
            web.get("/readyz", _well),
            web.post("/api/v1/apply", door.apply),
            web.get("/api/v1/keys", door.keys),
            web.get("/api/v1/planes", door.planes),
            *AuditDoor(settings.run / "ingest.sock").routes(),
        ]
    )
    return app


def trusted_hosts(listen: str) -> frozenset[str]:
    """Names under which the API may be called. A page of another site that resolves its name to us is none of them."""
    host = listen.rpartition(":")[0].strip("[]").lower()
    return frozenset({*_LOOPBACK, host})


def _own_host(hosts: Collection[str]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _host_name(request.headers.get("host", "")) not in hosts:
            return problem(421, "misdirected_request", "This host name is not ours; call the control plane by its address.")
        return await handler(request)

    return check


def _host_name(header: str) -> str:
    """The host of a Host header, without port and brackets."""
    if header.startswith("["):
        inside = header[1:].partition("]")[0]
        try:
            return str(ipaddress.IPv6Address(inside))
        except ValueError:
            return ""
    return header.partition(":")[0].lower()


def _with_token(token: AdminToken) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN and not token.fits(request.headers.get("authorization", "")):
            return problem(401, "unauthorized", "The admin token is missing or wrong. Send it as Authorization: Bearer TOKEN.")
        return await handler(request)

    return check


async def _well(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


class _Door:
    """What an administrator may ask."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance

    async def apply(self, request: web.Request) -> web.Response:
        """Make a declarative file so: {"document", "file", "secrets": {credential: text}, "dry_run"}."""
        body = await _object(request)
        secrets = body.get("secrets", {})
        if not isinstance(body.get("document"), str) or not isinstance(body.get("file", ""), str) or not _texts(secrets):
            return problem(400, "bad_request", "An apply needs 'document' (text), and may have 'file' (text), 'secrets' (texts by name).")
        if not isinstance(body.get("dry_run", False), bool):
            return problem(400, "bad_request", "'dry_run' is true or false.")
        applied = await self._governance.apply(body["document"], body.get("file", "-"), secrets, dry_run=body.get("dry_run", False))
        return web.json_response(applied.document(), headers={"cache-control": "no-store"})

    async def keys(self, _request: web.Request) -> web.Response:
        """The virtual keys, without anything that could be used as one."""
        snapshot = self._governance.estate.snapshot
        shown = ("id", "name", "team", "project", "environment", "models", "routes", "profile", "expires", "may_set_user")
        return web.json_response(
            [{name: getattr(key, name) for name in shown} for key in sorted(snapshot.keys.values(), key=lambda key: key.name)]
        )

    async def planes(self, _request: web.Request) -> web.Response:
        """The revision in force, and what each connected data plane said about it."""
        publisher = self._governance.publisher
        planes = [report.document() for report in publisher.planes()]
        return web.json_response({"revision": publisher.snapshot.revision, "planes": planes})


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="The body is no JSON.") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="The body must be a JSON object.")
    return body


def _texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())

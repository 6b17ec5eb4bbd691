"""The API of the control plane: who may ask, and what for."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from contracts.settings import Settings
from controlplane.actor import admin
from controlplane.admin_token import AdminToken
from controlplane.api.call import ACTOR
from controlplane.api.endpoint import Endpoint
from controlplane.api.problems import explained, problem
from controlplane.governance.events import fresh_id

MAX_REQUEST_BYTES: Final = 8 << 20
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
OPEN: Final = ("/healthz", "/readyz")
"""Paths that need no token: they say nothing but whether the process is well."""


def make_app(settings: Settings, endpoints: Iterable[Endpoint], token: AdminToken) -> web.Application:
    """The application. It is trusted by host name, token and nothing else: it has no cookies."""
    app = web.Application(
        middlewares=[explained, _own_host(trusted_hosts(settings.control.listen)), _with_token(token)], client_max_size=MAX_REQUEST_BYTES
    )
    app.router.add_routes([web.get("/healthz", _well), web.get("/readyz", _well), *(endpoint.route() for endpoint in endpoints)])
    app.on_response_prepare.append(_named)
    return app


async def _named(request: web.Request, answer: web.StreamResponse) -> None:
    """Every answer to somebody known, refusals too, names the call as the events of the audit do."""
    if ACTOR in request:
        answer.headers["x-portcullis-request-id"] = request[ACTOR].request_id


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
        request[ACTOR] = admin(fresh_id())
        return await handler(request)

    return check


async def _well(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})

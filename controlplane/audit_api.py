"""The audit endpoints: asked here with the admin token, answered by ingest over its Unix socket."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web

from controlplane.problems import problem

DOWN: Final = "The audit store does not answer; see whether ingest is running. Nothing is lost meanwhile: rows wait in the spool."
_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "query_refused",
    HTTPStatus.REQUEST_TIMEOUT: "query_too_long",
    HTTPStatus.SERVICE_UNAVAILABLE: "audit_unavailable",
}
_PATIENCE: Final = aiohttp.ClientTimeout(total=120, sock_connect=5)


class AuditDoor:
    """Passes audit questions on to ingest, and its answers back."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def routes(self) -> list[web.RouteDef]:
        """The endpoints."""
        return [
            web.post("/api/v1/audit/query", self.query),
            web.get("/api/v1/audit/stats", self.stats),
            web.get("/api/v1/audit/tail", self.tail),
        ]

    async def query(self, request: web.Request) -> web.Response:
        """Read-only SQL: {"sql": text} → {"columns", "types", "rows", "truncated"}."""
        return await self._passed(request, "POST", "/query")

    async def stats(self, request: web.Request) -> web.Response:
        """How many rows were accepted, stored, spooled and dead, and Envoy's own count."""
        return await self._passed(request, "GET", "/stats")

    async def tail(self, request: web.Request) -> web.Response:
        """Rows stored after the place `after`: {"rows", "next"}, at once or when there are some, within 20 s. No place: the last 10."""
        return await self._passed(request, "GET", "/tail")

    async def _passed(self, request: web.Request, method: str, path: str) -> web.Response:
        body = await request.read() if method == "POST" else None
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket)), timeout=_PATIENCE) as session,
                session.request(method, f"http://ingest{path}", data=body, params=request.query) as answer,
            ):
                return _answered(answer.status, await answer.read())
        except TimeoutError:
            return problem(504, "audit_timeout", "The audit store took too long; narrow the query, by time for example.")
        except (aiohttp.ClientError, OSError):
            return problem(503, "audit_unavailable", DOWN)


def _answered(status: int, body: bytes) -> web.Response:
    """Ingest's answer; its errors as problem documents."""
    if status == HTTPStatus.OK:
        return web.Response(body=body, content_type="application/json", headers={"cache-control": "no-store"})
    try:
        detail = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return problem(503, "audit_unavailable", DOWN)
    known = status if status in _CODES else HTTPStatus.BAD_GATEWAY
    return problem(known, _CODES.get(HTTPStatus(known), "audit_failed"), detail)

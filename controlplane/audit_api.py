"""The audit endpoints: asked here with the admin token, answered by ingest over its Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from aiohttp import web

from controlplane.problems import problem

DOWN = "The audit store does not answer; see whether ingest is running. Nothing is lost meanwhile: rows wait in the spool."
_CONNECT_S = 5.0
_QUERY_S = 120.0


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

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Read-only SQL: {"sql": text} → {"columns", "types", "rows", "truncated"}."""
        return await self._passed(request, "POST", "/query", await request.read(), _QUERY_S)

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """How many rows were accepted, stored, spooled and dead, and Envoy's own count."""
        return await self._passed(request, "GET", "/stats", None, _QUERY_S)

    async def tail(self, request: web.Request) -> web.StreamResponse:
        """Rows as they are stored, one JSON object a line, until the caller leaves."""
        return await self._passed(request, "GET", "/tail", None, None)

    async def _passed(self, request: web.Request, method: str, path: str, body: bytes | None, patience: float | None) -> web.StreamResponse:
        timeout = aiohttp.ClientTimeout(total=patience, sock_connect=_CONNECT_S)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket)), timeout=timeout) as session,
                session.request(method, f"http://ingest{path}", data=body, params=request.query, headers=_json(body)) as answer,
            ):
                return await _relayed(request, answer)
        except (aiohttp.ClientConnectionError, OSError):
            return problem(503, "audit_unavailable", DOWN)
        except TimeoutError:
            return problem(504, "audit_timeout", "The query took too long; narrow it, by time for example.")


def _json(body: bytes | None) -> dict[str, str]:
    return {"content-type": "application/json"} if body is not None else {}


async def _relayed(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """The answer's status, type and bytes, piece by piece as they come."""
    relayed = web.StreamResponse(status=answer.status, headers={"content-type": answer.headers.get("content-type", "application/json")})
    await relayed.prepare(request)
    try:
        async for piece in answer.content.iter_any():
            await relayed.write(piece)
        await relayed.write_eof()
    except (aiohttp.ClientError, ConnectionError, TimeoutError):
        # The head has left: cutting the connection is the only way to say that the rest is missing.
        if request.transport is not None:
            request.transport.close()
    except asyncio.CancelledError:
        if request.transport is not None:
            request.transport.close()
        raise
    return relayed

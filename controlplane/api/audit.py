"""The audit endpoints: asked here with the admin token, answered by ingest over its Unix socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from controlplane.api.answers import exactly
from controlplane.api.bodies import Question
from controlplane.api.call import name_in
from controlplane.api.endpoint import Endpoint, Query
from controlplane.api.problems import problem
from controlplane.estate.edits_keys import key_named
from controlplane.governance import Governance

DOWN: Final = "The audit store does not answer; see whether ingest is running. Nothing is lost meanwhile: rows wait in the spool."
_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "query_refused",
    HTTPStatus.REQUEST_TIMEOUT: "query_too_long",
    HTTPStatus.SERVICE_UNAVAILABLE: "audit_unavailable",
}
_PATIENCE: Final = aiohttp.ClientTimeout(total=120, sock_connect=5)
_AT_ONCE: Final = aiohttp.ClientTimeout(total=3)
_OBJECT: Final = {"type": "object"}


class AuditDoor:
    """Passes audit questions on to ingest, and its answers back."""

    def __init__(self, governance: Governance, socket: Path) -> None:
        self._governance, self._socket = governance, socket

    async def query(self, request: web.Request) -> web.Response:
        """Read-only SQL: {"sql": text} → {"columns", "types", "rows", "truncated"}."""
        return await self._passed("POST", "/query", request.query, await request.read())

    async def stats(self, request: web.Request) -> web.Response:
        """How many rows were accepted, stored, spooled and dead, and Envoy's own count."""
        return await self._passed("GET", "/stats", request.query)

    async def tail(self, request: web.Request) -> web.Response:
        """Rows stored after the place `after`: {"rows", "next"}, at once or when there are some, within 20 s. No place: the last 10."""
        return await self._passed("GET", "/tail", request.query)

    async def usage(self, request: web.Request) -> web.Response:
        """What a key was used for, by day."""
        key = key_named(self._governance.estate, name_in(request))
        days = {"days": request.query["days"]} if "days" in request.query else {}
        return await self._passed("GET", "/usage", {"key_id": key.id, **days})

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them."""
        refuses = (400, 502, 503, 504)
        asked = exactly(columns=list[str], types=list[str], rows={"type": "array", "items": {"type": "array"}}, truncated=bool)
        yield Endpoint(
            method="POST", path="/audit/query", run=self.query, summary="Ask the audit database, read-only", takes=Question, gives=asked,
            refuses=(*refuses, 408),
        )  # fmt: skip
        yield Endpoint(
            method="GET", path="/audit/stats", run=self.stats, summary="What was accepted, stored, spooled and lost", gives=_OBJECT,
            refuses=refuses,
        )  # fmt: skip
        after = Query("after", "The place that the answer before named as `next`; none: the last 10 rows.", {"type": "string"})
        rows = exactly(rows={"type": "array", "items": _OBJECT}, next=str)
        yield Endpoint(
            method="GET", path="/audit/tail", run=self.tail, summary="Rows as they are stored", gives=rows, query=(after,), refuses=refuses
        )  # fmt: skip
        days = Query("days", "How many days back, 1 to 400.", {"type": "integer", "minimum": 1, "maximum": 400, "default": 30})
        gives = exactly(key_id=str, days=int, by_day={"type": "array", "items": _OBJECT}, total=_OBJECT)
        yield Endpoint(
            method="GET", path="/keys/{name}/usage", run=self.usage, summary="What a virtual key was used for", gives=gives, query=(days,),
            refuses=(404, *refuses),
        )  # fmt: skip

    async def answers(self) -> bool:
        """Whether ingest does, and is ready."""
        try:
            async with self._session() as session, session.get("http://ingest/healthz", timeout=_AT_ONCE) as answer:
                return answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket)), timeout=_PATIENCE)

    async def _passed(self, method: str, path: str, query: Mapping[str, str], body: bytes | None = None) -> web.Response:
        try:
            async with self._session() as session, session.request(method, f"http://ingest{path}", data=body, params=query) as answer:
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
        detail: Any = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return problem(503, "audit_unavailable", DOWN)
    known = status if status in _CODES else HTTPStatus.BAD_GATEWAY
    return problem(known, _CODES.get(HTTPStatus(known), "audit_failed"), detail)

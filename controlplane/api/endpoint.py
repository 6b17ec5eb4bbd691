"""An endpoint of the API as a value: the router and openapi.json are both made of these, so neither has what the other lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

BASE: Final = "/api/v1"
Schema = Mapping[str, Any]
"""A JSON Schema (2020-12), as OpenAPI 3.1 has it."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter that may be left out."""

    name: str
    about: str
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method on one path. `path` comes behind BASE.

    `takes` is the type of the body, of which a `partial` one may name some fields only; `gives` is the answer's schema, answered with
    `status` (or with any of `statuses`); `media` is its type. `if_match`, `if_none_match` and `idempotent`: the headers that it heeds.
    """

    method: str
    path: str
    run: Handler
    summary: str
    gives: Schema
    takes: type | None = None
    partial: bool = False
    optional_body: bool = False
    statuses: Sequence[int] = (200,)
    media: str = "application/json"
    query: Sequence[Query] = ()
    if_match: bool = False
    if_none_match: bool = False
    idempotent: bool = False
    etag: bool = False
    refuses: Sequence[int] = field(default=())

    def route(self) -> web.RouteDef:
        """As the router takes it."""
        return web.route(self.method, f"{BASE}{self.path}", self.run, **({"allow_head": False} if self.method == "GET" else {}))

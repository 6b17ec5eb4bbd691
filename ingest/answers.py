"""What ingest answers on its socket: JSON; where it can't, a sentence as `error`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from ingest.clickhouse import EngineDownError


def answered(document: Mapping[str, Any], status: int = HTTPStatus.OK) -> web.Response:
    """An answer with this document."""
    try:
        body = orjson.dumps(document, default=str)
    except TypeError:  # someone's whole numbers beyond 64 bits, or halves of surrogate pairs
        body = json.dumps(document, default=str).encode()
    return web.Response(body=body, status=status, content_type="application/json")


def refused(sentence: str, status: int = HTTPStatus.BAD_REQUEST) -> web.Response:
    """An answer that says what is wrong."""
    return answered({"error": sentence}, status)


def not_open() -> web.Response:
    """The answer to what comes before the tables exist."""
    return refused("The audit database is not open yet. Try again.", HTTPStatus.SERVICE_UNAVAILABLE)


def down(error: EngineDownError) -> web.Response:
    """The answer while the database can't be asked."""
    return refused(f"The audit database does not answer: {error}", HTTPStatus.SERVICE_UNAVAILABLE)

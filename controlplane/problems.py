"""Errors of the API as problem details (RFC 9457): one shape, and one sentence for people in `detail`."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.errors import Unusable

log = logging.getLogger("control.api")


def problem(status: int, code: str, detail: str) -> web.Response:
    """A problem document. `code` is for programs, `detail` for people."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return web.Response(status=status, text=json.dumps(document), content_type="application/problem+json", headers=headers)


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever went wrong into a problem document; what was not foreseen is logged and not shown."""
    try:
        return await handler(request)
    except Unusable as error:
        return problem(422, "unusable", str(error))
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem(error.status, (error.reason or "error").lower().replace(" ", "_"), _detail(error))
    except Exception:
        log.exception("an endpoint broke")
        return problem(500, "internal_error", "The control plane broke on this request; its log says how.")


def _detail(error: web.HTTPException) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return "There is no such endpoint."
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return "This endpoint does not take that method."
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return "The request is larger than any declarative file should be."
    return error.text or error.reason or "The request can't be answered."
